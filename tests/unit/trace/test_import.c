/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Recordings of other tools, small ones from tests/fixtures/import: what comes
 * out access by access; and what is refused, with its line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/import/import.h"
#include "tests/unit/support.h"
#include "tests/unit/trace/files.h"

#define FIXTURES  "tests/fixtures/import/"
#define FIRST_SUM 0x61126ebcf09d7618ull /* of engineering,ms=50,seed=9 */

static struct import_run *begin(const char *kind)
{
	struct import_config c = { .kind = import_find(kind), .step_ns = 1 };
	struct import_run *im;

	assert_non_null(c.kind);
	c.cache_bytes = import_standard_cache(c.kind);
	assert_int_equal(import_create(&im, &c), 0);
	return im;
}

static void add_file(struct import_run *im, const char *path)
{
	struct diag d = { .status = ST_OK };
	FILE *f = fopen(path, "re");

	assert_non_null(f);
	assert_int_equal(import_file(im, f, path, &d), 0);
	(void)fclose(f);
}

/* Of two nodes, with two CPUs each. */
static struct trace_reader *end_of(struct import_run *im)
{
	static const uint8_t nodes[IMPORT_MAX_CPUS] = { 0, 0, 1, 1 };
	struct trace_info *info = info_make();
	struct diag d = { .status = ST_OK };
	struct trace_reader *r;
	int fd = file_make();

	assert_int_equal(import_write(im, fd, info, nodes, &d), 0);
	import_destroy(im);
	free(info);
	assert_int_equal(trace_open(&r, fd, "imported", &d), 0);
	return r;
}

struct want {
	uint64_t time_ns, page;
	uint32_t vm, weight;
	uint16_t vcpu;
	uint8_t node, kind;
};

static void expect(struct trace_reader *r, const struct want *want, unsigned nr)
{
	struct diag d = { .status = ST_OK };
	struct trace_chunk c;

	assert_int_equal(trace_next(r, &c, &d), 1);
	assert_int_equal(c.nr, nr);
	for (unsigned i = 0; i < nr; i++) {
		assert_int_equal(c.records[i].time_ns, want[i].time_ns);
		assert_int_equal(c.records[i].page, want[i].page);
		assert_int_equal(c.records[i].vm, want[i].vm);
		assert_int_equal(c.records[i].weight, want[i].weight);
		assert_int_equal(c.records[i].vcpu, want[i].vcpu);
		assert_int_equal(c.records[i].node, want[i].node);
		assert_int_equal(c.records[i].kind, want[i].kind);
	}
}

static void perf_samples(void **state)
{
	static const struct want want[] = {
		{ 100000001000, 1, 0, 1, 0, 0, POLICY_READ },
		{ 100000011000, 1, 0, 1, 0, 0, POLICY_READ },
		{ 100000020000, 2, 0, 1, 3, 1, POLICY_WRITE },
		{ 100000031000, 2, 0, 1, 3, 1, POLICY_WRITE },
		{ 100000040123, 3, 0, 1, 2, 1, POLICY_READ },
		/* With phys_addr, that is the page. */
		{ 100000051000, 0, 0, 1, 1, 0, POLICY_UNKNOWN },
	};
	struct import_run *im = begin("perf");
	struct trace_reader *r;

	(void)state;
	add_file(im, FIXTURES "perf.txt");
	assert_int_equal(import_nr_cpus(im), 4);
	r = end_of(im);
	assert_int_equal(trace_info(r)->vms[0].pages, 4);
	assert_string_equal(trace_info(r)->origin, "perf");
	expect(r, want, ARRAY_SIZE(want));
	trace_close(r);
}

