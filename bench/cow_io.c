/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/cow.py's half of Disco: the same requests `qemu-img bench` makes,
 * through struct disk. Prints the seconds they took.
 *
 *	cow_io BASE COW read|write COUNT BYTES STEP OFFSET DEPTH FLUSH [CACHE]
 *
 * CACHE: "copy": all of the base is in a buffer cache, and is copied from it;
 * "show": the buffers are guest memory, and runs of CACHE_RUN_MIN whole pages
 * and more are shown there; a path, of disco-agent: it keeps a buffer cache
 * that is empty at first and has room for all of the base.
 *
 * Request i is of BYTES at (OFFSET + i STEP) mod the disk's size. With FLUSH
 * not 0 each FLUSH requests are waited for, then flushed, as qemu-img does.
 */
#include <poll.h>
#include <sys/stat.h>

#include "bench/agent_process.h"
#include "bench/filled_cache.h"
#include "cowdisk/disk/disk.h"
#include "disco/clock.h"

struct req {
	struct disk_req r;
	struct iovec iov;
	struct bench *b;
	struct req *next;
	uint8_t *buf;
};

struct bench {
	struct disk *d;
	uint64_t size, count, bytes, step, offset, depth, flush;
	enum disk_op op;
	struct req *free;
	uint64_t started, under_way;
	struct ram_view view;
	struct pmap *pm;
	struct cache *cache; /* NULL: none */
};

static void done(struct disk_req *r, int err)
{
	struct req *q = container_of(r, struct req, r);
	struct bench *b = q->b;

	if (err) {
		errno = -err;
		fail("request");
	}
	q->next = b->free;
	b->free = q;
	b->under_way--;
}

static void submit(struct bench *b, enum disk_op op)
{
	struct req *q = b->free;

	b->free = q->next;
	b->under_way++;
	q->iov = (struct iovec){ q->buf, b->bytes };
	q->r = (struct disk_req){ .op = op,
				  .offset = b->offset,
				  .iov = &q->iov,
				  .nr_iov = 1,
				  .done = done };
	if (disk_submit(b->d, &q->r))
		fail("disk_submit");
}

static void wait_below(struct bench *b, uint64_t n)
{
	struct pollfd p[] = { { .fd = disk_event_fd(b->d), .events = POLLIN },
			      { .fd = b->cache ? cache_event_fd(b->cache) : -1,
				.events = POLLIN } };

	while (b->under_way > n) {
		(void)poll(p, ARRAY_SIZE(p), -1);
		if (p[1].revents)
			cache_ready(b->cache);
		disk_complete(b->d);
	}
}

static void run(struct bench *b)
{
	for (uint64_t i = 0; i < b->count; i++) {
		wait_below(b, b->depth - 1);
		submit(b, b->op);
		b->offset = (b->offset + b->step) % b->size;
		if (b->flush && (i + 1) % b->flush == 0) {
			wait_below(b, 0);
			submit(b, DISK_FLUSH);
			wait_below(b, 0);
		}
	}
	wait_below(b, 0);
}

static uint64_t number(const char *s)
{
	return strtoull(s, NULL, 0);
}

/* Memory of the requests: a guest's, when pages are to be shown. */
static uint8_t *make_buffers(struct bench *b)
{
	uint64_t bytes = align_up(b->depth * b->bytes, PAGE_BYTES);
	int fd = memfd_create("ram", MFD_CLOEXEC);

	must(fd, "memfd_create");
	must(ftruncate(fd, (off_t)bytes), "ftruncate");
	must(ram_view_create(&b->view, fd, bytes), "ram_view_create");
	memset(b->view.hva, 0x5a, bytes);
	return b->view.hva;
}

static void use_agent(struct bench *b, const char *program, const char *base)
{
	int sock = agent_start(program);
	int image = open(base, O_RDONLY | O_CLOEXEC | O_DIRECT);

	must(image, base);
	agent_store(sock, b->cache, image, b->size);
	agent_sync(sock);
	(void)close(image);
}

static void use_cache(struct bench *b, const char *how, const char *path,
		      int base)
{
	if (strcmp(how, "show") == 0)
		must(pmap_create(&b->view, pmap_budget(), &b->pm), "pmap");
	must(cache_create(b->pm, &b->cache), "cache_create");
	if (strchr(how, '/'))
		use_agent(b, how, path);
	else
		filled_attach(b->cache, 0, 0, b->size, true, base);
	must(disk_use_cache(b->d, b->cache, 0), "disk_use_cache");
}

static void make_requests(struct bench *b)
{
	uint8_t *buf = make_buffers(b);

	for (uint64_t i = 0; i < b->depth; i++) {
		struct req *q = calloc(1, sizeof(*q));

		if (!q)
			fail("memory");
		q->buf = buf + i * b->bytes;
		q->b = b;
		q->next = b->free;
		b->free = q;
	}
}

int main(int argc, char **argv)
{
	struct bench b = { 0 };
	const char *why = "";
	struct stat st;
	uint64_t start;
	int fds[DISK_COW_FDS];

	if (argc != 10 && argc != 11) {
		(void)fprintf(stderr, "usage: cow_io BASE COW read|write "
				      "COUNT BYTES STEP OFFSET DEPTH FLUSH "
				      "[copy|show|AGENT]\n");
		return 2;
	}
	fds[DISK_BASE] = open(argv[1], O_RDONLY | O_CLOEXEC);
	fds[DISK_COW] = open(argv[2], O_RDWR | O_CLOEXEC);
	/* Refused by the file system: without, as a worker. */
	fds[DISK_BASE_DIRECT] = open(argv[1], O_RDONLY | O_CLOEXEC | O_DIRECT);
	fds[DISK_COW_DIRECT] = open(argv[2], O_RDONLY | O_CLOEXEC | O_DIRECT);
	if (fds[DISK_BASE] < 0 || fds[DISK_COW] < 0 ||
	    fstat(fds[DISK_BASE], &st) < 0)
		fail("files");
	b.size = (uint64_t)st.st_size;
	b.op = argv[3][0] == 'w' ? DISK_WRITE : DISK_READ;
	b.count = number(argv[4]);
	b.bytes = number(argv[5]);
	b.step = number(argv[6]);
	b.offset = number(argv[7]);
	b.depth = number(argv[8]);
	b.flush = number(argv[9]);
	make_requests(&b);
	if (disk_open_cow(fds, false, (unsigned)b.depth, &b.d, &why)) {
		(void)fprintf(stderr, "cow_io: %s: %s\n", argv[2], why);
		return 1;
	}
	if (argc == 11)
		use_cache(&b, argv[10], argv[1], fds[DISK_BASE]);
	start = clock_now_ns();
	run(&b);
	printf("%.6f\n", (double)(clock_now_ns() - start) / 1e9);
	if (disk_settle(b.d))
		fail("flush");
	disk_close(b.d);
	cache_destroy(b.cache);
	pmap_destroy(b.pm);
	return 0;
}
