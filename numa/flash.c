/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa/flash.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"

#define RESET_TRIES 20000u /* of 100 us */

#define LOAD(p)	    atomic_load_explicit((p), memory_order_relaxed)
#define STORE(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)

static void *flash_at(const struct flash *f, uint64_t offset)
{
	return (char *)f->base + offset;
}

static struct flash_control *flash_control_of(const struct flash *f)
{
	return flash_at(f, FLASH_CONTROL_OFFSET);
}

static struct flash_mark *flash_mark_at(const struct flash *f, unsigned mark)
{
	return (struct flash_mark *)flash_at(f, FLASH_MARKS_OFFSET) + mark;
}

/* --- the window ----------------------------------------------------------- */

static bool flash_file_says(const char *dir, const char *name, unsigned value)
{
	char path[PATH_MAX], text[16] = "";
	FILE *f;
	bool same;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	same = fgets(text, sizeof(text), f) && strtoul(text, NULL, 16) == value;
	(void)fclose(f);
	return same;
}

/* Descriptor of the first ivshmem device's memory. */
static int flash_open_device(int flags)
{
	char path[PATH_MAX];
	int fd = -ENOENT;
	glob_t g;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &g))
		return -ENOENT;
	for (size_t i = 0; i < g.gl_pathc && fd == -ENOENT; i++) {
		if (!flash_file_says(g.gl_pathv[i], "vendor",
				     FLASH_PCI_VENDOR) ||
		    !flash_file_says(g.gl_pathv[i], "device", FLASH_PCI_DEVICE))
			continue;
		(void)snprintf(path, sizeof(path), "%s/resource2",
			       g.gl_pathv[i]);
		fd = open(path, flags | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	globfree(&g);
	return fd;
}

/* What the head says, copied; then checked against the size that was mapped. */
static bool flash_take_head(struct flash *f)
{
	struct flash_head *h = f->base;
	uint64_t row;

	if (atomic_load_explicit(&h->magic, memory_order_acquire) !=
		    FLASH_MAGIC ||
	    h->version != FLASH_VERSION || h->page_shift != FLASH_PAGE_SHIFT)
		return false;
	f->nr_cpus = h->nr_cpus;
	f->nr_nodes = h->nr_nodes;
	f->nr_pages = h->nr_pages;
	f->trigger = h->trigger;
	f->cores = h->cores;
	if (!f->nr_cpus || f->nr_cpus > FLASH_MAX_CPUS || !f->nr_nodes ||
	    f->nr_nodes > FLASH_MAX_NODES || !f->cores || f->cores > f->nr_cpus)
		return false;
	row = f->nr_nodes * FLASH_NR_RW * sizeof(uint32_t);
	return f->nr_pages <= (f->bytes - FLASH_PAGES_OFFSET) / row;
}

static int flash_map_fd(struct flash *f, int fd, bool writable)
{
	int prot = PROT_READ | (writable ? PROT_WRITE : 0);
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size <= (off_t)FLASH_PAGES_OFFSET)
		return -EPROTO;
	f->bytes = (uint64_t)st.st_size;
	f->base = mmap(NULL, f->bytes, prot, MAP_SHARED, fd, 0);
	if (f->base == MAP_FAILED) {
		f->base = NULL;
		return -errno;
	}
	f->writable = writable;
	if (flash_take_head(f))
		return 0;
	flash_close(f);
	return -EPROTO;
}

int flash_open_fd(void)
{
	return flash_open_device(O_RDONLY);
}

int flash_attach(struct flash *f, int fd)
{
	*f = (struct flash){ 0 };
	return flash_map_fd(f, fd, false);
}

