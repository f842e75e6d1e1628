/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `disco trace export` writes: one line of names, then of each access
 *
 *	time_ns,vm,vcpu,node,home,page,kind,weight,class,mark
 *
 * vcpu, node and home are empty where they are unknown. kind: r, w or ?; class:
 * miss, fault, bit or dirty. mark: the phase that the run is in; may be empty.
 */
#include "memory/import/import_internal.h"

#define FIELDS 10u

static const char header[] =
	"time_ns,vm,vcpu,node,home,page,kind,weight,class,mark";

/* @none: for an empty field. */
static bool import_csv_number(char *field, uint64_t most, uint64_t none,
			      uint64_t *out)
{
	if (!*field) {
		*out = none;
		return none != UINT64_MAX;
	}
	return import_number(&field, 10, out) && !*field && *out <= most;
}

static bool import_csv_words(char *const field[FIELDS], struct access_record *r)
{
	static const char kinds[] = "rw?";
	static const char *const classes[ACCESS_NR_CLASSES] = { "miss", "fault",
								"bit",
								"dirty" };
	const char *kind = strchr(kinds, field[6][0]);

	if (!field[6][0] || field[6][1] || !kind)
		return false;
	r->kind = (uint8_t)(kind - kinds);
	for (unsigned i = 0; i < ACCESS_NR_CLASSES; i++)
		if (strcmp(field[8], classes[i]) == 0) {
			r->class = (uint8_t)i;
			return true;
		}
	return false;
}

static int import_csv_line(struct import_run *im, char *line, char *mark,
			   struct diag *d)
{
	struct access_record r = { 0 };
	uint64_t vm, vcpu, node, home, weight;
	char *field[FIELDS];

	for (unsigned i = 0; i < FIELDS; i++) {
		char *comma = i + 1 < FIELDS ? strchr(line, ',') : NULL;

		if (i + 1 < FIELDS && !comma)
			return import_bad(im, d, "fewer than 10 fields");
		field[i] = line;
		if (comma)
			*comma = '\0', line = comma + 1;
	}
	if (!import_csv_number(field[0], UINT64_MAX, UINT64_MAX, &r.time_ns) ||
	    !import_csv_number(field[1], TRACE_MAX_VMS - 1, 0, &vm) ||
	    !import_csv_number(field[2], ACCESS_NO_VCPU, ACCESS_NO_VCPU,
			       &vcpu) ||
	    !import_csv_number(field[3], ACCESS_NO_NODE, ACCESS_NO_NODE,
			       &node) ||
	    !import_csv_number(field[4], ACCESS_NO_NODE, ACCESS_NO_NODE,
			       &home) ||
	    !import_csv_number(field[5], VM_MAX_MEMORY / PAGE_BYTES - 1,
			       UINT64_MAX, &r.page) ||
	    !import_csv_number(field[7], UINT32_MAX, 1, &weight) ||
	    !import_csv_words(field, &r))
		return import_bad(im, d, "a field is out of range");
	r.vm = (uint32_t)vm;
	r.vcpu = (uint16_t)vcpu;
	r.node = (uint8_t)node;
	r.home = (uint8_t)home;
	r.weight = (uint32_t)weight;
	if (strncmp(mark, field[9], TRACE_EVENT_TEXT - 1) != 0) {
		int err = import_mark(im, r.time_ns, field[9], d);

		if (err)
			return err;
		(void)snprintf(mark, TRACE_EVENT_TEXT, "%s", field[9]);
	}
	return import_add(im, &r, d);
}

static int import_csv_read(struct import_run *im, FILE *f, struct diag *d)
{
	char *line, mark[TRACE_EVENT_TEXT] = "";
	int got = import_line(im, f, &line, d);

	if (got > 0 && strcmp(line, header) != 0)
		got = import_bad(im, d,
				 "the first line is not 'time_ns,vm,vcpu,node,"
				 "home,page,kind,weight,class,mark'");
	while (got > 0 && (got = import_line(im, f, &line, d)) > 0) {
		int err = import_csv_line(im, line, mark, d);

		if (err)
			return err;
	}
	return got;
}

const struct import_kind import_csv = { .name = "csv",
					.pages = true,
					.read = import_csv_read };
