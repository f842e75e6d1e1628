/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/guests/fake_reader.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cowdisk/cache/cache.h"
#include "cowdisk/base/cache_proto.h"
#include "cowdisk/disk/disk.h"
#include "monitor/ipc/worker_messages.h"
#include "tests/unit/guests/fake_worker.h"

#define READ_BLOCKS 16u

struct reader {
	struct cache *cache;
	struct disk *disk;
	struct figures *figures;
	uint64_t bytes;
	bool linked, busy;
	unsigned foreign; /* images of others */
	int wake;	  /* the agent, without a request */
	struct disk_req req;
	struct iovec iov;
	_Alignas(PAGE_BYTES) uint8_t buf[READ_BLOCKS * PAGE_BYTES];
};

static struct reader reader;

static void read_done(struct disk_req *r, int err)
{
	static uint8_t want[sizeof(reader.buf)];
	ssize_t n = pread(WORKER_FD_DISK0, want, r->bytes, (off_t)r->offset);

	reader.busy = false;
	if (err || n != (ssize_t)r->bytes ||
	    memcmp(want, reader.buf, r->bytes) != 0)
		fake_worker_fail("read something else");
}

static void read_somewhere(struct reader *r)
{
	uint64_t sectors = r->bytes / 512;
	uint64_t first = (uint64_t)random() % sectors;
	uint64_t n = 1 + (uint64_t)random() % (sizeof(r->buf) / 512);

	n = min_u64(n, sectors - first);
	r->iov = (struct iovec){ r->buf, n * 512 };
	r->req = (struct disk_req){ .op = DISK_READ,
				    .offset = first * 512,
				    .bytes = n * 512,
				    .iov = &r->iov,
				    .nr_iov = 1,
				    .done = read_done };
	r->busy = true;
	if (disk_submit(r->disk, &r->req))
		fake_worker_fail("the disk takes no request");
}

static void show(struct reader *r)
{
	struct cache_stats s;
	_Atomic(uint64_t) *w = r->figures->cache.words;

	cache_get_stats(r->cache, &s);
	atomic_store(&w[FIGURES_HIT_BLOCKS], s.hit_blocks);
	atomic_store(&w[FIGURES_MISSED_BLOCKS], s.missed_blocks);
	atomic_store(&w[FIGURES_DIRECT_BLOCKS], s.direct_blocks);
	atomic_store(&w[FIGURES_ASKED], s.asked);
	atomic_store(&w[FIGURES_REMOTE_BLOCKS], s.remote_blocks);
}

/* Through the mapping that region_take() made: the seal lets that be. */
static void scribble(const struct reader *r)
{
	static const char name[] = "disco-link";
	unsigned long start, end;
	char line[512], perms[8];
	FILE *f = fopen("/proc/self/maps", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (!strstr(line, name) ||
		    sscanf(line, "%lx-%lx %7s", &start, &end, perms) != 3 ||
		    perms[1] != 'w')
			continue;
		for (; start < end; start += 256)
			if (getrandom((void *)start, 256, 0) != 256)
				_exit(94);
	}
	if (f)
		(void)fclose(f);
	(void)!send(r->wake, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void look_at_foreign(struct reader *r)
{
	const uint8_t *page;
	uint64_t block = (uint64_t)random() % READER_IMAGE_BLOCKS;

	for (unsigned d = VM_MAX_DISKS; d < VM_MAX_DISKS + r->foreign; d++) {
		unsigned n = cache_lookup(r->cache, d, block, 1, &page);

		if (!n)
			continue;
		cache_put(r->cache, d, page, n);
		figures_count(&r->figures->cache.words[FIGURES_REFS_MERGED], n);
	}
}

/* What comes of references. */
static void note(struct reader *r, const struct worker_request *req)
{
	_Atomic(uint64_t) *w = r->figures->cache.words;

	if (req->kind == WORKER_REQ_NET_PORT)
		figures_count(&w[FIGURES_REFS_DROPPED], req->net_port.shares);
	if (req->kind != WORKER_REQ_CACHE)
		return;
	if (req->cache.disk < VM_MAX_DISKS) {
		figures_set(&w[FIGURES_REFS_SENT], req->cache.image != 0);
		return;
	}
	if (!req->cache.image)
		fake_worker_fail("a foreign image has no number");
	r->foreign = req->cache.disk - VM_MAX_DISKS + 1;
	figures_set(&w[FIGURES_REFS_RECEIVED], r->foreign);
}

static void attend(struct reader *r, const struct worker_request *req,
		   const int *fds)
{
	int err = 0;

	if (req->kind == WORKER_REQ_CACHE)
		err = cache_attach(r->cache, req->cache.disk, req->cache.node,
				   req->cache.image_bytes, fds[0], fds[1],
				   fds[2]);
	if (req->kind == WORKER_REQ_CACHE_END)
		cache_detach(r->cache, req->cache_end.disk,
			     req->cache_end.node);
	if (req->kind == WORKER_REQ_UNLINK)
		cache_unlink(r->cache);
	if (req->kind == WORKER_REQ_LINK) {
		cache_set_home(r->cache, req->link.node);
		r->wake = dup(fds[2]);
		err = cache_link(r->cache, fds[0], fds[1], fds[2], fds[3]);
		r->linked = true;
	}
	if (err)
		fake_worker_fail("a request about the cache failed");
	note(r, req);
}

static void start(struct reader *r, const struct worker_spec *spec)
{
	int fd = dup(WORKER_FD_DISK0);

	r->bytes = spec->disks[0].bytes;
	if (spec->nr_disks != 1 || cache_create(NULL, &r->cache) ||
	    disk_open(fd, true, 1, &r->disk) ||
	    disk_use_cache(r->disk, r->cache, 0))
		_exit(93);
}

void fake_reader(const struct worker_spec *spec, struct figures *f)
{
	bool scribbles = strcmp(spec->name, "scribbler") == 0;
	struct reader *r = &reader;
	struct pollfd p[3] = { { .fd = WORKER_FD_CONTROL, .events = POLLIN } };

	r->figures = f;
	start(r, spec);
	p[1] = (struct pollfd){ .fd = cache_event_fd(r->cache),
				.events = POLLIN };
	p[2] = (struct pollfd){ .fd = disk_event_fd(r->disk),
				.events = POLLIN };
	for (;;) {
		struct worker_request req;
		int fds[FDS_MAX];

		if (r->linked && !r->busy)
			read_somewhere(r);
		if (scribbles && r->linked)
			scribble(r);
		(void)poll(p, 3, r->linked && !r->busy ? 0 : -1);
		if (p[1].revents)
			cache_ready(r->cache);
		if (p[2].revents)
			disk_complete(r->disk);
		show(r);
		look_at_foreign(r);
		if (!p[0].revents)
			continue;
		if (worker_request_receive(WORKER_FD_CONTROL, &req, fds))
			_exit(0); /* control is gone */
		attend(r, &req, fds);
		fake_worker_obey(&req);
	}
}

bool fake_reader_image(char *path)
{
	static uint8_t bytes[READER_IMAGE_BYTES];
	int fd = mkstemp(path);
	bool ok = fd >= 0;

	for (size_t i = 0; ok && i < sizeof(bytes); i += 256)
		ok = getrandom(bytes + i, min_u64(256, sizeof(bytes) - i), 0) >
		     0;
	ok = ok && write(fd, bytes, sizeof(bytes)) == sizeof(bytes);
	if (fd >= 0)
		(void)close(fd);
	return ok;
}
