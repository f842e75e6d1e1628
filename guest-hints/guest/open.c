/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finding the device, and what the host tells. The module comes first: while it
 * is loaded, the ring is its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-hints/guest/internal.h"

#define PCI_DEVICES "/sys/bus/pci/devices"
#define INFO_TRIES  1000u

int hint_read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	(void)close(fd);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

static bool hint_id_is(const char *device, const char *file, unsigned long id)
{
	char path[sizeof(((struct dirent *)0)->d_name) + 64], text[32];

	(void)snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", device, file);
	return hint_read_text(path, text, sizeof(text)) == 0 &&
	       strtoul(text, NULL, 16) == id;
}

/* The device's name, of PCI. Return: whether there is one. */
static bool hint_find_device(char *name, size_t size)
{
	DIR *dir = opendir(PCI_DEVICES);
	struct dirent *e;
	bool found = false;

	while (dir && !found && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' ||
		    !hint_id_is(e->d_name, "vendor", HINTS_PCI_VENDOR) ||
		    !hint_id_is(e->d_name, "device", HINTS_PCI_DEVICE))
			continue;
		found = strlen(e->d_name) < size;
		if (found)
			memcpy(name, e->d_name, strlen(e->d_name) + 1);
	}
	if (dir)
		(void)closedir(dir);
	return found;
}

int disco_hint_open(struct disco_hint **out)
{
	struct disco_hint *h = calloc(1, sizeof(*h));
	char name[32];
	int err;

	if (!h)
		return -ENOMEM;
	h->fd = h->pagemap = -1;
	err = hint_driver_open(h);
	if (err == -ENOENT || err == -ENXIO)
		err = hint_find_device(name, sizeof(name))
			      ? hint_ring_open(h, name)
			      : -ENODEV;
	if (err) {
		disco_hint_close(h);
		return err == -EPERM ? -EACCES : err;
	}
	*out = h;
	return 0;
}

const char *disco_hint_path(const struct disco_hint *h)
{
	return h->path;
}

/* --- hints --------------------------------------------------------------------- */

/* Whole pages inside. Return: whether there are any. */
static bool hint_shrink(uint64_t *start, uint64_t *bytes)
{
	uint64_t end = (*start + *bytes) & ~(uint64_t)(HINT_PAGE - 1);

	if (*start + *bytes < *start)
		return false;
	*start = (*start + HINT_PAGE - 1) & ~(uint64_t)(HINT_PAGE - 1);
	*bytes = end > *start ? end - *start : 0;
	return *bytes != 0;
}

/* Contents are safe with these. */
static bool hint_kind_is_safe(int kind)
{
	switch (kind) {
	case DISCO_HINT_READ_MOSTLY:
	case DISCO_HINT_PRIVATE:
	case DISCO_HINT_REWRITE:
	case DISCO_HINT_COLD:
	case DISCO_HINT_PIN:
	case DISCO_HINT_PIN_OFF:
	case DISCO_HINT_MERGE:
	case DISCO_HINT_FORGET:
		return true;
	default:
		return false;
	}
}

int disco_hint_process(struct disco_hint *h, pid_t pid, uint64_t start,
		       uint64_t bytes, int kind, unsigned vcpu)
{
	if (!hint_kind_is_safe(kind) || pid < 0)
		return -EINVAL;
	if (!hint_shrink(&start, &bytes))
		return 0;
	return h->backend->range(h, pid, start, bytes, kind, vcpu);
}

int disco_hint_range(struct disco_hint *h, const void *start, size_t bytes,
		     int kind, unsigned vcpu)
{
	return disco_hint_process(h, 0, (uint64_t)(uintptr_t)start, bytes, kind,
				  vcpu);
}

