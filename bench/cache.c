/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-cache: what a hit in the buffer cache costs a worker.
 *
 *	cache [--rounds N] [--seed N] [--commit TEXT] [--out FILE.json]
 *
 * lookup: cache_lookup() and cache_put() of one random block that is there
 * (512 MiB image, all of it present; the blocks' bytes are not touched).
 *
 * show or copy: the same runs of blocks, at random places of a 64 MiB image,
 * into 32 MiB of guest memory: shown (pmap_show(), alone and with the first
 * touch of each page) or copied (into memory that is there, and into memory
 * that the kernel has to find first). Leases are taken in all four.
 *
 * Rounds are interleaved, in an order drawn from the seed.
 */
#include "bench/filled_cache.h"

#define DISK	    0u
#define LOOK_BLOCKS (MIB(512) / PAGE_BYTES)
#define LOOKUPS	    1000000u
#define RUN_BLOCKS  (MIB(64) / PAGE_BYTES)
#define GUEST_BYTES MIB(32)
#define GUEST_PAGES (GUEST_BYTES / PAGE_BYTES)

static uint64_t rng;

static uint64_t next_random(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* --- lookup --- */

static double lookups(struct cache *c)
{
	const uint8_t *page;
	uint64_t start = clock_now_ns();

	for (unsigned i = 0; i < LOOKUPS; i++) {
		uint64_t block = next_random() % LOOK_BLOCKS;

		if (cache_lookup(c, DISK, block, 1, &page) != 1)
			fail("lookup");
		cache_put(c, DISK, page, 1);
	}
	return (double)(clock_now_ns() - start) / LOOKUPS;
}

/* What the loop takes without them. */
static double empty_loop(struct cache *c)
{
	uint64_t start = clock_now_ns(), sum = 0;

	(void)c;
	for (unsigned i = 0; i < LOOKUPS; i++)
		sum += next_random() % LOOK_BLOCKS;
	if (sum == 1)
		fail("sum"); /* so that it is computed */
	return (double)(clock_now_ns() - start) / LOOKUPS;
}

static struct cache *look_cache(bool far)
{
	struct cache *c;

	must(cache_create(NULL, &c), "cache_create");
	cache_set_home(c, 0);
	filled_attach(c, DISK, 0, LOOK_BLOCKS * PAGE_BYTES, !far, -1);
	if (far)
		filled_attach(c, DISK, 1, LOOK_BLOCKS * PAGE_BYTES, true, -1);
	return c;
}

/* --- show or copy --- */

struct guest {
	struct ram_view view;
	struct pmap *pm;
	struct cache *c;
	int fd;
};

static void guest_create(struct guest *g)
{
	int zero;

	g->fd = memfd_create("ram", MFD_CLOEXEC);
	must(g->fd, "memfd_create");
	must(ftruncate(g->fd, GUEST_BYTES), "ftruncate");
	must(ram_view_create(&g->view, g->fd, GUEST_BYTES), "ram_view_create");
	must(pmap_create(&g->view, pmap_budget(), &g->pm), "pmap_create");
	must(cache_create(g->pm, &g->c), "cache_create");
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	must(zero, "/dev/zero");
	filled_attach(g->c, DISK, 0, RUN_BLOCKS * PAGE_BYTES, true, zero);
	(void)close(zero);
}

static void guest_destroy(struct guest *g)
{
	pmap_overwrite(g->pm, g->view.hva, GUEST_BYTES);
	cache_destroy(g->c);
	pmap_destroy(g->pm);
	ram_view_destroy(&g->view);
	(void)close(g->fd);
}

static uint64_t show(struct guest *g, struct cache_source *s, uint8_t *to,
		     uint64_t first, unsigned nr)
{
	must(pmap_show(g->pm, to, nr, s->id, first), "pmap_show");
	return 0;
}

static uint64_t show_touch(struct guest *g, struct cache_source *s, uint8_t *to,
			   uint64_t first, unsigned nr)
{
	uint64_t sum = show(g, s, to, first, nr);

	for (unsigned i = 0; i < nr; i++)
		sum += to[i * PAGE_BYTES];
	return sum;
}

static uint64_t copy(struct guest *g, struct cache_source *s, uint8_t *to,
		     uint64_t first, unsigned nr)
{
	(void)g;
	memcpy(to, (const uint8_t *)s->memory.base + first * PAGE_BYTES,
	       nr * (size_t)PAGE_BYTES);
	source_put(s, first, nr);
	return *to;
}

static const struct way {
	const char *name;
	bool there; /* guest memory, before */
	uint64_t (*run)(struct guest *g, struct cache_source *s, uint8_t *to,
			uint64_t first, unsigned nr);
} ways[] = {
	{ "show", true, show },
	{ "show and touch", true, show_touch },
	{ "copy", true, copy },
	{ "copy to a hole", false, copy },
};
#define NR_WAYS	   ARRAY_SIZE(ways)
#define SHOW_TOUCH 1
#define COPY	   2

static const unsigned lengths[] = { 1, 2, 4, 8, 16, 32, 64 };
#define NR_LENGTHS ARRAY_SIZE(lengths)

/* us a run */
static double runs(struct guest *g, const struct way *w, unsigned len)
{
	unsigned nr = (unsigned)(GUEST_PAGES / len);
	uint64_t start, sum = 0;

	pmap_overwrite(g->pm, g->view.hva, GUEST_BYTES);
	if (w->there)
		memset(g->view.hva, 1, GUEST_BYTES);
	else
		must(fallocate(g->fd,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			       GUEST_BYTES),
		     "fallocate");
	start = clock_now_ns();
	for (unsigned i = 0; i < nr; i++) {
		uint64_t first = next_random() % (RUN_BLOCKS / len) * len;
		uint8_t *to = g->view.hva + (uint64_t)i * len * PAGE_BYTES;
		struct cache_source *s;

		if (cache_take(g->c, DISK, first, len, &s) != len)
			fail("lookup");
		sum += w->run(g, s, to, first, len);
	}
	start = clock_now_ns() - start;
	if (sum == 1)
		fail("sum");
	return (double)start / nr / 1000;
}

/* --- the tables --- */

struct figures {
	double look[3][MAX_ROUNDS], look_median[3];
	double run[NR_LENGTHS][NR_WAYS][MAX_ROUNDS];
	double run_median[NR_LENGTHS][NR_WAYS];
};

static const char *const look_names[] = { "home node", "other node",
					  "loop alone" };

static void measure_lookups(const struct bench_options *o, struct figures *f)
{
	struct cache *near = look_cache(false), *far = look_cache(true);

	(void)lookups(near);
	(void)lookups(far);
	for (unsigned r = 0; r < o->rounds; r++) {
		f->look[0][r] = lookups(near);
		f->look[1][r] = lookups(far);
		f->look[2][r] = empty_loop(near);
	}
	for (unsigned i = 0; i < 3; i++)
		f->look_median[i] = median(f->look[i], o->rounds);
	cache_destroy(near);
	cache_destroy(far);
}

static void measure_runs(const struct bench_options *o, struct figures *f)
{
	size_t order[NR_LENGTHS * NR_WAYS] = { 0 };
	struct guest g;

	guest_create(&g);
	for (unsigned r = 0; r < o->rounds; r++) {
		draw_order(order, ARRAY_SIZE(order));
		for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
			size_t len = order[i] / NR_WAYS;
			size_t way = order[i] % NR_WAYS;

			f->run[len][way][r] =
				runs(&g, &ways[way], lengths[len]);
		}
	}
	for (size_t l = 0; l < NR_LENGTHS; l++)
		for (size_t w = 0; w < NR_WAYS; w++)
			f->run_median[l][w] = median(f->run[l][w], o->rounds);
	guest_destroy(&g);
}

static void print_tables(const struct bench_options *o, const struct figures *f)
{
	struct utsname u;

	uname(&u);
	printf("bench-cache: commit %s, host %s, kernel %s, %ld CPUs, seed "
	       "%u, median of %u rounds\n",
	       o->commit, u.nodename, u.release, sysconf(_SC_NPROCESSORS_ONLN),
	       o->seed, o->rounds);
	for (unsigned i = 0; i < 3; i++)
		printf("lookup, %-12s%8.1f ns (%.1f to %.1f)\n", look_names[i],
		       f->look_median[i], f->look[i][0],
		       f->look[i][o->rounds - 1]);
	printf("%-8s", "us a run");
	for (size_t w = 0; w < NR_WAYS; w++)
		printf("%16s", ways[w].name);
	printf("%16s\n", "touched / copy");
	for (size_t l = 0; l < NR_LENGTHS; l++) {
		const double *m = f->run_median[l];

		printf("%2u pages", lengths[l]);
		for (size_t w = 0; w < NR_WAYS; w++)
			printf("%16.2f", m[w]);
		printf("%15.2fx\n", m[SHOW_TOUCH] / m[COPY]);
	}
}

static void write_json(const struct bench_options *o, const struct figures *f)
{
	FILE *j = json_open(o, "cache");

	fprintf(j, ",\n \"lookup_ns\": {");
	for (unsigned i = 0; i < 3; i++)
		fprintf(j, "%s\"%s\": %.2f", i ? ", " : "", look_names[i],
			f->look_median[i]);
	fprintf(j, "},\n \"runs_us\": [");
	for (size_t l = 0; l < NR_LENGTHS; l++) {
		fprintf(j, "%s\n  {\"pages\": %u", l ? "," : "", lengths[l]);
		for (size_t w = 0; w < NR_WAYS; w++)
			fprintf(j, ", \"%s\": %.3f", ways[w].name,
				f->run_median[l][w]);
		fprintf(j, "}");
	}
	fprintf(j, "\n ]}\n");
	if (fclose(j))
		fail(o->out);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		BENCH_OPTIONS,
		{ NULL, 0, NULL, 0 },
	};
	static struct figures f;
	struct bench_options o = { 11, 1, "unknown", NULL };
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (!bench_option(&o, opt))
			return 2;
	}
	if (!bench_rounds_valid(&o))
		return 2;
	srandom(o.seed);
	rng = 0x9e3779b97f4a7c15u ^ o.seed;
	measure_lookups(&o, &f);
	measure_runs(&o, &f);
	print_tables(&o, &f);
	if (o.out)
		write_json(&o, &f);
	return 0;
}
