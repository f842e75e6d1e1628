/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counters - the FLASH counters of a lab (lab/run --flash), on its command line.
 * usage() has the commands. Counts are printed raw, one line per CPU and a
 * total; the modelled time beside them is the CPUs' time added up:
 * instructions x CPI / MHz + misses x latency.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/pagemap.h"
#include "numa/flash.h"

#define ENTRIES 512u /* of pagemap, read at once */

struct options {
	const char *window, *since, *until;
	struct flash_cost cost;
	unsigned top;
};

static void usage(FILE *to)
{
	fputs("usage: counters [OPTION...] COMMAND\n"
	      "\n"
	      "Counters of cache misses in a lab that lab/run --flash "
	      "started.\n"
	      "\n"
	      "  on, off           count, or count no longer\n"
	      "  reset             set all counts to zero\n"
	      "  mark NAME         keep the counts of this moment (16 marks)\n"
	      "  show              counts and modelled time, by CPU\n"
	      "  pages             the pages with most misses, by node\n"
	      "  process PID       misses in the pages that a process has now\n"
	      "  remote PID        its pages with most remote misses, by node\n"
	      "  run COMMAND...    reset, on, COMMAND, off, show\n"
	      "\n"
	      "  --window FILE     of a lab that has ended "
	      "(--flash=keep=FILE)\n"
	      "  --since MARK      show: what was counted after that\n"
	      "  --until MARK      show: what was counted before that\n"
	      "  --latency L,R     ns of a local and a remote miss (300,900)\n"
	      "  --by-distance     a remote miss takes L x distance / 10\n"
	      "  --cpi N           cycles per instruction (1)\n"
	      "  --mhz N           of the CPUs (200)\n"
	      "  --top N           pages, remote: so many (20)\n"
	      "\n"
	      "Not modelled: misses of instructions, what devices access, and\n"
	      "waiting for busy memory. See lab/flash.c.\n",
	      to);
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "counters: %s: %s\n", what, strerror(-err));
	return 1;
}

/* --- show ----------------------------------------------------------------- */

struct line {
	struct flash_counts counts;
	struct flash_time time;
};

static void print_line(const char *cpu, const char *node, const struct line *l)
{
	const struct flash_counts *c = &l->counts;
	const struct flash_time *t = &l->time;
	uint64_t misses = t->local + t->remote;

	printf("%-5s %-4s %13" PRIu64 " %12" PRIu64 " %10" PRIu64 " %10" PRIu64
	       " %6.1f %9" PRIu64 " %9" PRIu64 " %10.3f %10.3f\n",
	       cpu, node, c->instructions, c->accesses, t->local, t->remote,
	       misses ? 100.0 * (double)t->local / (double)misses : 100.0,
	       c->upgrades, c->tlb_misses, (t->local_ns + t->remote_ns) / 1e6,
	       (t->compute_ns + t->local_ns + t->remote_ns) / 1e6);
}

/* Counts of a CPU between two marks; false: it has counted nothing. */
static bool line_of_cpu(const struct flash *f, unsigned cpu, int since,
			int until, const struct flash_cost *cost,
			struct line *out)
{
	struct flash_counts before;
	int node = flash_node_of_cpu(f, cpu);

	*out = (struct line){ 0 };
	if (node < 0)
		return false;
	flash_read_cpu(f, cpu, until, &out->counts);
	if (since != FLASH_NOW) {
		flash_read_cpu(f, cpu, since, &before);
		flash_subtract(&out->counts, &before);
	}
	flash_model_time(f, &out->counts, (unsigned)node, cost, &out->time);
	return out->counts.accesses || out->counts.instructions;
}

static void add_line(struct line *sum, const struct line *l)
{
	flash_add(&sum->counts, &l->counts);
	sum->time.local += l->time.local;
	sum->time.remote += l->time.remote;
	sum->time.compute_ns += l->time.compute_ns;
	sum->time.local_ns += l->time.local_ns;
	sum->time.remote_ns += l->time.remote_ns;
}

static int find_mark(const struct flash *f, const char *name, int *out)
{
	*out = name ? flash_find_mark(f, name) : FLASH_NOW;
	return name && *out < 0 ? fail(name, *out) : 0;
}

static int show(const struct flash *f, const struct options *o)
{
	char mark[FLASH_MARK_NAME], cpu_name[16], node_name[16];
	struct line l, sum = { 0 };
	int since, until;

	if (find_mark(f, o->since, &since) || find_mark(f, o->until, &until))
		return 1;
	printf("%-5s %-4s %13s %12s %10s %10s %6s %9s %9s %10s %10s\n", "cpu",
	       "node", "instructions", "accesses", "local", "remote", "local%",
	       "upgrades", "tlb", "stall-ms", "time-ms");
	for (unsigned cpu = 0; cpu < f->nr_cpus; cpu++) {
		if (!line_of_cpu(f, cpu, since, until, &o->cost, &l))
			continue;
		add_line(&sum, &l);
		(void)snprintf(cpu_name, sizeof(cpu_name), "%d",
			       flash_number_of_cpu(f, cpu));
		(void)snprintf(node_name, sizeof(node_name), "%d",
			       flash_node_of_cpu(f, cpu));
		print_line(cpu_name, node_name, &l);
	}
	print_line("all", "-", &sum);
	if (sum.counts.unknown)
		printf("and %" PRIu64 " misses in memory of no node\n",
		       sum.counts.unknown);
	for (unsigned i = 0; flash_mark_name(f, i, mark); i++)
		printf("mark %s\n", mark);
	return 0;
}

