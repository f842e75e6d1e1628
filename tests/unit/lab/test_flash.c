/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FLASH counters, both ends: the plugin (lab/flash.c) is part of this
 * program, which stands for QEMU, and the reader (numa/flash.c) opens the same
 * window. A small machine: two nodes, two CPUs each, 16 pages per node, a cache
 * of two sets of two lines.
 */
#include <stdlib.h>
#include <unistd.h>

#include "numa/flash.h"
#include "tests/unit/support.h"

#include "lab/flash.c"

#define LINE	   64u
#define PAGES	   32u /* 16 per node */
#define WINDOW_MIB 16u

/* --- QEMU ----------------------------------------------------------------- */

static uint64_t executed[FLASH_MAX_CPUS];
static plugin_tb_fn *translated;
static plugin_mem_fn *accessed;
static unsigned nr_registered;
static uint64_t inline_n;

struct qemu_plugin_hwaddr {
	uint64_t at;
	bool io;
};
static struct qemu_plugin_hwaddr hwaddr;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, plugin_tb_fn *fn)
{
	(void)id;
	translated = fn;
}

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb)
{
	(void)tb;
	return 3;
}

struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i)
{
	(void)tb;
	assert_true(i < 3);
	return NULL;
}

void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      plugin_mem_fn *fn, int flags, int rw,
				      void *arg)
{
	(void)insn;
	(void)arg;
	assert_int_equal(flags, 0);
	assert_int_equal(rw, 3);
	accessed = fn;
	nr_registered++;
}

void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
	struct qemu_plugin_tb *tb, int op, struct plugin_u64 entry, uint64_t n)
{
	(void)tb;
	assert_int_equal(op, 0);
	assert_ptr_equal(entry.score, executed);
	inline_n = n;
}

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t bytes)
{
	assert_int_equal(bytes, sizeof(uint64_t));
	return (void *)executed;
}

uint64_t qemu_plugin_u64_get(struct plugin_u64 entry, unsigned cpu)
{
	assert_int_equal(entry.offset, 0);
	return executed[cpu];
}

struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr)
{
	(void)info;
	hwaddr.at = vaddr;
	return &hwaddr;
}

bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *addr)
{
	return addr->io;
}

uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *addr)
{
	return addr->at;
}

bool qemu_plugin_mem_is_store(uint32_t info)
{
	return info;
}

/* --- the machine ---------------------------------------------------------- */

static char path[] = "/tmp/test_flash.XXXXXX";
static char window_arg[64];
static struct flash reader; /* writable: as the lab's */
static struct flash_cursor cursor;

static int install(const char *const *args, int nr)
{
	return qemu_plugin_install(1, NULL, nr, (char **)(uintptr_t)args);
}

/* The reader's end of a file, as flash_open() has it of a device. */
static void open_as_lab(void)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	reader.bytes = MIB(WINDOW_MIB);
	reader.base = mmap(NULL, reader.bytes, PROT_READ | PROT_WRITE,
			   MAP_SHARED, fd, 0);
	assert_ptr_not_equal(reader.base, MAP_FAILED);
	reader.writable = true;
	reader.nr_cpus = 4;
	reader.cores = 2;
	reader.nr_nodes = 2;
	reader.nr_pages = model.nr_frames;
	reader.trigger = 4;
	(void)close(fd);
}

/* CPUs 0, 1 and pages 0..15 on node 0, the others on node 1. */
static void write_map(void)
{
	struct flash_control *c = model.control;

	memset(c->node_of_cpu, UINT8_MAX, sizeof(c->node_of_cpu));
	for (unsigned cpu = 0; cpu < 4; cpu++)
		c->node_of_cpu[cpu] = (uint8_t)(cpu / 2);
	c->distance[0][0] = c->distance[1][1] = 10;
	c->distance[0][1] = c->distance[1][0] = 25;
	c->ranges[0] = (struct flash_range){ .end = PAGES / 2 };
	c->ranges[1] = (struct flash_range){ .first = PAGES / 2,
					     .end = PAGES,
					     .node = 1 };
	c->nr_ranges = 2;
	c->map_version++;
}