int disco_hint_file(struct disco_hint *h, int fd, uint64_t offset,
		    uint64_t bytes, int kind)
{
	if (!hint_kind_is_safe(kind) || kind == DISCO_HINT_PRIVATE)
		return -EINVAL;
	if (bytes && !hint_shrink(&offset, &bytes))
		return 0;
	return h->backend->file(h, fd, offset, bytes, kind);
}

static int64_t hint_discard_range(struct disco_hint *h, void *at, size_t size,
				  int kind)
{
	uint64_t start = (uint64_t)(uintptr_t)at, bytes = size;

	return hint_shrink(&start, &bytes)
		       ? h->backend->discard(h, start, bytes, kind)
		       : 0;
}

int64_t disco_hint_free(struct disco_hint *h, void *start, size_t bytes)
{
	return hint_discard_range(h, start, bytes, HINTS_FREE);
}

int64_t disco_hint_zero(struct disco_hint *h, void *start, size_t bytes)
{
	return hint_discard_range(h, start, bytes, HINTS_ZERO);
}

int disco_hint_phase(struct disco_hint *h, uint64_t phase, int begins)
{
	return h->backend->phase(h, phase,
				 begins ? HINTS_PHASE_BEGIN : HINTS_PHASE_END);
}

int64_t disco_hint_bulk(struct disco_hint *h, int what, uint64_t bytes)
{
	if (what == DISCO_HINT_BULK_KERNEL)
		return hint_bulk_kernel(h);
	return h->backend->bulk(h, what, bytes / HINT_PAGE);
}

int disco_hint_flush(struct disco_hint *h)
{
	return h->backend->flush(h);
}

/* --- what the host tells -------------------------------------------------------- */

/* One state of it, see struct hints_info. */
static int hint_info(struct disco_hint *h, struct hints_info *out)
{
	for (unsigned i = 0; i < INFO_TRIES; i++) {
		uint32_t sequence;
		int err = h->backend->info(h, HINTS_INFO_AT, out, sizeof(*out));

		if (!err)
			err = h->backend->info(
				h,
				HINTS_INFO_AT +
					offsetof(struct hints_info, sequence),
				&sequence, sizeof(sequence));
		if (err)
			return err;
		if (sequence == out->sequence && sequence % 2 == 0)
			return out->magic == HINTS_MAGIC ? 0 : -EPROTO;
	}
	return -EAGAIN;
}

int disco_hint_home(struct disco_hint *h, unsigned vcpu)
{
	struct hints_info info;
	int err = hint_info(h, &info);

	if (err)
		return err;
	if (vcpu >= info.nr_vcpus || vcpu >= HINTS_MAX_VCPUS ||
	    info.vcpu_node[vcpu] == HINTS_NO_NODE)
		return -ENOENT;
	return info.vcpu_node[vcpu];
}

int disco_hint_distance(struct disco_hint *h, unsigned from, unsigned to)
{
	uint8_t distance = 0;
	int err;

	if (from >= HINTS_MAX_NODES || to >= HINTS_MAX_NODES)
		return -ENOENT;
	err = h->backend->info(h,
			       HINTS_DISTANCE_AT + from * HINTS_MAX_NODES + to,
			       &distance, 1);
	if (err)
		return err;
	return distance ? distance : -ENOENT;
}

int disco_hint_vcpus(struct disco_hint *h)
{
	struct hints_info info;
	int err = hint_info(h, &info);

	return err ? err : (int)info.nr_vcpus;
}

int disco_hint_nodes(struct disco_hint *h)
{
	struct hints_info info;
	int err = hint_info(h, &info);

	return err ? err : (int)info.nr_nodes;
}

int disco_hint_flags(struct disco_hint *h)
{
	struct hints_info info;
	int err = hint_info(h, &info);

	return err ? err : (int)info.flags;
}

int disco_hint_counts(struct disco_hint *h, uint64_t *taken, uint64_t *refused)
{
	struct hints_info info;
	int err = hint_info(h, &info);

	if (err)
		return err;
	*taken = info.taken;
	*refused = info.refused;
	return 0;
}
