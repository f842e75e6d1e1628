/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The source of sampled faults against logs that are good, overwritten and
 * hostile; and a model of what sampling by the first access after a random moment
 * makes of a guest's accesses, by a clock of the test's.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory/sources/source_faults.h"
#include "tests/unit/support.h"

#define PAGES	100u
#define RECORDS 512u
#define NOW	5000000000ull

static struct fault_log logs[2];
static uint64_t next[2];
static unsigned nr_vms, asked;
static struct access_source *source;
static struct access_record out[RECORDS];

static unsigned fake_nr_vms(void *arg)
{
	(void)arg;
	return nr_vms;
}

static void fake_log_of(void *arg, unsigned vm, struct faults_log *l)
{
	(void)arg;
	assert_true(vm < nr_vms);
	*l = (struct faults_log){ &logs[vm], &next[vm], PAGES };
}

/* CPUs 0 to 7 are two per node, by index. */
static uint8_t fake_node_of(void *arg, unsigned cpu)
{
	(void)arg;
	return cpu < 8 ? (uint8_t)(cpu / 2) : ACCESS_NO_NODE;
}

/* Pages from 90 on are not mapped; the others are on node page % 4. */
static void fake_homes_of(void *arg, unsigned vm, const uint64_t *pages,
			  unsigned nr, uint8_t *homes)
{
	(void)arg;
	(void)vm;
	assert_true(nr && nr <= FAULTS_BATCH);
	asked += nr;
	for (unsigned i = 0; i < nr; i++) {
		assert_true(pages[i] < PAGES);
		homes[i] = pages[i] < 90 ? (uint8_t)(pages[i] % 4)
					 : ACCESS_NO_NODE;
	}
}

static bool overtakes; /* the first log's writer, whenever it can */

/* It is asked once per record: then the writer is a whole log ahead again. */
static uint64_t fake_now_ns(void *arg)
{
	uint64_t n = atomic_load(&logs[0].written) + FAULT_LOG_ENTRIES;
	struct fault_log_entry *e =
		&logs[0].entries[(n - 1) % FAULT_LOG_ENTRIES];

	(void)arg;
	if (overtakes) {
		atomic_store(&e->stamp, n);
		atomic_store(&logs[0].written, n);
	}
	return NOW;
}

static uint8_t vms_node; /* of the vCPUs of all VMs; of logs of writes */

static uint8_t fake_writes_of(void *arg, unsigned vm)
{
	(void)arg;
	assert_true(vm < nr_vms);
	return vms_node;
}

static int set_up_with(uint8_t (*writes_of)(void *arg, unsigned vm))
{
	const struct faults_source_config c = { .nr_vms = fake_nr_vms,
						.log_of = fake_log_of,
						.node_of = fake_node_of,
						.homes_of = fake_homes_of,
						.now_ns = fake_now_ns,
						.writes_of = writes_of };

	memset(logs, 0, sizeof(logs));
	memset(next, 0, sizeof(next));
	nr_vms = 2;
	asked = 0;
	overtakes = false;
	return faults_source_create(&source, &c);
}

static int set_up(void **state)
{
	(void)state;
	return set_up_with(NULL);
}

static int set_up_writes(void **state)
{
	(void)state;
	vms_node = 2;
	return set_up_with(fake_writes_of);
}

static int tear_down(void **state)
{
	(void)state;
	access_destroy(source);
	return 0;
}

static struct fault_record fault(uint64_t page, unsigned cpu)
{
	return (struct fault_record){ .page = page,
				      .latency_ns = 1000000,
				      .cpu_first = (uint16_t)cpu,
				      .cpu_last = (uint16_t)cpu,
				      .vcpu = 1,
				      .kind = FAULT_LOG_WRITE };
}

static void add(unsigned vm, struct fault_record f)
{
	fault_log_add(&logs[vm], &f);
}