static void damo_records(void **state)
{
	static const char *const files[] = { FIXTURES "damo.json",
					     FIXTURES "damo.data" };
	static const struct want want[] = {
		{ 1100000000, 0, 0, 3, ACCESS_NO_VCPU, ACCESS_NO_NODE, 2 },
		{ 1100000000, 1, 0, 3, ACCESS_NO_VCPU, ACCESS_NO_NODE, 2 },
		{ 1200000000, 0, 0, 20, ACCESS_NO_VCPU, ACCESS_NO_NODE, 2 },
		{ 1200000000, 2, 0, 1, ACCESS_NO_VCPU, ACCESS_NO_NODE, 2 },
		{ 1200000000, 3, 0, 1, ACCESS_NO_VCPU, ACCESS_NO_NODE, 2 },
	};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct import_run *im = begin("damo");
		struct trace_reader *r;

		add_file(im, files[i]);
		assert_int_equal(import_nr_cpus(im), 0);
		r = end_of(im);
		expect(r, want, ARRAY_SIZE(want));
		trace_close(r);
	}
}

/* A real one; its first accesses are known, and its cache lets few through. */
static void lackey_accesses(void **state)
{
	struct import_run *im = begin("lackey");
	struct diag d = { .status = ST_OK };
	struct trace_reader *r;
	struct trace_chunk c;
	uint64_t lines = 0;
	char line[256];
	FILE *f = fopen(FIXTURES "lackey.txt", "re");

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		lines += line[0] == ' ';
	(void)fclose(f);
	add_file(im, FIXTURES "lackey.txt");
	assert_int_equal(import_nr_cpus(im), 1);
	r = end_of(im);
	assert_int_equal(trace_next(r, &c, &d), 1);
	assert_true(c.nr > 10 && c.nr < lines / 4);
	assert_int_equal(c.records[0].kind, POLICY_WRITE);
	assert_int_equal(c.records[0].node, 0);
	assert_true(c.records[c.nr - 1].time_ns > 0);
	trace_close(r);
}

static void ramulator_cores(void **state)
{
	static const struct want want[] = {
		{ 3, 0, 0, 1, 0, 0, POLICY_READ },
		{ 5, 0, 0, 1, 0, 0, POLICY_READ },
		{ 5, 0, 0, 1, 0, 0, POLICY_WRITE },
		{ 6, 1, 0, 1, 0, 0, POLICY_READ },
		{ 10, 0, 0, 1, 1, 0, POLICY_READ },
		{ 13, 2, 0, 1, 1, 0, POLICY_READ },
	};
	struct import_run *im = begin("ramulator");
	struct trace_reader *r;

	(void)state;
	add_file(im, FIXTURES "ramulator.0");
	add_file(im, FIXTURES "ramulator.1");
	assert_int_equal(import_nr_cpus(im), 2);
	r = end_of(im);
	expect(r, want, ARRAY_SIZE(want));
	trace_close(r);
}

static void csv_of_our_own(void **state)
{
	static const struct want want[] = {
		{ 1000, 5, 0, 1, 0, 0, POLICY_WRITE },
		{ 2000, 5, 0, 16, 1, 1, POLICY_READ },
		{ 3000, 9, 1, 3, ACCESS_NO_VCPU, ACCESS_NO_NODE,
		  POLICY_UNKNOWN },
		{ 4000, 7, 0, 1, 2, 1, POLICY_READ },
	};
	struct import_run *im = begin("csv");
	struct trace_reader *r;

	(void)state;
	add_file(im, FIXTURES "run.csv");
	assert_int_equal(import_nr_nodes(im), 2);
	r = end_of(im);
	assert_int_equal(trace_info(r)->nr_vms, 2);
	assert_int_equal(trace_info(r)->vms[0].pages, 8);
	assert_int_equal(trace_info(r)->vms[1].pages, 10);
	expect(r, want, ARRAY_SIZE(want));
	assert_int_equal(trace_totals(r)->events, 2);
	trace_close(r);
}