static int make_machine(void **state)
{
	const char *args[] = { window_arg, "nodes=2", "cpus=4",	  "size=256",
			       "ways=2",   "line=64", "trigger=4" };
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0 || ftruncate(fd, (off_t)MIB(WINDOW_MIB)))
		return -1;
	(void)close(fd);
	(void)snprintf(window_arg, sizeof(window_arg), "window=%s", path);
	if (install(args, 7))
		return -1;
	translated(1, NULL);
	open_as_lab();
	write_map();
	return 0;
}

static int end_machine(void **state)
{
	(void)state;
	flash_close(&reader);
	return unlink(path);
}

/* Before each test: nothing counted, all caches empty, counting. */
static int start(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++)
		if (model.cpus[i].ways)
			memset(model.cpus[i].ways, 0, 4 * sizeof(struct way));
	memset((void *)model.directory, 0,
	       (size_t)(PAGES << FLASH_PAGE_SHIFT) / LINE * sizeof(uint32_t));
	model.control->generation++;
	model.control->nr_marks = 0;
	model.control->on = 1;
	flash_skip_hots(&reader, &cursor);
	hwaddr.io = false;
	for (unsigned i = 0; i < 4; i++) {
		hwaddr.io = true;
		accessed(i, 0, 0, NULL);
		hwaddr.io = false;
	}
	return 0;
}

static void load(unsigned cpu, uint64_t at)
{
	accessed(cpu, 0, at, NULL);
}

static void store(unsigned cpu, uint64_t at)
{
	accessed(cpu, 1, at, NULL);
}

static uint64_t in_page(unsigned page, unsigned line)
{
	return (uint64_t)page * PAGE_BYTES + line * LINE;
}

static uint64_t misses(unsigned cpu, unsigned home, enum flash_rw rw)
{
	struct flash_counts c;

	flash_read_cpu(&reader, cpu, FLASH_NOW, &c);
	return c.misses[home][rw];
}

/* --- tests ---------------------------------------------------------------- */

static void each_instruction_is_seen(void **state)
{
	(void)state;
	assert_int_equal(nr_registered, 3);
	assert_int_equal(inline_n, 3);
	assert_int_equal(model.head->magic, FLASH_MAGIC);
}

static void a_second_access_of_a_line_hits(void **state)
{
	(void)state;
	load(0, in_page(1, 0));
	load(0, in_page(1, 0) + 8);
	store(0, in_page(1, 0)); /* only this CPU has it: no upgrade */
	assert_int_equal(misses(0, 0, FLASH_READ), 1);
	assert_int_equal(misses(0, 0, FLASH_WRITE), 0);
	load(0, in_page(1, 1));
	assert_int_equal(misses(0, 0, FLASH_READ), 2);
	assert_int_equal(flash_page(&reader, 1, 0, FLASH_READ), 2);
	assert_int_equal(flash_page(&reader, 1, 1, FLASH_READ), 0);
}

static void misses_are_of_the_home_and_of_who_accesses(void **state)
{
	(void)state;
	load(0, in_page(20, 0));  /* node 0 in memory of node 1 */
	store(3, in_page(20, 1)); /* node 1 in its own */
	store(2, in_page(2, 0));  /* node 1 in memory of node 0 */
	assert_int_equal(misses(0, 1, FLASH_READ), 1);
	assert_int_equal(misses(3, 1, FLASH_WRITE), 1);
	assert_int_equal(misses(2, 0, FLASH_WRITE), 1);
	assert_int_equal(flash_page(&reader, 20, 0, FLASH_READ), 1);
	assert_int_equal(flash_page(&reader, 20, 1, FLASH_WRITE), 1);
	assert_int_equal(flash_page(&reader, 2, 1, FLASH_WRITE), 1);
	assert_int_equal(flash_node_of_frame(&reader, 20), 1);
	assert_int_equal(flash_node_of_frame(&reader, PAGES), -1);
	assert_int_equal(flash_node_of_cpu(&reader, 3), 1);
	assert_int_equal(flash_node_of_cpu(&reader, 4), -1);
}