static void a_fault_is_a_record(void **state)
{
	struct fault_record f = fault(7, 4);

	(void)state;
	f.again = 1;
	add(1, f);
	f.vcpu = FAULT_LOG_NO_VCPU;
	f.kind = FAULT_LOG_UNKNOWN;
	f.cpu_last = 5; /* the same node */
	add(1, f);
	assert_int_equal(access_read(source, out, RECORDS), 2);
	assert_int_equal(out[0].time_ns, NOW);
	assert_int_equal(out[0].page, 7);
	assert_int_equal(out[0].vm, 1);
	assert_int_equal(out[0].node, 2);
	assert_int_equal(out[0].home, 3);
	assert_int_equal(out[0].vcpu, 1);
	assert_int_equal(out[0].kind, POLICY_WRITE);
	assert_int_equal(out[0].class, ACCESS_FAULT);
	assert_int_equal(out[0].weight, 100);
	assert_int_equal(out[0].counted, 0);
	assert_int_equal(out[1].vcpu, ACCESS_NO_VCPU);
	assert_int_equal(out[1].kind, POLICY_UNKNOWN);
	assert_int_equal(access_read(source, out, RECORDS), 0);
	assert_int_equal(source->strange, 0);
	assert_int_equal(source->lost, 0);
}

/* Of writes: what, and who only as far as all vCPUs are on one node. */
static void a_write_is_a_record(void **state)
{
	struct fault_record f = { .page = 7,
				  .latency_ns = 100000000,
				  .vcpu = FAULT_LOG_NO_VCPU,
				  .kind = FAULT_LOG_WRITE };

	(void)state;
	assert_string_equal(source->ops->name, "dirty");
	assert_int_equal(source->ops->class, ACCESS_DIRTY);
	add(1, f);
	assert_int_equal(access_read(source, out, RECORDS), 1);
	assert_int_equal(out[0].page, 7);
	assert_int_equal(out[0].vm, 1);
	assert_int_equal(out[0].node, 2);
	assert_int_equal(out[0].home, 3);
	assert_int_equal(out[0].vcpu, ACCESS_NO_VCPU);
	assert_int_equal(out[0].kind, POLICY_WRITE);
	assert_int_equal(out[0].class, ACCESS_DIRTY);
	assert_int_equal(out[0].weight, 1);
	/* The CPU of the entry is nobody's. */
	vms_node = ACCESS_NO_NODE;
	f.cpu_first = f.cpu_last = 1;
	f.vcpu = 0;
	add(1, f);
	assert_int_equal(access_read(source, out, RECORDS), 1);
	assert_int_equal(out[0].node, ACCESS_NO_NODE);
	assert_int_equal(out[0].vcpu, ACCESS_NO_VCPU);
	/* What a hostile worker may say. */
	f.page = PAGES;
	add(1, f);
	f.page = 95; /* not mapped */
	add(1, f);
	f.page = 7;
	f.kind = FAULT_LOG_READ;
	add(1, f);
	f.kind = FAULT_LOG_UNKNOWN;
	add(1, f);
	assert_int_equal(access_read(source, out, RECORDS), 0);
	assert_int_equal(source->strange, 4);
}

static void weights_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(faults_weight(0), FAULTS_WEIGHT_MAX);
	assert_int_equal(faults_weight(1000), FAULTS_WEIGHT_MAX);
	assert_int_equal(faults_weight(10000000), 10);
	assert_int_equal(faults_weight(FAULTS_INTERVAL_NS), 1);
	assert_int_equal(faults_weight(UINT64_MAX), 1);
}

/* What a worker says that a guest has taken over. */
static void hostile_entries_are_left_out(void **state)
{
	struct fault_record f;

	(void)state;
	add(0, fault(PAGES, 0));
	add(0, fault(UINT64_MAX, 0));
	add(0, fault(1, 8));
	add(0, fault(1, 65535));
	f = fault(1, 1);
	f.cpu_last = 2; /* of two nodes */
	add(0, f);
	f = fault(1, 0);
	f.kind = 3;
	add(0, f);
	f.kind = 255;
	add(0, f);
	f = fault(2, 0);
	f.vcpu = 65534;
	f.latency_ns = UINT64_MAX;
	f.again = 255;
	add(0, f);
	add(0, fault(95, 0)); /* not mapped any more */
	assert_int_equal(access_read(source, out, RECORDS), 1);
	assert_int_equal(out[0].page, 2);
	assert_int_equal(out[0].weight, 1);
	assert_int_equal(source->strange, 8);
}