int flash_open(struct flash *f, const char *path, struct diag *d)
{
	int fd, err;

	*f = (struct flash){ 0 };
	fd = path ? open(path, O_RDONLY | O_CLOEXEC)
		  : flash_open_device(O_RDWR);
	if (path && fd < 0)
		fd = -errno;
	if (fd == -ENOENT && !path)
		return diag_fail(d, ST_HOST, ENOENT,
				 "no counters on this machine; they are there "
				 "in a lab of lab/run --flash");
	if (fd < 0)
		return diag_fail(d, ST_HOST, -fd, "cannot open %s: %s",
				 path ? path : "the counters' device",
				 strerror(-fd));
	err = flash_map_fd(f, fd, !path);
	(void)close(fd);
	if (err)
		return diag_fail(d, ST_HOST, -err, "%s: %s",
				 path ? path : "the counters' device",
				 err == -EPROTO
					 ? "no window of counters that this "
					   "version reads"
					 : strerror(-err));
	return 0;
}

void flash_close(struct flash *f)
{
	if (f->base)
		(void)munmap(f->base, f->bytes);
	*f = (struct flash){ 0 };
}

/* --- what is on which node ------------------------------------------------ */

static FILE *flash_open_node(unsigned node, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/%s",
		       node, name);
	return fopen(path, "re");
}

static void flash_map_number(const struct flash *f, struct flash_control *c,
			     unsigned number, unsigned apic)
{
	unsigned bits = 0, cpu;

	while (1u << bits < f->cores)
		bits++;
	cpu = (apic >> bits) * f->cores + (apic & ((1u << bits) - 1));
	if (cpu < f->nr_cpus && number < UINT8_MAX)
		c->number_of_cpu[cpu] = (uint8_t)number;
}

static int flash_map_numbers(const struct flash *f, struct flash_control *c)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	unsigned number = UINT8_MAX, apic;
	char line[256];

	memset(c->number_of_cpu, UINT8_MAX, sizeof(c->number_of_cpu));
	if (!file)
		return -ENODEV;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "processor : %u", &number) == 1)
			continue;
		if (sscanf(line, "apicid : %u", &apic) == 1)
			flash_map_number(f, c, number, apic);
	}
	(void)fclose(file);
	return 0;
}

static void flash_map_cpu(struct flash_control *c, unsigned number,
			  unsigned node)
{
	for (unsigned cpu = 0; cpu < FLASH_MAX_CPUS; cpu++)
		if (c->number_of_cpu[cpu] == number)
			c->node_of_cpu[cpu] = (uint8_t)node;
}

static void flash_map_cpus(struct flash_control *c, unsigned node)
{
	FILE *f = flash_open_node(node, "cpulist");
	unsigned first, last;
	char sep;

	if (!f)
		return;
	while (fscanf(f, "%u", &first) == 1) {
		last = first;
		if (fscanf(f, "-%u", &last) < 0)
			last = first;
		for (; first <= last && first < FLASH_MAX_CPUS; first++)
			flash_map_cpu(c, first, node);
		if (fscanf(f, "%c", &sep) != 1 || sep != ',')
			break;
	}
	(void)fclose(f);
}

static void flash_map_distances(struct flash_control *c, unsigned node)
{
	FILE *f = flash_open_node(node, "distance");
	unsigned to = 0, distance;

	if (!f)
		return;
	while (to < FLASH_MAX_NODES && fscanf(f, "%u", &distance) == 1)
		c->distance[node][to++] = (uint8_t)distance;
	(void)fclose(f);
}

/*
 * Zones have "spanned" before "start_pfn"; an empty one has neither. A zone's
 * holes belong to nobody, so that they do no harm.
 */
static int flash_map_frames(struct flash_control *c, uint32_t *nr)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	unsigned long spanned = 0, start;
	unsigned node = FLASH_MAX_NODES;
	char line[256];
	int err = 0;

	if (!f)
		return -ENODEV;
	while (!err && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Node %u, zone", &node) == 1)
			spanned = 0;
		else if (sscanf(line, " spanned %lu", &spanned) == 1)
			;
		else if (sscanf(line, " start_pfn: %lu", &start) == 1 &&
			 spanned && *nr == FLASH_MAX_RANGES)
			err = -E2BIG;
		else if (sscanf(line, " start_pfn: %lu", &start) == 1 &&
			 spanned)
			c->ranges[(*nr)++] = (struct flash_range){
				.first = start,
				.end = start + spanned,
				.node = node,
			};
	}
	(void)fclose(f);
	return err;
}

