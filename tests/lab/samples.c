/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * samples PID [LOOKS [SECONDS]] - in a lab of lab/run --flash, of a worker whose
 * accesses are sampled by faults and whose pages nobody moves: what the worker
 * logs, against what the lab's counters have counted meanwhile. Ends after LOOKS (2)
 * looks per page of RAM, or after SECONDS (1200). Second looks at pages that were
 * accessed are among these, so 2 are at least one round of all pages.
 *
 * Prints a table by how often pages were missed, in tenths of all pages that were
 * missed at all; and a last line:
 *
 *	pages P reported R right A hottest H recalled B ranked C
 *
 * P pages were missed; R of them were sampled, and the node of A permille of
 * these, by weight, is the one that missed most. Of the H hottest pages, the 1 %
 * that was missed most, B permille were sampled, and C permille are among the H
 * that have most weight.
 *
 * samples PID bits|writes SECONDS FILE - of a worker whose agent has accessed bits,
 * or writes: the lab's counters count for SECONDS, and then FILE, which may be a
 * pipe, is read: what `disco trace export` prints of a recording of that time.
 * Prints the same table, whose last column is of pages that have records; and
 *
 *	pages P reported R known K hottest H recalled B false F
 *
 * P pages were missed (or written, by misses), and R of them have records. Of all
 * records K permille have a node. Of the H hottest pages B permille have records. F
 * permille of the pages with records were never missed (or never written): what a
 * cache holds is no miss, so some are.
 *
 * Exit status: 0; 1 something cannot be read; 77 no window.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "disco/agent_proto.h"
#include "disco/clock.h"
#include "disco/pagemap.h"
#include "disco/worker_spec.h"
#include "memory/sources/source_faults.h"
#include "monitor/agent/placing/ram_spans.h"
#include "monitor/ipc/figures.h"
#include "numa/flash.h"
#include "numa/region.h"
#include "numa/topology.h"

#define MAX_SPANS 65536u
#define MAX_PAGES (GIB(16) / PAGE_BYTES)
#define MAX_CPUS  4096u
#define TENTHS	  10u
#define FRAME	  ((1ull << 55) - 1)
#define POLL_MS	  5

struct page {
	uint64_t weight[FLASH_MAX_NODES], misses[FLASH_MAX_NODES];
	uint64_t all_weight, all_misses;
	unsigned samples;
};

static bool writes_alone; /* of misses; and of records */

static struct flash flash;
static struct region_view view;
static struct page *pages;
static uint64_t nr_pages; /* highest page that there is, and one */
static uint8_t node_of_cpu[MAX_CPUS];
static uint64_t next, lost, strange, kvms, seen;

static void need(int status, const char *what)
{
	if (status >= 0)
		return;
	fprintf(stderr, "samples: %s: %s\n", what, strerror(-status));
	exit(1);
}

static int open_proc(const char *pid, const char *name)
{
	char path[96];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	need(fd < 0 ? -errno : 0, path);
	return fd;
}

static void find_cpus(void)
{
	static struct topology t;
	struct diag d = { 0 };

	need(topology_create(&t, &d), "topology");
	memset(node_of_cpu, ACCESS_NO_NODE, sizeof(node_of_cpu));
	for (unsigned i = 0; i < t.nr_nodes; i++)
		for (unsigned j = 0; j < t.nodes[i].nr_cpus; j++)
			if (t.nodes[i].cpus[j] < MAX_CPUS &&
			    t.nodes[i].id < (nodeid_t)FLASH_MAX_NODES)
				node_of_cpu[t.nodes[i].cpus[j]] =
					(uint8_t)t.nodes[i].id;
	topology_destroy(&t);
}

static void attach(const char *pid)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "fd/%d", WORKER_FD_FIGURES);
	need(region_attach(&view, open_proc(pid, name), FIGURES_BYTES),
	     "the worker's figures");
}

/* --- what is sampled ------------------------------------------------------ */

static const struct figures *figures(void)
{
	return view.base;
}