/* --- pages ---------------------------------------------------------------- */

struct page_sum {
	uint64_t frame, misses;
	uint64_t address; /* of a process */
};

static uint64_t page_misses(const struct flash *f, uint64_t frame)
{
	uint64_t sum = 0;

	for (unsigned n = 0; n < f->nr_nodes; n++)
		sum += (uint64_t)flash_page(f, frame, n, FLASH_READ) +
		       flash_page(f, frame, n, FLASH_WRITE);
	return sum;
}

/* Into a list that is sorted, most misses first. */
static void keep_page(struct page_sum *list, unsigned *nr, unsigned max,
		      struct page_sum p)
{
	unsigned i;

	if (*nr == max && list[max - 1].misses >= p.misses)
		return;
	for (i = *nr < max ? (*nr)++ : max - 1;
	     i && list[i - 1].misses < p.misses; i--)
		list[i] = list[i - 1];
	list[i] = p;
}

static void print_pages(const struct flash *f, const struct page_sum *list,
			unsigned nr)
{
	printf("%-12s %-4s reads+writes by node\n", "frame", "home");
	for (unsigned i = 0; i < nr; i++) {
		printf("%-12" PRIx64 " %-4d", list[i].frame,
		       flash_node_of_frame(f, list[i].frame));
		for (unsigned n = 0; n < f->nr_nodes; n++)
			printf(" %u+%u",
			       flash_page(f, list[i].frame, n, FLASH_READ),
			       flash_page(f, list[i].frame, n, FLASH_WRITE));
		if (list[i].address)
			printf(" at %" PRIx64, list[i].address);
		printf("\n");
	}
}

static int pages(const struct flash *f, const struct options *o)
{
	struct page_sum *list = calloc(o->top, sizeof(*list));
	unsigned nr = 0;

	if (!list)
		return fail("pages", -ENOMEM);
	for (uint64_t frame = 0; frame < f->nr_pages; frame++) {
		struct page_sum p = { .frame = frame,
				      .misses = page_misses(f, frame) };

		if (p.misses)
			keep_page(list, &nr, o->top, p);
	}
	print_pages(f, list, nr);
	free(list);
	return 0;
}

/* --- process -------------------------------------------------------------- */

struct process_sum {
	uint64_t pages, local, remote;
	uint64_t by_node[FLASH_MAX_NODES]; /* misses, by who accesses */
	struct page_sum *list;		   /* most remote ones first */
	unsigned nr, max;
};

static void add_frame(const struct flash *f, uint64_t frame, uint64_t address,
		      struct process_sum *s)
{
	int home = flash_node_of_frame(f, frame);
	struct page_sum p = { .frame = frame, .address = address };

	s->pages++;
	for (unsigned n = 0; n < f->nr_nodes; n++) {
		uint64_t nr = (uint64_t)flash_page(f, frame, n, FLASH_READ) +
			      flash_page(f, frame, n, FLASH_WRITE);

		s->by_node[n] += nr;
		if ((int)n == home)
			s->local += nr;
		else
			p.misses += nr;
	}
	s->remote += p.misses;
	if (p.misses && s->max)
		keep_page(s->list, &s->nr, s->max, p);
}

static void add_mapping(const struct flash *f, int pagemap, uint64_t start,
			uint64_t end, struct process_sum *s)
{
	uint64_t entries[ENTRIES], page = start / PAGE_BYTES;

	while (page < end / PAGE_BYTES) {
		uint64_t want = min_u64(ENTRIES, end / PAGE_BYTES - page);
		int64_t got = pagemap_read(pagemap, page, entries, want);

		if (got <= 0)
			return;
		for (int64_t i = 0; i < got; i++)
			if (entries[i] & PM_PRESENT)
				add_frame(f, entries[i] & ((1ull << 55) - 1),
					  (page + (uint64_t)i) * PAGE_BYTES, s);
		page += (uint64_t)got;
	}
}

/* Return: 0: done; 1: it cannot be read, and a message says so. */
static int add_process(const struct flash *f, const char *pid,
		       struct process_sum *s)
{
	char path[64], line[512];
	uint64_t start, end;
	int pagemap;
	FILE *maps;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/maps", pid);
	maps = fopen(path, "re");
	(void)snprintf(path, sizeof(path), "/proc/%.20s/pagemap", pid);
	pagemap = maps ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (pagemap < 0) {
		int err = -errno;

		if (maps)
			(void)fclose(maps);
		return fail(path, err);
	}
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2)
			add_mapping(f, pagemap, start, end, s);
	(void)close(pagemap);
	(void)fclose(maps);
	return 0;
}