/* Entries that are half written, of another time, or of a writer that jumps. */
static void broken_logs_end(void **state)
{
	(void)state;
	nr_vms = 1;
	/* Truncated: the count is there, and entries are not. */
	atomic_store(&logs[0].written, 10);
	assert_int_equal(access_read(source, out, RECORDS), 0);
	assert_int_equal(source->lost, 10);
	/* Ahead by more than all entries, to the end of numbers. */
	atomic_store(&logs[0].written, UINT64_MAX);
	assert_int_equal(access_read(source, out, RECORDS), 0);
	assert_int_equal(next[0], UINT64_MAX);
	/* Back again. */
	atomic_store(&logs[0].written, 3);
	assert_int_equal(access_read(source, out, RECORDS), 0);
	assert_int_equal(next[0], 3);
	add(0, fault(8, 0));
	assert_int_equal(access_read(source, out, RECORDS), 1);
	/* A stamp of an entry that is being written. */
	add(0, fault(9, 0));
	add(0, fault(10, 0));
	atomic_store(&logs[0].entries[4].stamp, 0);
	assert_int_equal(access_read(source, out, RECORDS), 1);
	assert_int_equal(out[0].page, 10);
	/* Random bytes: no record but sound ones, and an end. */
	srand(1);
	for (unsigned n = 0; n < 200; n++) {
		uint8_t *bytes = (uint8_t *)&logs[0];
		int nr;

		for (size_t i = 0; i < sizeof(logs[0]); i++)
			bytes[i] = (uint8_t)rand();
		for (uint64_t i = 0; n % 2 && i < FAULT_LOG_ENTRIES; i++) {
			struct fault_log_entry *e = &logs[0].entries[i];

			atomic_store(&logs[0].written,
				     next[0] + FAULT_LOG_ENTRIES);
			atomic_store(&logs[0].entries[(next[0] + i) %
						      FAULT_LOG_ENTRIES]
					      .stamp,
				     next[0] + i + 1);
			if (i % 2)
				atomic_store(&e->page, i % (PAGES + 5));
		}
		nr = access_read(source, out, RECORDS);
		for (int i = 0; i < nr; i++) {
			assert_true(out[i].page < 90 && out[i].node < 4);
			assert_true(out[i].weight <= FAULTS_WEIGHT_MAX);
		}
	}
}

/* It cannot make the agent search for one record after the other. */
static void a_writer_that_overtakes_has_one_search(void **state)
{
	uint64_t before;

	(void)state;
	overtakes = true;
	add(0, fault(8, 0));
	for (unsigned i = 0; i < 10; i++) {
		before = source->lost;
		assert_int_equal(access_read(source, out, RECORDS), 1);
		assert_int_equal(out[0].page, 8);
		assert_true(source->lost - before < 2 * FAULT_LOG_ENTRIES);
	}
	/* Nor does it keep the records of others back. */
	add(1, fault(9, 0));
	assert_int_equal(access_read(source, out, RECORDS), 2);
}

static void each_vm_has_its_turn(void **state)
{
	unsigned of[2] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		add(0, fault(i % 80, 0));
		add(1, fault(i % 80, 0));
	}
	for (unsigned n = 0; n < 4; n++) {
		int nr = access_read(source, out, 100);

		assert_int_equal(nr, 100);
		for (int i = 0; i < nr; i++)
			of[out[i].vm]++;
	}
	assert_true(of[0] == 200 && of[1] == 200);
	nr_vms = 1; /* the second one has ended */
	assert_int_equal(access_read(source, out, RECORDS), RECORDS);
	nr_vms = 0;
	assert_int_equal(access_read(source, out, RECORDS), 0);
	assert_int_equal(source->lost, 0);
}

