/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * perf's memory samples, as `perf script -F tid,cpu,time,event,addr` prints them,
 * with more fields before the CPU or a period before the event:
 *
 *	 1234 [002] 12345.678901:   1 cpu/mem-loads,ldlat=30/P:  7f1234567890
 *
 * The last word that is an address counts: with phys_addr it is the physical one.
 * A sample whose address is 0 has none. Other lines (call chains, comments) are
 * passed over; a line that has a CPU and a time, but no address, is refused.
 */
#include "memory/import/import_internal.h"

/* "12345.678901:", which may have 9 digits. */
static bool import_perf_time(char *p, char **end, uint64_t *out)
{
	uint64_t s, ns = 0, digits = 0;

	if (!import_number(&p, 10, &s) || s > 1ull << 32 || *p++ != '.')
		return false;
	for (; *p >= '0' && *p <= '9'; p++)
		if (digits++ < 9)
			ns = ns * 10 + (uint64_t)(*p - '0');
	for (; digits < 9; digits++)
		ns *= 10;
	if (*p++ != ':')
		return false;
	*end = p;
	*out = s * 1000000000 + ns;
	return true;
}

static uint8_t import_perf_kind(const char *event)
{
	if (strstr(event, "store"))
		return POLICY_WRITE;
	return strstr(event, "load") ? POLICY_READ : POLICY_UNKNOWN;
}

/* Return: whether the line is a sample, as far as CPU and time. */
static bool import_perf_head(char *line, struct access_record *r, char **rest)
{
	char *p = strchr(line, '[');
	uint64_t cpu;

	if (!p)
		return false;
	p++;
	if (!import_number(&p, 10, &cpu) || *p++ != ']')
		return false;
	p += strspn(p, " \t");
	if (!import_perf_time(p, rest, &r->time_ns))
		return false;
	r->vcpu = (uint16_t)min_u64(cpu, ACCESS_NO_VCPU - 1);
	return true;
}

static int import_perf_line(struct import_run *im, char *line, struct diag *d)
{
	struct access_record r = { .weight = 1,
				   .node = ACCESS_NO_NODE,
				   .home = ACCESS_NO_NODE,
				   .class = ACCESS_MISS };
	bool any = false, event = false;
	char *p, *word, *save = NULL;

	if (!import_perf_head(line, &r, &p))
		return 0;
	for (word = strtok_r(p, " \t", &save); word;
	     word = strtok_r(NULL, " \t", &save)) {
		size_t len = strlen(word);
		uint64_t v;

		if (len > 1 && word[len - 1] == ':') {
			r.kind = import_perf_kind(word);
			event = true;
			continue;
		}
		if (!event)
			continue; /* the period */
		p = word;
		if (!import_number(&p, 16, &v) || *p)
			break;
		r.page = v;
		any = true;
	}
	if (!event || !any)
		return import_bad(im, d,
				  "a sample without an address: use 'perf "
				  "script -F tid,cpu,time,event,addr'");
	return r.page ? import_add(im, &r, d) : 0;
}

static int import_perf_read(struct import_run *im, FILE *f, struct diag *d)
{
	char *line;
	int got;

	while ((got = import_line(im, f, &line, d)) > 0) {
		if (line[0] == '#')
			continue;
		got = import_perf_line(im, line, d);
		if (got)
			break;
	}
	return got;
}

const struct import_kind import_perf = { .name = "perf",
					 .read = import_perf_read };