int flash_map_nodes(struct flash *f, struct diag *d)
{
	struct flash_control *c = flash_control_of(f);
	int err = flash_map_numbers(f, c);
	uint32_t nr = 0;

	memset(c->node_of_cpu, UINT8_MAX, sizeof(c->node_of_cpu));
	memset(c->distance, 0, sizeof(c->distance));
	for (unsigned n = 0; n < f->nr_nodes; n++) {
		flash_map_cpus(c, n);
		flash_map_distances(c, n);
	}
	if (!err)
		err = flash_map_frames(c, &nr);
	if (!err && !nr)
		err = -ENODEV;
	if (err)
		return diag_fail(d, ST_HOST, -err,
				 "cannot tell the nodes of CPUs and "
				 "memory by /proc: %s",
				 strerror(-err));
	c->nr_ranges = nr;
	atomic_fetch_add_explicit(&c->map_version, 1, memory_order_release);
	return 0;
}

int flash_node_of_cpu(const struct flash *f, unsigned cpu)
{
	uint8_t node;

	if (cpu >= f->nr_cpus)
		return -1;
	node = flash_control_of(f)->node_of_cpu[cpu];
	return node < f->nr_nodes ? node : -1;
}

int flash_number_of_cpu(const struct flash *f, unsigned cpu)
{
	uint8_t number;

	if (cpu >= f->nr_cpus)
		return -1;
	number = flash_control_of(f)->number_of_cpu[cpu];
	return number < UINT8_MAX ? number : -1;
}

int flash_node_of_frame(const struct flash *f, uint64_t frame)
{
	const struct flash_control *c = flash_control_of(f);
	uint32_t nr = c->nr_ranges;

	for (uint32_t i = 0; i < nr && i < FLASH_MAX_RANGES; i++) {
		struct flash_range r = c->ranges[i];

		if (frame >= r.first && frame < r.end && r.node < f->nr_nodes)
			return (int)r.node;
	}
	return -1;
}

/* --- control -------------------------------------------------------------- */

void flash_on(struct flash *f, bool on)
{
	atomic_store_explicit(&flash_control_of(f)->on, on,
			      memory_order_release);
}

static bool flash_any_cpu_is_at(const struct flash *f, uint32_t generation)
{
	struct flash_cpu *cpus = flash_at(f, FLASH_CPUS_OFFSET);

	for (unsigned i = 0; i < f->nr_cpus; i++)
		if (atomic_load_explicit(&cpus[i].generation,
					 memory_order_acquire) == generation)
			return true;
	return false;
}

int flash_reset(struct flash *f)
{
	struct flash_control *c = flash_control_of(f);
	const struct timespec pause = { .tv_nsec = 100000 };
	uint32_t generation = LOAD(&c->generation) + 1;

	STORE(&c->generation, generation);
	for (unsigned i = 0; !flash_any_cpu_is_at(f, generation); i++) {
		if (i == RESET_TRIES)
			return -ETIMEDOUT;
		(void)nanosleep(&pause, NULL);
	}
	c->nr_marks = 0;
	return 0;
}

int flash_mark(struct flash *f, const char *name)
{
	struct flash_control *c = flash_control_of(f);
	unsigned mark = c->nr_marks;
	struct flash_mark *m = flash_mark_at(f, mark);
	struct timespec now;

	if (strlen(name) >= FLASH_MARK_NAME)
		return -ENAMETOOLONG;
	if (mark >= FLASH_MAX_MARKS)
		return -ENOSPC;
	memset(m, 0, sizeof(*m));
	memcpy(m->name, name, strlen(name));
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	m->time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	m->generation = LOAD(&c->generation);
	memcpy(m->cpus, flash_at(f, FLASH_CPUS_OFFSET),
	       f->nr_cpus * sizeof(m->cpus[0]));
	c->nr_marks = mark + 1;
	return (int)mark;
}

bool flash_mark_name(const struct flash *f, unsigned mark,
		     char name[FLASH_MARK_NAME])
{
	if (mark >= FLASH_MAX_MARKS || mark >= flash_control_of(f)->nr_marks)
		return false;
	memcpy(name, flash_mark_at(f, mark)->name, FLASH_MARK_NAME);
	name[FLASH_MARK_NAME - 1] = '\0';
	return true;
}

