/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/guest_ram.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numa/read_at.h"

/* One slot below the hole for PCI, and one from 4 GiB on if RAM is larger. */
static void add_slot(struct ram_view *view, uint64_t at, uint64_t bytes,
		     uint64_t offset)
{
	view->slots[view->nr_slots++] = (struct ram_slot){ at, bytes, offset };
}

int ram_view_create(struct ram_view *view, int fd, uint64_t bytes)
{
	uint64_t low = min_u64(bytes, RAM_LOW_END);
	void *hva;

	if (bytes == 0 || bytes % PAGE_BYTES != 0)
		return -EINVAL;
	hva = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (hva == MAP_FAILED)
		return -errno;
	*view = (struct ram_view){ .fd = fd, .hva = hva, .bytes = bytes };
	add_slot(view, 0, low, 0);
	if (bytes > low)
		add_slot(view, RAM_HIGH_START, bytes - low, low);
	return 0;
}

void ram_view_destroy(struct ram_view *view)
{
	if (!view || !view->hva)
		return;
	(void)munmap(view->hva, view->bytes);
	view->hva = NULL;
}

void *ram_at(const struct ram_view *view, gpa_t at, uint64_t len)
{
	for (unsigned i = 0; i < view->nr_slots; i++) {
		const struct ram_slot *s = &view->slots[i];

		if (at.v >= s->gpa && range_fits(at.v - s->gpa, len, s->bytes))
			return view->hva + s->offset + (at.v - s->gpa);
	}
	return NULL;
}

gpa_t ram_gpa(const struct ram_view *view, const void *at)
{
	uint64_t off = (uintptr_t)at - (uintptr_t)view->hva;
	const struct ram_slot *s = &view->slots[view->nr_slots - 1];

	while (off < s->offset)
		s--;
	return gpa(s->gpa + (off - s->offset));
}

void *ram_buffer(const struct ram_view *view, gpa_t at, uint64_t len,
		 bool write)
{
	void *hva = ram_at(view, at, len);

	if (hva && write && view->change)
		view->change(view->change_arg,
			     (uintptr_t)hva - (uintptr_t)view->hva, len);
	for (unsigned i = 0; !hva && i < view->nr_windows; i++) {
		struct ram_window *w = view->windows[i];

		if (at.v < w->gpa || !range_fits(at.v - w->gpa, len, w->bytes))
			continue;
		hva = w->hva + (at.v - w->gpa);
		if (write && w->touched)
			w->touched(w, at.v - w->gpa, len);
	}
	return hva;
}

int ram_read(const struct ram_view *view, gpa_t at, void *dst, uint64_t len)
{
	const void *src = ram_at(view, at, len);

	if (!src)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

int ram_write(const struct ram_view *view, gpa_t at, const void *src,
	      uint64_t len)
{
	void *dst = ram_at(view, at, len);

	if (!dst)
		return -EFAULT;
	memcpy(dst, src, len);
	return 0;
}

int ram_fill(const struct ram_view *view, gpa_t at, uint64_t bytes, int fd,
	     uint64_t off)
{
	uint8_t *hva = ram_at(view, at, bytes);

	return hva ? read_at(fd, hva, bytes, off) : -EFAULT;
}
