/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lackey, Valgrind's example tool, with --trace-mem=yes:
 *
 *	I  0401ab70,3		an instruction, bytes
 *	 L 1fff000708,8		a load
 *	 S 1fff000700,8		a store
 *	 M 04222a30,4		both
 *
 * among what the program itself and Valgrind ("==PID== ...") print.
 */
#include "memory/import/import_internal.h"

static int import_lackey_read(struct import_run *im, FILE *f, struct diag *d)
{
	struct access_record r = { .weight = 1,
				   .node = ACCESS_NO_NODE,
				   .home = ACCESS_NO_NODE,
				   .class = ACCESS_MISS };
	char *line;
	int got;

	while ((got = import_line(im, f, &line, d)) > 0) {
		char what = line[0] == ' ' ? line[1] : line[0];
		char *p = line + 3;
		uint64_t bytes;

		if (!what || !strchr("ILSM", what) || strlen(line) < 4 ||
		    line[2] != ' ')
			continue;
		if (!import_number(&p, 16, &r.page) || *p++ != ',' ||
		    !import_number(&p, 10, &bytes) || *p)
			continue; /* the program's own words */
		r.time_ns = import_tick(im, what == 'I');
		if (what == 'I')
			continue;
		r.vcpu = import_cpu(im);
		r.kind = what == 'L' ? POLICY_READ : POLICY_WRITE;
		got = import_add(im, &r, d);
		if (got)
			break;
	}
	return got;
}

const struct import_kind import_lackey = { .name = "lackey",
					   .one_cpu = true,
					   .cache_bytes = MIB(1),
					   .read = import_lackey_read };
