/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ramulator's CPU traces. Each line: how many instructions without a miss come
 * first, the address that is read then, and perhaps one that is written back.
 * Numbers are decimal, addresses decimal or 0x.
 */
#include "memory/import/import_internal.h"

static bool import_address(char **p, uint64_t *out)
{
	bool hex = (*p)[0] == '0' && ((*p)[1] == 'x' || (*p)[1] == 'X');

	return import_number(p, hex ? 16 : 10, out);
}

static char *import_skip_blanks(char *p)
{
	return p + strspn(p, " \t");
}

static int import_ramulator_line(struct import_run *im, char *p, struct diag *d)
{
	struct access_record r = { .weight = 1,
				   .node = ACCESS_NO_NODE,
				   .home = ACCESS_NO_NODE,
				   .vcpu = import_cpu(im),
				   .class = ACCESS_MISS };
	uint64_t bubbles;
	int err;

	p = import_skip_blanks(p);
	if (!*p || *p == '#')
		return 0;
	if (!import_number(&p, 10, &bubbles))
		return import_bad(im, d, "no number of instructions");
	p = import_skip_blanks(p);
	if (!import_address(&p, &r.page))
		return import_bad(im, d, "no address that is read");
	(void)import_tick(im, bubbles);
	r.time_ns = import_tick(im, 1);
	err = import_add(im, &r, d);
	p = import_skip_blanks(p);
	if (err || !*p)
		return err;
	r.kind = POLICY_WRITE;
	if (!import_address(&p, &r.page) || *import_skip_blanks(p))
		return import_bad(im, d, "no address that is written");
	return import_add(im, &r, d);
}

static int import_ramulator_read(struct import_run *im, FILE *f, struct diag *d)
{
	char *line;
	int got;

	while ((got = import_line(im, f, &line, d)) > 0) {
		got = import_ramulator_line(im, line, d);
		if (got)
			break;
	}
	return got;
}

const struct import_kind import_ramulator = { .name = "ramulator",
					      .one_cpu = true,
					      .read = import_ramulator_read };