static uint64_t word(enum figures_samples_word w)
{
	return atomic_load_explicit(&figures()->samples.words[w],
				    memory_order_relaxed);
}

static void drain(void)
{
	struct fault_record r;

	while (fault_log_take(&figures()->fault_log, &next, &lost, &r)) {
		uint8_t node = r.cpu_first < MAX_CPUS ? node_of_cpu[r.cpu_first]
						      : ACCESS_NO_NODE;
		uint32_t weight = faults_weight(r.latency_ns);

		if (node == ACCESS_NO_NODE || r.page >= MAX_PAGES) {
			strange++;
			continue;
		}
		seen++;
		kvms += r.vcpu == FAULT_LOG_NO_VCPU;
		pages[r.page].samples++;
		pages[r.page].weight[node] += weight;
		pages[r.page].all_weight += weight;
	}
}

/* Until so many pages of RAM were tried, for each that there is. */
static void watch(unsigned looks, uint64_t seconds)
{
	uint64_t begun =
		word(FIGURES_SAMPLES_SET) + word(FIGURES_SAMPLES_SKIPPED);
	uint64_t end = clock_now_ns() + seconds * 1000000000ull, tried = 0;

	while (tried < looks * nr_pages && clock_now_ns() < end) {
		(void)poll(NULL, 0, POLL_MS);
		drain();
		tried = word(FIGURES_SAMPLES_SET) +
			word(FIGURES_SAMPLES_SKIPPED) - begun;
	}
	printf("%" PRIu64 " of %" PRIu64 " looks, %" PRIu64 " samples, %" PRIu64
	       " of them by KVM's threads; %" PRIu64 " lost, %" PRIu64
	       " of no node, %" PRIu64 " nobody's, %" PRIu64 " expired\n",
	       tried, looks * nr_pages, seen, kvms, lost, strange,
	       word(FIGURES_SAMPLES_NOBODYS), word(FIGURES_SAMPLES_EXPIRED));
}

/* --- what is true --------------------------------------------------------- */

static void add_misses(uint64_t page, uint64_t entry)
{
	struct page *p = &pages[page];

	if (!(entry & PM_PRESENT) || page >= MAX_PAGES)
		return;
	for (unsigned n = 0; n < flash.nr_nodes; n++) {
		p->misses[n] =
			flash_page(&flash, entry & FRAME, n, FLASH_WRITE);
		if (!writes_alone)
			p->misses[n] += flash_page(&flash, entry & FRAME, n,
						   FLASH_READ);
		p->all_misses += p->misses[n];
	}
}

static uint64_t add_span(const struct ram_span *s, int pagemap, bool count)
{
	for (uint64_t i = 0; count && i < s->pages; i++) {
		uint64_t entry = 0, at = s->start / PAGE_BYTES + i;

		need(pread(pagemap, &entry, sizeof(entry),
			   (off_t)(at * sizeof(entry))) < 0
			     ? -errno
			     : 0,
		     "pagemap");
		add_misses(s->page + i, entry);
	}
	return s->page + s->pages;
}

/*
 * @count: pages of RAM alone. Those that are shown over it are not sampled, so
 * nothing is said of them.
 */
static void look_at_ram(const char *pid, bool count)
{
	struct ram_span *spans = calloc(MAX_SPANS, sizeof(*spans));
	int maps = open_proc(pid, "maps"), nr;
	int pagemap = open_proc(pid, "pagemap");

	need(spans ? 0 : -ENOMEM, "spans");
	nr = ram_spans_read(maps, MAX_PAGES, spans, MAX_SPANS);
	need(nr, "maps");
	for (int i = 0; i < nr; i++) {
		bool is_ram = spans[i].own == AGENT_FILE;

		nr_pages = max_u64(nr_pages, add_span(&spans[i], pagemap,
						      count && is_ram));
	}
	(void)close(maps);
	(void)close(pagemap);
	free(spans);
}

/* --- the comparison ------------------------------------------------------- */