static void damaged_files_are_refused_with_their_line(void **state)
{
	static const struct {
		const char *kind, *text, *why;
	} bad[] = {
		{ "perf", "x 1 [000] 1.0:  loads:\n", "line 1: a sample" },
		{ "perf", "\n1 [99999] 1.0: loads: 1000\n", "line 2: number" },
		{ "ramulator", "1 4096\n1\n", "line 2: no address that is" },
		{ "ramulator", "1 4096 x\n", "line 1: no address that is w" },
		{ "ramulator", "99999999999999999999999 1\n", "no number" },
		{ "csv", "time\n", "line 1: the first line is not" },
		{ "csv",
		  "time_ns,vm,vcpu,node,home,page,kind,weight,class,mark\n"
		  "1,0,0,0,0,5\n",
		  "line 2: fewer than 10" },
		{ "csv",
		  "time_ns,vm,vcpu,node,home,page,kind,weight,class,mark\n"
		  "1,0,0,0,0,5,q,1,miss,\n",
		  "line 2: a field" },
		{ "damo", "{}", "no list of records" },
		{ "damo", "[{}]", "without snapshots" },
		{ "damo", "x\x9c nonsense", "damaged zlib" },
		{ "damo", "[{\"snapshots\": [{\"end_time\": 5}]}]",
		  "without end_time or regions" },
		{ "damo", "nothing", "no JSON" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		FILE *f = fmemopen((void *)(uintptr_t)bad[i].text,
				   strlen(bad[i].text), "r");
		struct import_run *im = begin(bad[i].kind);
		struct diag d = { .status = ST_OK };

		assert_non_null(f);
		assert_int_equal(import_file(im, f, "f", &d), -EBADMSG);
		assert_int_equal(d.status, ST_TRACE);
		if (!strstr(d.text, bad[i].why))
			fail_msg("%s, not %s", d.text, bad[i].why);
		(void)fclose(f);
		import_destroy(im);
	}
	assert_null(import_find("pin"));
}

static void an_empty_file_is_no_trace(void **state)
{
	struct import_run *im = begin("lackey");
	struct trace_info *info = info_make();
	struct diag d = { .status = ST_OK };
	FILE *f = fmemopen((void *)(uintptr_t) "hello\n", 6, "r");
	int fd = file_make();

	(void)state;
	assert_int_equal(import_file(im, f, "f", &d), 0);
	assert_int_equal(import_write(im, fd, info, NULL, &d), -EBADMSG);
	assert_string_equal(d.text, "f: there is no access in it");
	(void)fclose(f);
	(void)close(fd);
	import_destroy(im);
	free(info);
}

/* The same words make the same bytes, here and elsewhere. */
static void synthetic_runs_are_reproducible(void **state)
{
	struct diag d = { .status = ST_OK };
	const char *name, *help;
	struct synth s;

	(void)state;
	for (unsigned i = 0; synth_kind_at(i, &name, &help); i++) {
		uint64_t sum[2] = { 14695981039346656037ull,
				    14695981039346656037ull };
		char text[64];

		(void)snprintf(text, sizeof(text), "%s,ms=50,seed=9", name);
		assert_int_equal(synth_parse(text, &s, &d), 0);
		for (unsigned k = 0; k < 2; k++) {
			struct trace_reader *r;
			struct trace_chunk c;
			uint64_t nr = 0;

			assert_int_equal(
				trace_open(&r, synth_file(text), "s", &d), 0);
			while (trace_next(r, &c, &d) > 0)
				for (uint32_t n = 0; n < c.nr; n++, nr++) {
					sum[k] ^= c.records[n].page * 31 +
						  c.records[n].node * 7 +
						  c.records[n].kind +
						  c.records[n].time_ns;
					sum[k] *= 1099511628211ull;
				}
			assert_int_equal(nr, synth_accesses(&s));
			trace_close(r);
		}
		assert_int_equal(sum[0], sum[1]);
		if (i == 0)
			assert_int_equal(sum[0], FIRST_SUM);
	}
	assert_int_equal(synth_parse("none", &s, &d), -EINVAL);
	d = (struct diag){ 0 };
	assert_int_equal(synth_parse("radix,cpus=3,nodes=2", &s, &d), -EINVAL);
	d = (struct diag){ 0 };
	assert_int_equal(synth_parse("radix,size=3", &s, &d), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(perf_samples),
		cmocka_unit_test(damo_records),
		cmocka_unit_test(lackey_accesses),
		cmocka_unit_test(ramulator_cores),
		cmocka_unit_test(csv_of_our_own),
		cmocka_unit_test(damaged_files_are_refused_with_their_line),
		cmocka_unit_test(an_empty_file_is_no_trace),
		cmocka_unit_test(synthetic_runs_are_reproducible),
	};

	return cmocka_run_group_tests_name("import", tests, NULL, NULL);
}