/* Lines 0, 2, 4 share a set of two: the least recently used one goes. */
static void the_least_recently_used_line_is_replaced(void **state)
{
	(void)state;
	load(0, in_page(1, 0));
	load(0, in_page(1, 2));
	load(0, in_page(1, 0));
	load(0, in_page(1, 4)); /* replaces 2 */
	assert_int_equal(misses(0, 0, FLASH_READ), 3);
	load(0, in_page(1, 0));
	assert_int_equal(misses(0, 0, FLASH_READ), 3);
	load(0, in_page(1, 2));
	assert_int_equal(misses(0, 0, FLASH_READ), 4);
	load(0, in_page(1, 1)); /* another set */
	load(0, in_page(1, 1));
	assert_int_equal(misses(0, 0, FLASH_READ), 5);
}

static void a_write_invalidates_other_copies(void **state)
{
	struct flash_counts c;

	(void)state;
	load(0, in_page(1, 0));
	load(2, in_page(1, 0));
	load(0, in_page(1, 0));
	assert_int_equal(misses(0, 0, FLASH_READ), 1);
	store(2, in_page(1, 0)); /* has it, and has to become the owner */
	store(2, in_page(1, 0));
	flash_read_cpu(&reader, 2, FLASH_NOW, &c);
	assert_int_equal(c.misses[0][FLASH_WRITE], 1);
	assert_int_equal(c.upgrades, 1);
	load(0, in_page(1, 0));
	assert_int_equal(misses(0, 0, FLASH_READ), 2);
	load(0, in_page(1, 0));
	assert_int_equal(misses(0, 0, FLASH_READ), 2);
	store(2, in_page(1, 0)); /* shared again */
	assert_int_equal(misses(2, 0, FLASH_WRITE), 2);
}

static void instructions_count_while_it_is_on(void **state)
{
	struct flash_counts c;

	(void)state;
	executed[1] += 1000;
	model.control->on = 0;
	load(1, in_page(1, 0));
	executed[1] += 5000;
	load(1, in_page(1, 0));
	model.control->on = 1;
	load(1, in_page(1, 0));
	executed[1] += 500;
	model.control->on = 0;
	load(1, in_page(1, 0));
	flash_read_cpu(&reader, 1, FLASH_NOW, &c);
	assert_int_equal(c.instructions, 1500);
	assert_int_equal(c.accesses, 1);
	assert_int_equal(c.misses[0][FLASH_READ], 1);
}

/* 200 MHz and an instruction per cycle; 300 ns, and 600 at twice the distance. */
static void the_clock_follows_the_busiest_cpu(void **state)
{
	struct flash_clock c = { 0 };
	uint64_t then, now;

	(void)state;
	memset(model.control->number_of_cpu, UINT8_MAX, FLASH_MAX_CPUS);
	model.control->number_of_cpu[0] = 7;
	model.control->distance[0][0] = 10;
	model.control->distance[0][1] = 20;
	assert_int_equal(flash_clock_read(&reader, &c), 0);
	assert_int_equal(flash_clock_read(&reader, &c), 0); /* all rest */
	load(0, in_page(1, 0));
	load(0, in_page(20, 0));
	load(2, in_page(20, 1)); /* meanwhile */
	assert_int_equal(flash_clock_read(&reader, &c), 900);
	executed[0] += 1000;
	load(2, in_page(20, 2));
	load(0, in_page(1, 0));
	model.control->on = 0;
	load(0, in_page(1, 0)); /* it publishes its instructions */
	model.control->on = 1;
	assert_int_equal(flash_clock_read(&reader, &c), 5900);
	assert_int_equal(flash_work_ns(&reader, 7), 5900);
	assert_int_equal(flash_work_ns(&reader, 99), 0);
	/* Counts that begin anew do not turn it back. */
	model.control->generation++;
	load(0, in_page(1, 5));
	assert_int_equal(flash_clock_read(&reader, &c), 6200);
	/* Nothing is counted: as the emulation does, but faster. */
	model.control->on = 0;
	then = c.looked_ns;
	(void)poll(NULL, 0, 2);
	now = flash_clock_read(&reader, &c);
	assert_int_equal(now, 6200 + (c.looked_ns - then) / FLASH_SLOWDOWN);
	assert_true(now > 6200);
	model.control->on = 1;
}