int flash_find_mark(const struct flash *f, const char *name)
{
	char have[FLASH_MARK_NAME];
	int found = -ENOENT;

	for (unsigned i = 0; flash_mark_name(f, i, have); i++)
		if (strcmp(have, name) == 0)
			found = (int)i;
	return found;
}

/* --- counts --------------------------------------------------------------- */

void flash_read_cpu(const struct flash *f, unsigned cpu, int mark,
		    struct flash_counts *out)
{
	uint32_t generation = LOAD(&flash_control_of(f)->generation);
	struct flash_cpu *c = flash_at(f, FLASH_CPUS_OFFSET);

	*out = (struct flash_counts){ 0 };
	if (mark >= 0) {
		c = flash_mark_at(f, (unsigned)mark)->cpus;
		generation = flash_mark_at(f, (unsigned)mark)->generation;
	}
	if (cpu >= f->nr_cpus || mark >= (int)FLASH_MAX_MARKS)
		return;
	c += cpu;
	if (atomic_load_explicit(&c->generation, memory_order_acquire) !=
	    generation)
		return;
	out->instructions = LOAD(&c->instructions);
	out->accesses = LOAD(&c->accesses);
	out->tlb_misses = LOAD(&c->tlb_misses);
	out->upgrades = LOAD(&c->upgrades);
	out->unknown = LOAD(&c->unknown);
	for (unsigned n = 0; n < f->nr_nodes; n++) {
		out->misses[n][FLASH_READ] = LOAD(&c->misses[n][FLASH_READ]);
		out->misses[n][FLASH_WRITE] = LOAD(&c->misses[n][FLASH_WRITE]);
	}
}

static uint64_t flash_less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t flash_sum(uint64_t a, uint64_t b)
{
	return a + b;
}

static void flash_combine(struct flash_counts *a, const struct flash_counts *b,
			  uint64_t (*with)(uint64_t, uint64_t))
{
	a->instructions = with(a->instructions, b->instructions);
	a->accesses = with(a->accesses, b->accesses);
	a->tlb_misses = with(a->tlb_misses, b->tlb_misses);
	a->upgrades = with(a->upgrades, b->upgrades);
	a->unknown = with(a->unknown, b->unknown);
	for (unsigned n = 0; n < FLASH_MAX_NODES; n++)
		for (unsigned rw = 0; rw < FLASH_NR_RW; rw++)
			a->misses[n][rw] =
				with(a->misses[n][rw], b->misses[n][rw]);
}

void flash_add(struct flash_counts *a, const struct flash_counts *b)
{
	flash_combine(a, b, flash_sum);
}

void flash_subtract(struct flash_counts *a, const struct flash_counts *b)
{
	flash_combine(a, b, flash_less);
}

uint32_t flash_page(const struct flash *f, uint64_t frame, unsigned node,
		    enum flash_rw rw)
{
	_Atomic(uint32_t) *count;

	if (frame >= f->nr_pages || node >= f->nr_nodes || rw > FLASH_WRITE)
		return 0;
	count = flash_at(f, flash_page_offset(f->nr_nodes, frame, node, rw));
	return LOAD(count);
}

void flash_model_time(const struct flash *f, const struct flash_counts *c,
		      unsigned node, const struct flash_cost *cost,
		      struct flash_time *out)
{
	const struct flash_control *control = flash_control_of(f);

	out->compute_ns +=
		(double)c->instructions * cost->cpi * 1000 / cost->mhz;
	for (unsigned home = 0; home < f->nr_nodes; home++) {
		uint64_t nr = c->misses[home][FLASH_READ] +
			      c->misses[home][FLASH_WRITE];
		uint8_t distance =
			control->distance[node % FLASH_MAX_NODES][home];

		if (home == node) {
			out->local += nr;
			out->local_ns += (double)nr * cost->local_ns;
			continue;
		}
		out->remote += nr;
		out->remote_ns +=
			(double)nr * (cost->by_distance && distance
					      ? cost->local_ns * distance / 10
					      : cost->remote_ns);
	}
}

