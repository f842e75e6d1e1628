/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Direct reads go into a buffer in huge pages (the landing), if there are huge
 * pages and there is room, and are copied from there into the memfd by
 * pwrite(2). A device then needs one segment per read, not one per page of 4
 * KiB, and no page is zeroed, mapped and pinned before it is read (256 MiB
 * sequentially:
 * 0.20 s instead of 0.25).
 *
 * The landing is not used if shmem_enabled gives huge pages to files at every
 * write: a mapping can refuse them (MADV_NOHUGEPAGE), a write to a file cannot,
 * and a store would use more memory than it counts.
 */
#include "cowdisk/store/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cowdisk/base/ring.h"

#define SLOT_BYTES    KIB(64)
#define NR_SLOTS      32u /* a huge page of them; at most 64 */
#define LANDING_BYTES (NR_SLOTS * SLOT_BYTES)

_Static_assert(LANDING_BYTES == MIB(2), "one huge page");

struct file_fetcher {
	struct fetcher fetcher; /* event_fd -1: there is no ring */
	struct ring ring;
	uint8_t *mapping; /* NULL: no landing */
	uint8_t *landing; /* in it, aligned */
	uint64_t taken;	  /* slots, a bit each */
};

static struct file_fetcher *from_fetcher(struct fetcher *r)
{
	return container_of(r, struct file_fetcher, fetcher);
}

static void read_now(struct fetch_job *job)
{
	ssize_t n = pread(job->fd, job->to, job->bytes, (off_t)job->offset);

	job->result = n < 0 ? -errno : (int)n;
	if (n > 0 && !job->direct)
		(void)posix_fadvise(job->fd, (off_t)job->offset, n,
				    POSIX_FADV_DONTNEED);
}

/* --- the landing --- */

/* A mask of @nr slots from @first on. */
static uint64_t fetch_slots(unsigned first, unsigned nr)
{
	return (~0ull >> (64 - nr)) << first;
}

/* Number of consecutive free slots from @first on; at most @most. */
static unsigned run_at(const struct file_fetcher *f, unsigned first,
		       unsigned most)
{
	unsigned n = 0;

	while (n < most && first + n < NR_SLOTS &&
	       !(f->taken >> (first + n) & 1))
		n++;
	return n;
}

/* Give a job the longest free run; if that is too short, less is read. */
static void fetch_land(struct file_fetcher *f, struct fetch_job *job)
{
	unsigned want = (unsigned)((job->bytes + SLOT_BYTES - 1) / SLOT_BYTES);

	job->nr_slots = 0;
	for (unsigned i = 0; f->mapping && i < NR_SLOTS; i++) {
		unsigned n = run_at(f, i, want);

		if (n <= job->nr_slots)
			continue;
		job->slot = i;
		job->nr_slots = n;
		if (n == want)
			break;
	}
	if (job->nr_slots)
		f->taken |= fetch_slots(job->slot, job->nr_slots);
}

static uint8_t *landed_at(const struct file_fetcher *f,
			  const struct fetch_job *job)
{
	return f->landing + job->slot * SLOT_BYTES;
}

/* Copy to the memfd. Bytes that cannot be written count as not read. */
static void fetch_carry(struct file_fetcher *f, struct fetch_job *job)
{
	const uint8_t *from = landed_at(f, job);
	int done = 0;

	while (done < job->result) {
		ssize_t n = pwrite(job->memory, from + done,
				   (size_t)(job->result - done),
				   (off_t)job->offset + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			job->result = n < 0 ? -errno : -EIO;
			break;
		}
		done += (int)n;
	}
	f->taken &= ~fetch_slots(job->slot, job->nr_slots);
}

/* A kernel without the setting has no huge pages for files. */
static bool files_get_huge_pages(void)
{
	static const char *const how[] = { "[always]", "[within_size]",
					   "[force]" };
	int fd = open("/sys/kernel/mm/transparent_hugepage/shmem_enabled",
		      O_RDONLY | O_CLOEXEC);
	char line[128] = "";
	bool huge = false;

	if (fd < 0)
		return false;
	(void)!read(fd, line, sizeof(line) - 1);
	(void)close(fd);
	for (size_t i = 0; i < ARRAY_SIZE(how); i++)
		huge = huge || strstr(line, how[i]);
	return huge;
}

/* Without a landing, reads go straight into the memfd's pages. */
static void make_landing(struct file_fetcher *f)
{
	void *p;

	if (files_get_huge_pages())
		return;
	p = mmap(NULL, 2 * LANDING_BYTES, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return;
	f->mapping = p;
	f->landing = f->mapping +
		     (align_up((uintptr_t)p, LANDING_BYTES) - (uintptr_t)p);
	(void)madvise(f->landing, LANDING_BYTES, MADV_HUGEPAGE);
}

/* --- the operations --- */

/* There is room: users never have more than @depth under way. */
static bool file_start(struct fetcher *r, struct fetch_job *job)
{
	struct file_fetcher *f = from_fetcher(r);
	size_t bytes = job->bytes;
	struct io_uring_sqe *sqe;
	void *to = job->to;

	if (r->event_fd < 0 || !job->direct) {
		read_now(job);
		return false;
	}
	fetch_land(f, job);
	if (job->nr_slots) {
		to = landed_at(f, job);
		bytes = min_u64(bytes, job->nr_slots * SLOT_BYTES);
	}
	sqe = io_uring_get_sqe(&f->ring.ring);
	io_uring_prep_read(sqe, job->fd, to, (unsigned)bytes, job->offset);
	io_uring_sqe_set_data(sqe, job);
	ring_submit(&f->ring);
	return true;
}

static struct fetch_job *file_ended(struct fetcher *r, bool wait)
{
	struct file_fetcher *f = from_fetcher(r);
	struct io_uring_cqe *cqe = NULL;
	struct fetch_job *job;
	int err;

	if (r->event_fd < 0)
		return NULL;
	do
		err = wait ? io_uring_wait_cqe(&f->ring.ring, &cqe)
			   : io_uring_peek_cqe(&f->ring.ring, &cqe);
	while (err == -EINTR);
	if (err)
		return NULL;
	job = io_uring_cqe_get_data(cqe);
	job->result = cqe->res;
	io_uring_cqe_seen(&f->ring.ring, cqe);
	if (job->nr_slots)
		fetch_carry(f, job);
	return job;
}

static void file_destroy(struct fetcher *r)
{
	struct file_fetcher *f = from_fetcher(r);

	if (r->event_fd >= 0)
		ring_close(&f->ring);
	if (f->mapping)
		(void)munmap(f->mapping, 2 * LANDING_BYTES);
	free(f);
}

static const struct fetch_ops file_ops = { .start = file_start,
					   .ended = file_ended,
					   .destroy = file_destroy };

/*
 * The ring can only read, but from any descriptor of the process, which may
 * read those with pread(2) anyway. To register each image would require
 * io_uring_register(2) in the sandbox, and gain nothing.
 */
int fetcher_create(unsigned depth, struct fetcher **out)
{
	static const uint8_t ops[] = { IORING_OP_READ };
	struct file_fetcher *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->fetcher = (struct fetcher){ .ops = &file_ops, .event_fd = -1 };
	if (ring_open(&f->ring, depth, ops, ARRAY_SIZE(ops), NULL, 0) == 0)
		f->fetcher.event_fd = f->ring.event_fd;
	if (f->fetcher.event_fd >= 0)
		make_landing(f);
	*out = &f->fetcher;
	return 0;
}