static void a_reset_clears_pages_and_cpus(void **state)
{
	(void)state;
	load(0, in_page(1, 0));
	load(2, in_page(1, 0));
	assert_int_equal(flash_page(&reader, 1, 0, FLASH_READ), 1);
	/* No CPU accesses memory while this program waits. */
	assert_int_equal(flash_reset(&reader), -ETIMEDOUT);
	assert_int_equal(misses(0, 0, FLASH_READ), 0);
	assert_int_equal(flash_page(&reader, 1, 0, FLASH_READ), 1);
	load(2, in_page(1, 0));
	assert_int_equal(flash_page(&reader, 1, 0, FLASH_READ), 0);
	assert_int_equal(flash_page(&reader, 1, 1, FLASH_READ), 0);
	assert_int_equal(misses(2, 0, FLASH_READ), 0);
	load(0, in_page(1, 1));
	assert_int_equal(misses(0, 0, FLASH_READ), 1);
}

static void a_hot_page_is_queued_at_each_trigger(void **state)
{
	struct flash_page_hot hot;

	(void)state;
	for (unsigned i = 0; i < 9; i++)
		load(2, in_page(3, i));
	assert_true(flash_take_hot(&reader, &cursor, 1, &hot));
	assert_int_equal(hot.frame, 3);
	assert_false(hot.write);
	assert_int_equal(hot.cpu, 2);
	assert_int_equal(hot.reads, 4);
	store(3, in_page(3, 20)); /* the node's other CPU */
	store(3, in_page(3, 21));
	store(3, in_page(3, 22));
	assert_true(flash_take_hot(&reader, &cursor, 1, &hot));
	assert_int_equal(hot.reads, 8);
	assert_true(flash_take_hot(&reader, &cursor, 1, &hot));
	assert_int_equal(hot.reads, 9);
	assert_int_equal(hot.writes, 3);
	assert_int_equal(hot.cpu, 3);
	assert_true(hot.write);
	assert_false(flash_take_hot(&reader, &cursor, 1, &hot));
	assert_false(flash_take_hot(&reader, &cursor, 0, &hot));
	assert_false(flash_take_hot(&reader, &cursor, 2, &hot));
}

/* Its own place is each reader's own; who is too late loses the oldest. */
static void a_slow_reader_loses_and_knows(void **state)
{
	struct flash_cursor other = cursor;
	struct flash_page_hot hot;
	uint64_t taken = 0;

	(void)state;
	/* Lines of three, in turn, in a set of two: each access misses. */
	for (unsigned i = 0; i < (FLASH_QUEUE_HOTS + 10) * 4; i++) {
		load(0, in_page(4, 2 * (i % 3)));
		if (i % 4 == 3)
			assert_true(flash_take_hot(&reader, &other, 0, &hot));
	}
	assert_int_equal(other.lost, 0);
	assert_int_equal(cursor.lost, 0);
	while (flash_take_hot(&reader, &cursor, 0, &hot))
		taken++;
	assert_int_equal(taken, FLASH_QUEUE_HOTS);
	assert_int_equal(cursor.lost, 10);
	assert_int_equal(hot.reads, (FLASH_QUEUE_HOTS + 10) * 4);
	cursor.lost = 0;
}

static void put(uint64_t stamp, uint64_t frame, uint32_t cpu)
{
	struct flash_queue *q = &model.queues[0];
	struct flash_hot *h = &q->hots[q->head++ % FLASH_QUEUE_HOTS];

	h->stamp = stamp ? stamp : q->head;
	h->frame = frame;
	h->cpu = cpu;
}

/* An entry that the window's other end cannot have meant is left out. */
static void hostile_entries_are_skipped(void **state)
{
	struct flash_page_hot hot;

	(void)state;
	put(0, UINT64_MAX, 0);
	put(0, 1, 64);
	put(UINT64_MAX, 1, 0); /* half written */
	put(0, 7, 0);
	assert_true(flash_take_hot(&reader, &cursor, 0, &hot));
	assert_int_equal(hot.frame, 7);
	assert_false(flash_take_hot(&reader, &cursor, 0, &hot));
	assert_int_equal(cursor.lost, 1);
	cursor.lost = 0;
	cursor.next[0] = UINT64_MAX;
	assert_false(flash_take_hot(&reader, &cursor, 0, &hot));
	put(0, 7, 0);
	assert_true(flash_take_hot(&reader, &cursor, 0, &hot));
	assert_int_equal(flash_page(&reader, UINT64_MAX, 0, FLASH_READ), 0);
	assert_int_equal(flash_page(&reader, 0, 16, FLASH_READ), 0);
}