/* Of a CPU since the last reset; 0 if it is of no node. */
static uint64_t flash_busy_ns(const struct flash *f, unsigned cpu)
{
	struct flash_cost cost = FLASH_COST_DEFAULT;
	int node = flash_node_of_cpu(f, cpu);
	struct flash_time t = { 0 };
	struct flash_counts counts;

	if (node < 0)
		return 0;
	cost.by_distance = true;
	flash_read_cpu(f, cpu, FLASH_NOW, &counts);
	flash_model_time(f, &counts, (unsigned)node, &cost, &t);
	return (uint64_t)(t.compute_ns + t.local_ns + t.remote_ns);
}

uint64_t flash_work_ns(const struct flash *f, unsigned number)
{
	for (unsigned cpu = 0; cpu < f->nr_cpus; cpu++)
		if (flash_number_of_cpu(f, cpu) == (int)number)
			return flash_busy_ns(f, cpu);
	return 0;
}

uint64_t flash_clock_read(const struct flash *f, struct flash_clock *c)
{
	bool on = atomic_load_explicit(&flash_control_of(f)->on,
				       memory_order_acquire);
	bool first = c->looked_ns == 0;
	uint64_t most = 0, wall = clock_now_ns();

	for (unsigned cpu = 0; cpu < f->nr_cpus; cpu++) {
		uint64_t busy = flash_busy_ns(f, cpu), was = c->busy_ns[cpu];

		/* Less than before: counts were reset, and began at 0. */
		most = max_u64(most, busy >= was ? busy - was : busy);
		c->busy_ns[cpu] = busy;
	}
	if (!first)
		c->now_ns += on ? most : (wall - c->looked_ns) / FLASH_SLOWDOWN;
	c->looked_ns = wall;
	return c->now_ns;
}

/* --- hot pages ------------------------------------------------------------ */

/* Copies entry @i. Return: false: it is overwritten, or was meanwhile. */
static bool flash_read_hot(const struct flash_queue *q, uint64_t i,
			   struct flash_page_hot *out)
{
	const struct flash_hot *h = &q->hots[i % FLASH_QUEUE_HOTS];

	if (atomic_load_explicit(&h->stamp, memory_order_acquire) != i + 1)
		return false;
	out->frame = LOAD(&h->frame);
	out->instructions = LOAD(&h->instructions);
	out->reads = LOAD(&h->reads);
	out->writes = LOAD(&h->writes);
	out->cpu = LOAD(&h->cpu);
	out->write = LOAD(&h->kind) == FLASH_WRITE;
	/* The stamp is loaded again after all of it. */
	atomic_thread_fence(memory_order_acquire);
	return LOAD(&h->stamp) == i + 1;
}

bool flash_take_hot(const struct flash *f, struct flash_cursor *at,
		    unsigned node, struct flash_page_hot *out)
{
	const struct flash_queue *q = flash_at(f, FLASH_QUEUES_OFFSET);
	struct flash_page_hot hot;
	uint64_t head, *next;

	if (node >= f->nr_nodes)
		return false;
	q += node;
	next = &at->next[node];
	head = atomic_load_explicit(&q->head, memory_order_acquire);
	/* A head that goes back is another window's, or hostile. */
	if (*next > head)
		*next = head;
	if (head - *next > FLASH_QUEUE_HOTS) {
		at->lost += head - *next - FLASH_QUEUE_HOTS;
		*next = head - FLASH_QUEUE_HOTS;
	}
	while (*next < head) {
		bool whole = flash_read_hot(q, (*next)++, &hot);

		if (!whole)
			at->lost++;
		else if (hot.frame < f->nr_pages && hot.cpu < f->nr_cpus) {
			*out = hot;
			return true;
		}
	}
	return false;
}

void flash_skip_hots(const struct flash *f, struct flash_cursor *at)
{
	const struct flash_queue *q = flash_at(f, FLASH_QUEUES_OFFSET);

	for (unsigned n = 0; n < f->nr_nodes; n++)
		at->next[n] =
			atomic_load_explicit(&q[n].head, memory_order_acquire);
}