static unsigned most(const uint64_t counts[FLASH_MAX_NODES])
{
	unsigned best = 0;

	for (unsigned n = 1; n < FLASH_MAX_NODES; n++)
		if (counts[n] > counts[best])
			best = n;
	return best;
}

static int by_misses(const void *a, const void *b)
{
	const struct page *p = *(struct page *const *)a;
	const struct page *q = *(struct page *const *)b;

	return (p->all_misses < q->all_misses) -
	       (p->all_misses > q->all_misses);
}

static int by_weight(const void *a, const void *b)
{
	const struct page *p = *(struct page *const *)a;
	const struct page *q = *(struct page *const *)b;

	return (p->all_weight < q->all_weight) -
	       (p->all_weight > q->all_weight);
}

static uint64_t permille(uint64_t part, uint64_t all)
{
	return all ? part * 1000 / all : 0;
}

struct group {
	uint64_t pages, reported, right, misses;
};

static struct group group_of(struct page **list, uint64_t nr)
{
	struct group g = { .pages = nr };

	for (uint64_t i = 0; i < nr; i++) {
		const struct page *p = list[i];

		g.misses += p->all_misses;
		g.reported += p->samples > 0;
		g.right += p->samples && most(p->weight) == most(p->misses);
	}
	return g;
}

static void print_group(const char *name, const struct group *g)
{
	printf("%-14s %8" PRIu64 " %12" PRIu64 " %8" PRIu64 " %7.1f %%\n", name,
	       g->pages, g->misses, g->reported,
	       (double)permille(g->right, g->reported) / 10);
}

/* How many of the first @hot of @list have as much weight as the first @hot. */
static uint64_t ranked(struct page **list, uint64_t nr, uint64_t hot)
{
	struct page **heavy = calloc(nr, sizeof(*heavy));
	uint64_t found = 0, least;

	need(heavy ? 0 : -ENOMEM, "ranked");
	memcpy(heavy, list, nr * sizeof(*heavy));
	qsort(heavy, nr, sizeof(*heavy), by_weight);
	least = max_u64(heavy[hot - 1]->all_weight, 1);
	for (uint64_t i = 0; i < hot; i++)
		found += list[i]->all_weight >= least;
	free(heavy);
	return found;
}

static void compare(void)
{
	struct page **list = calloc(nr_pages + 1, sizeof(*list));
	uint64_t nr = 0, hot;
	struct group all, hottest;

	need(list ? 0 : -ENOMEM, "list");
	for (uint64_t i = 0; i < nr_pages; i++)
		if (pages[i].all_misses)
			list[nr++] = &pages[i];
	need(nr ? 0 : -ENODATA, "misses");
	qsort(list, nr, sizeof(*list), by_misses);
	hot = max_u64(nr / 100, 1);
	printf("%-14s %8s %12s %8s %9s\n", "pages", "number", "misses",
	       "reported", "right");
	hottest = group_of(list, hot);
	print_group("hottest 1 %", &hottest);
	for (unsigned i = 0; i < TENTHS; i++) {
		uint64_t first = nr * i / TENTHS, end = nr * (i + 1) / TENTHS;
		struct group g = group_of(list + first, end - first);
		char name[16];

		(void)snprintf(name, sizeof(name), "tenth %u", i + 1);
		print_group(name, &g);
	}
	all = group_of(list, nr);
	print_group("all", &all);
	printf("pages %" PRIu64 " reported %" PRIu64 " right %" PRIu64
	       " hottest %" PRIu64 " recalled %" PRIu64 " ranked %" PRIu64 "\n",
	       nr, all.reported, permille(all.right, all.reported), hot,
	       permille(hottest.reported, hot),
	       permille(ranked(list, nr, hot), hot));
	free(list);
}

/* --- records of a trace --------------------------------------------------- */

static uint64_t records, records_of_a_node;