static void what_no_node_has_is_not_counted(void **state)
{
	struct flash_counts c;

	(void)state;
	load(0, in_page(PAGES, 0)); /* no range has it */
	load(0, UINT64_MAX);	    /* no memory has it */
	hwaddr.io = true;
	load(0, in_page(1, 0));
	hwaddr.io = false;
	accessed(63, 0, 0, NULL); /* no such CPU */
	flash_read_cpu(&reader, 0, FLASH_NOW, &c);
	assert_int_equal(c.unknown, 1);
	assert_int_equal(c.misses[0][FLASH_READ], 0);
	flash_read_cpu(&reader, 63, FLASH_NOW, &c);
	assert_int_equal(c.accesses, 0);
}

static void a_new_map_is_taken(void **state)
{
	(void)state;
	load(0, in_page(1, 0));
	model.control->ranges[0].node = 1;
	model.control->map_version++;
	load(0, in_page(1, 1));
	assert_int_equal(misses(0, 0, FLASH_READ), 1);
	assert_int_equal(misses(0, 1, FLASH_READ), 1);
	/* A hostile one: nodes and ranges that there cannot be. */
	model.control->ranges[0] = (struct flash_range){ 0, UINT64_MAX, 99, 0 };
	model.control->ranges[1].end = UINT64_MAX;
	model.control->nr_ranges = UINT32_MAX;
	model.control->node_of_cpu[0] = 200;
	model.control->map_version++;
	load(0, in_page(1, 2));
	load(1, in_page(1, 2));
	assert_int_equal(misses(0, 0, FLASH_READ), 1);
	assert_int_equal(misses(1, 0, FLASH_READ), 0);
	write_map();
}

static void tlb_misses_by_page(void **state)
{
	struct flash_counts c;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		load(3, in_page(1, 0));
		load(3, in_page(2, 0));
	}
	flash_read_cpu(&reader, 3, FLASH_NOW, &c);
	assert_int_equal(c.tlb_misses, 2);
}

static void marks_keep_counts(void **state)
{
	struct flash_counts before, now;
	char name[FLASH_MARK_NAME];

	(void)state;
	load(0, in_page(1, 0));
	assert_int_equal(flash_mark(&reader, "first"), 0);
	load(0, in_page(1, 1));
	load(0, in_page(20, 0));
	flash_read_cpu(&reader, 0, flash_find_mark(&reader, "first"), &before);
	assert_int_equal(before.misses[0][FLASH_READ], 1);
	flash_read_cpu(&reader, 0, FLASH_NOW, &now);
	flash_subtract(&now, &before);
	assert_int_equal(now.misses[0][FLASH_READ], 1);
	assert_int_equal(now.misses[1][FLASH_READ], 1);
	flash_subtract(&before, &now);
	assert_int_equal(before.misses[1][FLASH_READ], 0);
	assert_int_equal(flash_find_mark(&reader, "second"), -ENOENT);
	assert_int_equal(flash_mark(&reader, "0123456789012345678901234567890"
					     "1"),
			 -ENAMETOOLONG);
	for (unsigned i = 1; i < FLASH_MAX_MARKS; i++)
		assert_int_equal(flash_mark(&reader, "more"), i);
	assert_int_equal(flash_mark(&reader, "more"), -ENOSPC);
	model.control->nr_marks = UINT32_MAX;
	assert_true(flash_mark_name(&reader, 15, name));
	assert_false(flash_mark_name(&reader, 16, name));
}

