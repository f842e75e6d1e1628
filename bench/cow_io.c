/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/cow.py's half of Disco: the same requests `qemu-img bench` makes,
 * through struct disk. Prints the seconds they took.
 *
 *	cow_io BASE COW read|write COUNT BYTES STEP OFFSET DEPTH FLUSH
 *
 * Request i is of BYTES at (OFFSET + i STEP) mod the disk's size. With FLUSH
 * not 0 each FLUSH requests are waited for, then flushed, as qemu-img does.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cowdisk/disk.h"
#include "disco/clock.h"

struct req {
	struct disk_req r;
	struct iovec iov;
	struct bench *b;
	struct req *next;
	char *buf;
};

struct bench {
	struct disk *d;
	uint64_t size, count, bytes, step, offset, depth, flush;
	enum disk_op op;
	struct req *free;
	uint64_t started, under_way;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void done(struct disk_req *r, int err)
{
	struct req *q = container_of(r, struct req, r);
	struct bench *b = q->b;

	if (err) {
		errno = -err;
		die("request");
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
		die("disk_submit");
}

static void wait_below(struct bench *b, uint64_t n)
{
	struct pollfd p = { .fd = disk_event_fd(b->d), .events = POLLIN };

	while (b->under_way > n) {
		(void)poll(&p, 1, -1);
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

static void make_requests(struct bench *b)
{
	for (uint64_t i = 0; i < b->depth; i++) {
		struct req *q = calloc(1, sizeof(*q));

		if (!q)
			die("memory");
		q->buf = aligned_alloc(4096, b->bytes);
		if (!q->buf)
			die("memory");
		memset(q->buf, 0x5a, b->bytes);
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
	int base, cow;

	if (argc != 10) {
		(void)fprintf(stderr, "usage: cow_io BASE COW read|write "
				      "COUNT BYTES STEP OFFSET DEPTH FLUSH\n");
		return 2;
	}
	base = open(argv[1], O_RDONLY | O_CLOEXEC);
	cow = open(argv[2], O_RDWR | O_CLOEXEC);
	if (base < 0 || cow < 0 || fstat(base, &st) < 0)
		die("files");
	b.size = (uint64_t)st.st_size;
	b.op = argv[3][0] == 'w' ? DISK_WRITE : DISK_READ;
	b.count = number(argv[4]);
	b.bytes = number(argv[5]);
	b.step = number(argv[6]);
	b.offset = number(argv[7]);
	b.depth = number(argv[8]);
	b.flush = number(argv[9]);
	make_requests(&b);
	if (disk_open_cow(base, cow, false, (unsigned)b.depth, &b.d, &why)) {
		(void)fprintf(stderr, "cow_io: %s: %s\n", argv[2], why);
		return 1;
	}
	start = clock_now_ns();
	run(&b);
	printf("%.6f\n", (double)(clock_now_ns() - start) / 1e9);
	if (disk_settle(b.d))
		die("flush");
	disk_close(b.d);
	return 0;
}