/* time_ns,vm,vcpu,node,home,page,kind,weight,class,mark; a field may be empty */
static void take_record(char *line)
{
	enum { NODE = 3, PAGE = 5, KIND = 6, WEIGHT = 7, FIELDS = 8 };
	char *field[FIELDS], *end;
	uint64_t page;

	for (unsigned i = 0; i < FIELDS; i++) {
		field[i] = strsep(&line, ",");
		if (!field[i])
			return;
	}
	page = strtoull(field[PAGE], &end, 10);
	if (end == field[PAGE] || page >= MAX_PAGES)
		return; /* the first line */
	if (writes_alone && strcmp(field[KIND], "write") != 0)
		return;
	records++;
	records_of_a_node += *field[NODE] >= '0' && *field[NODE] <= '9';
	pages[page].samples++;
	pages[page].all_weight += strtoull(field[WEIGHT], NULL, 10);
}

static void read_records(const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	need(f ? 0 : -errno, path);
	while (getline(&line, &size, f) > 0)
		take_record(line);
	free(line);
	(void)fclose(f);
}

static void compare_records(void)
{
	struct page **list = calloc(nr_pages + 1, sizeof(*list));
	uint64_t nr = 0, hot, with = 0, wrong = 0;
	struct group all, hottest;

	need(list ? 0 : -ENOMEM, "list");
	for (uint64_t i = 0; i < nr_pages; i++) {
		if (pages[i].all_misses)
			list[nr++] = &pages[i];
		with += pages[i].samples > 0;
		wrong += pages[i].samples && !pages[i].all_misses;
	}
	need(nr ? 0 : -ENODATA, "misses");
	qsort(list, nr, sizeof(*list), by_misses);
	hot = max_u64(nr / 100, 1);
	hottest = group_of(list, hot);
	print_group("hottest 1 %", &hottest);
	for (unsigned i = 0; i < TENTHS; i++) {
		uint64_t first = nr * i / TENTHS, end = nr * (i + 1) / TENTHS;
		struct group g = group_of(list + first, end - first);
		char name[16];

		(void)snprintf(name, sizeof(name), "tenth %u", i + 1);
		print_group(name, &g);
	}
	all = group_of(list, nr);
	printf("pages %" PRIu64 " reported %" PRIu64 " known %" PRIu64
	       " hottest %" PRIu64 " recalled %" PRIu64 " false %" PRIu64 "\n",
	       nr, all.reported, permille(records_of_a_node, records), hot,
	       permille(hottest.reported, hot), permille(wrong, with));
	free(list);
}

static int main_records(char *argv[])
{
	uint64_t end =
		clock_now_ns() + strtoull(argv[3], NULL, 10) * 1000000000ull;

	writes_alone = strcmp(argv[2], "writes") == 0;
	look_at_ram(argv[1], false);
	need(flash_reset(&flash), "flash_reset");
	flash_on(&flash, true);
	while (clock_now_ns() < end)
		(void)poll(NULL, 0, 100);
	flash_on(&flash, false);
	look_at_ram(argv[1], true);
	read_records(argv[4]);
	compare_records();
	return 0;
}

int main(int argc, char *argv[])
{
	unsigned looks = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2;
	uint64_t seconds = argc > 3 ? strtoull(argv[3], NULL, 10) : 1200;
	struct diag d = { 0 };

	if (argc < 2) {
		fprintf(stderr,
			"usage: samples PID [LOOKS [SECONDS]]\n"
			"       samples PID bits|writes SECONDS FILE\n");
		return 2;
	}
	if (flash_open(&flash, NULL, &d)) {
		fprintf(stderr, "samples: %s\n", d.text);
		return 77;
	}
	pages = calloc(MAX_PAGES, sizeof(*pages));
	need(pages ? 0 : -ENOMEM, "pages");
	need(flash_map_nodes(&flash, &d), "flash_map_nodes");
	if (argc == 5)
		return main_records(argv);
	find_cpus();
	attach(argv[1]);
	look_at_ram(argv[1], false);
	next = atomic_load(&figures()->fault_log.written);
	need(flash_reset(&flash), "flash_reset");
	flash_on(&flash, true);
	watch(looks, seconds);
	flash_on(&flash, false);
	look_at_ram(argv[1], true);
	compare();
	return 0;
}