static void time_is_instructions_and_misses(void **state)
{
	struct flash_cost cost = FLASH_COST_DEFAULT;
	struct flash_counts c = { .instructions = 1000 };
	struct flash_time t = { 0 };

	(void)state;
	c.misses[0][FLASH_READ] = 10;
	c.misses[0][FLASH_WRITE] = 5;
	c.misses[1][FLASH_READ] = 2;
	flash_model_time(&reader, &c, 0, &cost, &t);
	assert_int_equal(t.local, 15);
	assert_int_equal(t.remote, 2);
	assert_true(t.compute_ns == 5000);
	assert_true(t.local_ns == 4500);
	assert_true(t.remote_ns == 1800);
	cost.by_distance = true;
	cost.cpi = 2;
	t = (struct flash_time){ 0 };
	flash_model_time(&reader, &c, 0, &cost, &t);
	assert_true(t.compute_ns == 10000);
	assert_true(t.remote_ns == 2 * 300 * 2.5);
}

static void bad_arguments_are_refused(void **state)
{
	const char *const wrong[] = {
		"cores=5",  "cores=0",	  "nodes=0",  "nodes=17",
		"cpus=65",  "size=1000",  "ways=0",   "ways=17",
		"line=48",  "line=8",	  "tlb=3",    "trigger=-1",
		"size=12x", "coherent=2", "colour=1", "size=96",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		const char *args[] = { window_arg, "nodes=2", "cpus=4",
				       wrong[i] };

		if (install(args, 4) == 0)
			fail_msg("%s was taken", wrong[i]);
	}
	assert_int_not_equal(
		install((const char *[]){ "nodes=2", "cpus=4" }, 2), 0);
	assert_int_not_equal(install((const char *[]){ "window=/nowhere",
						       "nodes=2", "cpus=4" },
				     3),
			     0);
}

static void a_window_is_checked(void **state)
{
	struct diag d = { 0 };
	struct flash f;
	uint32_t nodes;

	(void)state;
	assert_int_equal(flash_open(&f, path, &d), 0);
	assert_false(f.writable);
	assert_int_equal(f.nr_nodes, 2);
	assert_int_equal(f.trigger, 4);
	flash_close(&f);
	flash_close(&f);
	model.head->nr_pages++;
	assert_int_equal(flash_open(&f, path, &d), -EPROTO);
	model.head->nr_pages--;
	nodes = model.head->nr_nodes;
	model.head->nr_nodes = 17;
	assert_int_equal(flash_open(&f, path, &d), -EPROTO);
	model.head->nr_nodes = nodes;
	model.head->version++;
	assert_int_equal(flash_open(&f, path, &d), -EPROTO);
	model.head->version--;
	assert_int_equal(flash_open(&f, "/dev/null", &d), -EPROTO);
	assert_int_equal(flash_open(&f, "/nowhere", &d), -ENOENT);
	assert_non_null(strstr(d.text, "window"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_instruction_is_seen, start),
		cmocka_unit_test_setup(a_second_access_of_a_line_hits, start),
		cmocka_unit_test_setup(
			misses_are_of_the_home_and_of_who_accesses, start),
		cmocka_unit_test_setup(the_least_recently_used_line_is_replaced,
				       start),
		cmocka_unit_test_setup(a_write_invalidates_other_copies, start),
		cmocka_unit_test_setup(instructions_count_while_it_is_on,
				       start),
		cmocka_unit_test_setup(the_clock_follows_the_busiest_cpu,
				       start),
		cmocka_unit_test_setup(a_reset_clears_pages_and_cpus, start),
		cmocka_unit_test_setup(a_hot_page_is_queued_at_each_trigger,
				       start),
		cmocka_unit_test_setup(a_slow_reader_loses_and_knows, start),
		cmocka_unit_test_setup(hostile_entries_are_skipped, start),
		cmocka_unit_test_setup(what_no_node_has_is_not_counted, start),
		cmocka_unit_test_setup(a_new_map_is_taken, start),
		cmocka_unit_test_setup(tlb_misses_by_page, start),
		cmocka_unit_test_setup(marks_keep_counts, start),
		cmocka_unit_test_setup(time_is_instructions_and_misses, start),
		cmocka_unit_test_setup(bad_arguments_are_refused, start),
		cmocka_unit_test_setup(a_window_is_checked, start),
	};

	return cmocka_run_group_tests_name("flash", tests, make_machine,
					   end_machine);
}
