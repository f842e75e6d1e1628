/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device without its module: BAR 0, mapped through sysfs, which is root's.
 * Programs exclude each other by a lock on the file that they have mapped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "guest-hints/guest/internal.h"

#define WAIT_NS	 1000000ll /* between looks at a full ring */
#define WAIT_MAX 60000u	   /* of them: a minute */

/* Words of the BAR. One access each: gcc does not take them apart. */
static uint32_t ring_load(const struct disco_hint *h, uint32_t at)
{
	const uint32_t *word = (const void *)(h->bar + at);

	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void ring_store(const struct disco_hint *h, uint32_t at, uint32_t value)
{
	uint32_t *word = (void *)(h->bar + at);

	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint32_t ring_info(const struct disco_hint *h, size_t field)
{
	return ring_load(h, HINTS_INFO_AT + (uint32_t)field);
}

static uint32_t ring_head(const struct disco_hint *h)
{
	return ring_info(h, offsetof(struct hints_info, head));
}

/* Decoding of the BAR is off until somebody asks for it; it stays on. */
static int ring_enable(const char *name)
{
	char path[128];
	int fd, err = 0;

	(void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable",
		       name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* EIO: somebody has it on already. */
	if (write(fd, "1", 1) < 0 && errno != EIO)
		err = -errno;
	(void)close(fd);
	return err;
}

/* The host shows the ring a moment after ring_enable(). */
static bool ring_appears(const struct disco_hint *h)
{
	const struct timespec nap = { .tv_nsec = WAIT_NS };

	for (unsigned i = 0; i < WAIT_MAX; i++) {
		if (ring_info(h, offsetof(struct hints_info, magic)) ==
		    HINTS_MAGIC)
			return true;
		(void)nanosleep(&nap, NULL);
	}
	return false;
}

int hint_ring_open(struct disco_hint *h, const char *name)
{
	void *bar;
	int err = ring_enable(name);

	if (err)
		return err;
	(void)snprintf(h->path, sizeof(h->path),
		       "/sys/bus/pci/devices/%s/resource0", name);
	h->fd = open(h->path, O_RDWR | O_CLOEXEC);
	if (h->fd < 0)
		return -errno;
	bar = mmap(NULL, HINTS_BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		   h->fd, 0);
	if (bar == MAP_FAILED)
		return -errno;
	h->bar = bar;
	h->backend = &hint_ring_backend;
	if (ring_load(h, HINTS_REG_MAGIC) != HINTS_MAGIC ||
	    ring_load(h, HINTS_REG_VERSION) != HINTS_VERSION ||
	    !ring_appears(h))
		return -EPROTO;
	return 0;
}

void disco_hint_close(struct disco_hint *h)
{
	if (!h)
		return;
	if (h->bar)
		(void)munmap(h->bar, HINTS_BAR_BYTES);
	if (h->fd >= 0)
		(void)close(h->fd);
	if (h->pagemap >= 0)
		(void)close(h->pagemap);
	free(h);
}

/* A ring that is broken is emptied: what was in it is lost, as any hint may be. */
static void ring_mend(struct disco_hint *h)
{
	uint32_t flags = ring_info(h, offsetof(struct hints_info, flags));

	if (!(flags & HINTS_INFO_BROKEN))
		return;
	ring_store(h, HINTS_TAIL_AT, 0);
	ring_store(h, HINTS_REG_RESET, 1);
}

/* Until the host has taken so many that at most @left wait. */
static int ring_wait(struct disco_hint *h, uint32_t tail, uint32_t left)
{
	const struct timespec nap = { .tv_nsec = WAIT_NS };

	for (unsigned i = 0; i < WAIT_MAX; i++) {
		uint32_t waiting = tail - ring_head(h);

		/* More than there is room for: the ring was reset. */
		if (waiting <= left || waiting > HINTS_ENTRIES)
			return 0;
		(void)nanosleep(&nap, NULL);
	}
	return -ETIMEDOUT;
}

static void ring_put(struct disco_hint *h, uint32_t n,
		     const struct hints_entry *e)
{
	uint64_t words[sizeof(*e) / sizeof(uint64_t)];
	uint64_t *to = (void *)(h->bar + HINTS_ENTRIES_AT +
				n % HINTS_ENTRIES * sizeof(*e));

	memcpy(words, e, sizeof(*e));
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		__atomic_store_n(&to[i], words[i], __ATOMIC_RELAXED);
}

static int ring_lock(struct disco_hint *h)
{
	while (flock(h->fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return -errno;
	ring_mend(h);
	return 0;
}

int hint_ring_push(struct disco_hint *h, const struct hints_entry *e,
		   unsigned nr)
{
	uint32_t tail;
	int err = ring_lock(h);

	if (err)
		return err;
	tail = ring_load(h, HINTS_TAIL_AT);
	for (unsigned i = 0; i < nr && !err; i++) {
		if (tail - ring_head(h) >= HINTS_ENTRIES) {
			ring_store(h, HINTS_REG_DOORBELL, 1);
			err = ring_wait(h, tail, HINTS_ENTRIES / 2);
			if (err)
				break;
		}
		ring_put(h, tail++, &e[i]);
		ring_store(h, HINTS_TAIL_AT, tail);
	}
	ring_store(h, HINTS_REG_DOORBELL, 1);
	(void)flock(h->fd, LOCK_UN);
	return err;
}

int hint_ring_flush(struct disco_hint *h)
{
	uint32_t tail = ring_load(h, HINTS_TAIL_AT);

	return ring_wait(h, tail, 0);
}

static int ring_phase(struct disco_hint *h, uint64_t phase, int kind)
{
	const struct hints_entry e = { .kind = (uint16_t)kind,
				       .vcpu = HINTS_ANY_VCPU,
				       .arg = phase };

	return hint_ring_push(h, &e, 1);
}

/* The words of info are aligned, and so are the pieces that are read. */
static int ring_read_info(struct disco_hint *h, uint32_t at, void *to,
			  size_t bytes)
{
	if (bytes == sizeof(uint32_t)) {
		uint32_t word = ring_load(h, at);

		memcpy(to, &word, sizeof(word));
		return 0;
	}
	for (size_t i = 0; i < bytes; i++)
		((uint8_t *)to)[i] =
			__atomic_load_n(h->bar + at + i, __ATOMIC_ACQUIRE);
	return 0;
}

const struct disco_hint_backend hint_ring_backend = {
	.range = hint_pages_range,
	.file = hint_pages_file,
	.discard = hint_discard,
	.phase = ring_phase,
	.bulk = hint_bulk,
	.push = hint_ring_push,
	.flush = hint_ring_flush,
	.info = ring_read_info,
};