static int process(const struct flash *f, const char *pid)
{
	struct process_sum s = { 0 };

	if (add_process(f, pid, &s))
		return 1;
	printf("pages %" PRIu64 " local %" PRIu64 " remote %" PRIu64 " from",
	       s.pages, s.local, s.remote);
	for (unsigned n = 0; n < f->nr_nodes; n++)
		printf(" %" PRIu64, s.by_node[n]);
	printf("\n");
	return 0;
}

static int remote(const struct flash *f, const char *pid,
		  const struct options *o)
{
	struct process_sum s = { .list = calloc(o->top, sizeof(*s.list)),
				 .max = o->top };
	int err;

	if (!s.list)
		return fail("remote", -ENOMEM);
	err = add_process(f, pid, &s);
	if (!err)
		print_pages(f, s.list, s.nr);
	free(s.list);
	return err;
}

/* --- control -------------------------------------------------------------- */

static int start(struct flash *f)
{
	struct diag d = { 0 };
	int err = flash_map_nodes(f, &d);

	if (err) {
		fprintf(stderr, "counters: %s\n", d.text);
		return 1;
	}
	flash_on(f, true);
	return 0;
}

static int reset(struct flash *f)
{
	int err = flash_reset(f);

	return err ? fail("reset", err) : 0;
}

static int run(struct flash *f, char *command[], const struct options *o)
{
	int status = 0;
	pid_t pid;

	if (reset(f) || start(f))
		return 1;
	pid = fork();
	if (pid == 0) {
		(void)execvp(command[0], command);
		(void)fail(command[0], -errno);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return fail("run", -errno);
	flash_on(f, false);
	(void)show(f, o);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int command(struct flash *f, char *argv[], const struct options *o)
{
	const char *name = argv[0];
	int err;

	if (strcmp(name, "show") == 0)
		return show(f, o);
	if (strcmp(name, "pages") == 0)
		return pages(f, o);
	if (strcmp(name, "process") == 0 && argv[1])
		return process(f, argv[1]);
	if (strcmp(name, "remote") == 0 && argv[1])
		return remote(f, argv[1], o);
	if (!f->writable)
		return fail(name, -EROFS);
	if (strcmp(name, "on") == 0)
		return start(f);
	if (strcmp(name, "reset") == 0)
		return reset(f);
	if (strcmp(name, "run") == 0 && argv[1])
		return run(f, argv + 1, o);
	if (strcmp(name, "mark") == 0 && argv[1]) {
		err = flash_mark(f, argv[1]);
		return err < 0 ? fail(argv[1], err) : 0;
	}
	if (strcmp(name, "off") == 0) {
		flash_on(f, false);
		return 0;
	}
	usage(stderr);
	return 2;
}

static bool parse_latency(const char *text, struct flash_cost *cost)
{
	return sscanf(text, "%lf,%lf", &cost->local_ns, &cost->remote_ns) ==
		       2 &&
	       cost->local_ns >= 0 && cost->remote_ns >= 0;
}

static bool parse_option(int c, struct options *o)
{
	switch (c) {
	case 'w':
		o->window = optarg;
		return true;
	case 's':
		o->since = optarg;
		return true;
	case 'u':
		o->until = optarg;
		return true;
	case 'l':
		return parse_latency(optarg, &o->cost);
	case 'd':
		o->cost.by_distance = true;
		return true;
	case 'c':
		o->cost.cpi = strtod(optarg, NULL);
		return o->cost.cpi >= 0;
	case 'm':
		o->cost.mhz = strtod(optarg, NULL);
		return o->cost.mhz > 0;
	case 't':
		o->top = (unsigned)strtoul(optarg, NULL, 10);
		return o->top >= 1 && o->top <= 1u << 20;
	default:
		return false;
	}
}

int main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "window", required_argument, NULL, 'w' },
		{ "since", required_argument, NULL, 's' },
		{ "until", required_argument, NULL, 'u' },
		{ "latency", required_argument, NULL, 'l' },
		{ "by-distance", no_argument, NULL, 'd' },
		{ "cpi", required_argument, NULL, 'c' },
		{ "mhz", required_argument, NULL, 'm' },
		{ "top", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct options o = { .cost = FLASH_COST_DEFAULT, .top = 20 };
	struct diag d = { 0 };
	struct flash f;
	int c, status;

	while ((c = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			return 0;
		}
		if (!parse_option(c, &o)) {
			usage(stderr);
			return 2;
		}
	}
	if (optind == argc) {
		usage(stderr);
		return 2;
	}
	if (flash_open(&f, o.window, &d)) {
		fprintf(stderr, "counters: %s\n", d.text);
		return 1;
	}
	status = command(&f, argv + optind, &o);
	flash_close(&f);
	return status;
}