/* Many more than there are entries: the oldest are lost, and counted. */
static void a_slow_reader_loses_the_oldest(void **state)
{
	(void)state;
	for (unsigned i = 0; i < FAULT_LOG_ENTRIES + 76; i++)
		add(0, fault(i % 80, 0));
	assert_int_equal(access_read(source, out, RECORDS), RECORDS);
	assert_int_equal(source->lost, 76);
	assert_int_equal(out[0].page, 76);
}

/* --- a model of the bias --------------------------------------------------- */

static double uniform(void)
{
	return ((double)rand() + 1) / ((double)RAND_MAX + 2);
}

static double exponential(double rate)
{
	return -log(uniform()) / rate;
}

/*
 * A page is accessed by node 0 at rate[0] and by node 1 at rate[1] per second,
 * each access of a node being a burst of burst[] accesses at one time. It is
 * looked at at random moments. Return: share of looks that see node 0; @weight:
 * mean weight, accesses that were not seen within the life of a trap being 0.
 */
static double look(const double rate[2], double life_s, double *weight)
{
	const unsigned looks = 40000;
	unsigned first = 0, seen = 0;
	double sum = 0;

	for (unsigned i = 0; i < looks; i++) {
		double a = rate[0] > 0 ? exponential(rate[0]) : INFINITY;
		double b = rate[1] > 0 ? exponential(rate[1]) : INFINITY;
		double d = fmin(a, b);

		if (d > life_s)
			continue;
		seen++;
		first += a < b;
		sum += faults_weight((uint64_t)(d * 1e9));
	}
	*weight = sum / looks;
	return seen ? (double)first / seen : 0;
}

static void who_is_seen_as_often_as_it_accesses(void **state)
{
	static const double rates[][2] = {
		{ 8, 2 }, { 800, 200 }, { 80000, 20000 }, { 60, 40 }, { 10, 0 }
	};

	(void)state;
	srand(2);
	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		double weight, of = rates[i][0] + rates[i][1];
		double share = look(rates[i], 0.5, &weight);

		print_message("# %6.0f/s: share %.3f, seen as %.3f\n", of,
			      rates[i][0] / of, share);
		assert_true(fabs(share - rates[i][0] / of) < 0.02);
	}
}

/* Accesses in bursts of 100 by node 0, as many one by one by node 1. */
static void bursts_are_seen_less(void **state)
{
	const double rate[2] = { 10, 1000 }; /* 1000 accesses each */
	double weight, share;

	(void)state;
	srand(3);
	share = look(rate, 0.5, &weight);
	print_message(
		"# half of the accesses, in bursts of 100: seen as %.3f\n",
		share);
	assert_true(share < 0.02);
}

/*
 * Weights put pages in the order of their rates, from what a trap lives for to
 * the weight's bound; what is hotter than that is hot, and no more.
 */
static void weights_follow_rates(void **state)
{
	static const double rates[] = { 0.5, 1, 10, 100, 1000, 1280, 100000 };
	double before = 0;

	(void)state;
	srand(4);
	for (unsigned i = 0; i < ARRAY_SIZE(rates); i++) {
		const double rate[2] = { rates[i], 0 };
		double weight;

		(void)look(rate, 0.5, &weight);
		print_message("# %8.1f accesses per s: mean weight %.2f\n",
			      rates[i], weight);
		assert_true(weight > before);
		before = weight;
	}
	assert_true(before > FAULTS_WEIGHT_MAX * 0.99);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fault_is_a_record),
		cmocka_unit_test_setup_teardown(a_write_is_a_record,
						set_up_writes, tear_down),
		cmocka_unit_test(weights_are_bounded),
		TEST(hostile_entries_are_left_out),
		TEST(broken_logs_end),
		TEST(a_writer_that_overtakes_has_one_search),
		TEST(each_vm_has_its_turn),
		TEST(a_slow_reader_loses_the_oldest),
		cmocka_unit_test(who_is_seen_as_often_as_it_accesses),
		cmocka_unit_test(bursts_are_seen_less),
		cmocka_unit_test(weights_follow_rates),
	};

	return cmocka_run_group_tests_name("source_faults", tests, NULL, NULL);
}
