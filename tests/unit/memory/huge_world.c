/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/memory/huge_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define BYTES ((uint64_t)PAGES * PAGE_BYTES)

/* As monitor/control/workers/ram_file.c makes it. Return: -1: not here. */
static int huge_file(void)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), mount = -1, fd;

	if (fs < 0)
		return -1;
	if (fsconfig(fs, FSCONFIG_SET_STRING, "huge", "advise", 0) == 0 &&
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	(void)close(fs);
	if (mount < 0)
		return -1;
	fd = openat(mount, "ram", O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	(void)close(mount);
	return fd;
}

static void source_gone(struct pmap_source *s, uint64_t index)
{
	(void)index;
	container_of(s, struct huge_world, src)->shown--;
}

/* The bytes of page @i of the source. */
static void source_bytes(uint64_t i, uint8_t out[PAGE_BYTES])
{
	uint64_t word = (i + 1) * 0x9e3779b97f4a7c15ull;

	for (size_t at = 0; at < PAGE_BYTES; at += sizeof(word))
		memcpy(out + at, &word, sizeof(word));
}

static void make_source(struct huge_world *w)
{
	uint8_t bytes[PAGE_BYTES];

	w->src_fd = memfd_create("source", MFD_CLOEXEC);
	assert_true(w->src_fd >= 0);
	for (uint64_t i = 0; i < PAGES; i++) {
		source_bytes(i, bytes);
		assert_int_equal(pwrite(w->src_fd, bytes, PAGE_BYTES,
					(off_t)(i * PAGE_BYTES)),
				 PAGE_BYTES);
	}
	w->src = (struct pmap_source){ .fd = w->src_fd, .gone = source_gone };
	assert_int_equal(pmap_add_source(w->pm, &w->src, &w->id), 0);
}

/* A view of memfd's need not begin at a multiple of 2 MiB. */
static void view_align(struct ram_view *v)
{
	uint8_t *p, *at;

	if ((uintptr_t)v->hva % RAM_HUGE_BYTES == 0)
		return;
	p = mmap(NULL, BYTES + RAM_HUGE_BYTES, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	at = (uint8_t *)align_up((uintptr_t)p, RAM_HUGE_BYTES);
	(void)munmap(v->hva, BYTES);
	v->hva = mmap(at, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		      v->fd, 0);
	assert_ptr_equal(v->hva, at);
}

void huge_world_make(struct huge_world *w, uint64_t budget)
{
	*w = (struct huge_world){ .ram = huge_file(), .budget = budget };
	if (w->ram < 0)
		w->ram = memfd_create("ram", MFD_CLOEXEC);
	assert_true(w->ram >= 0);
	assert_int_equal(ftruncate(w->ram, (off_t)BYTES), 0);
	w->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(w->pagemap >= 0);
	assert_int_equal(ram_view_create(&w->view, w->ram, BYTES), 0);
	view_align(&w->view);
	if (ram_huge_create(&w->view, FIRST_RUN * RAM_HUGE_BYTES, &w->huge))
		SKIP("this kernel has no huge pages");
	assert_int_equal(pmap_create(&w->view, budget, &w->pm), 0);
	pmap_set_huge(w->pm, w->huge);
	make_source(w);
	w->shadow = calloc(PAGES, PAGE_BYTES);
	assert_non_null(w->shadow);
	/* What one byte costs shows it. */
	w->view.hva[FIRST_RUN * RAM_HUGE_BYTES] = 1;
	w->real = huge_world_pages(w) == RAM_HUGE_PAGES;
	assert_int_equal(pmap_free(w->pm, (gfn_t){ 0 }, PAGES), 0);
	assert_int_equal(huge_world_pages(w), 0);
}

void huge_world_end(struct huge_world *w)
{
	assert_int_equal(pmap_free(w->pm, (gfn_t){ 0 }, PAGES), 0);
	assert_int_equal(huge_world_pages(w), 0);
	assert_int_equal(w->shown, 0);
	pmap_remove_source(w->pm, w->id);
	pmap_destroy(w->pm);
	ram_huge_destroy(w->huge);
	ram_view_destroy(&w->view);
	free(w->shadow);
	(void)close(w->ram);
	(void)close(w->pagemap);
	(void)close(w->src_fd);
}

uint8_t *huge_world_page(const struct huge_world *w, uint64_t page)
{
	return w->view.hva + page * PAGE_BYTES;
}

uint8_t *huge_world_shadow(const struct huge_world *w, uint64_t page)
{
	return w->shadow + page * PAGE_BYTES;
}

void huge_world_write(struct huge_world *w, uint64_t page, uint64_t nr,
		      uint8_t value)
{
	for (uint64_t i = page; i < page + nr; i++)
		huge_world_page(w, i)[i % PAGE_BYTES] =
			huge_world_shadow(w, i)[i % PAGE_BYTES] = value;
}

int huge_world_show(struct huge_world *w, uint64_t page, uint64_t nr)
{
	int err;

	w->shown += nr;
	err = pmap_show(w->pm, huge_world_page(w, page), nr, w->id, page);
	if (err) {
		w->shown -= nr;
		return err;
	}
	for (uint64_t i = page; i < page + nr; i++)
		source_bytes(i, huge_world_shadow(w, i));
	return 0;
}

uint64_t huge_world_pages(const struct huge_world *w)
{
	struct stat st;

	assert_int_equal(fstat(w->ram, &st), 0);
	return (uint64_t)st.st_blocks * 512 / PAGE_BYTES;
}

/* Mappings of the view, and of how many bytes those that are huge are. */
static uint64_t world_smaps(const struct huge_world *w, uint64_t *huge)
{
	uintptr_t start, end, base = (uintptr_t)w->view.hva;
	FILE *f = fopen("/proc/self/smaps", "re");
	uint64_t nr = 0, kib;
	bool inside = false;
	char line[512];

	assert_non_null(f);
	*huge = 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			inside = start >= base && start < base + BYTES;
			nr += inside;
		} else if (inside &&
			   sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1) {
			*huge += kib << 10;
		}
	}
	(void)fclose(f);
	return nr;
}

uint64_t huge_world_mapped(const struct huge_world *w)
{
	uint64_t huge;

	(void)world_smaps(w, &huge);
	return huge;
}

void huge_world_check(struct huge_world *w)
{
	struct pmap_stats s;
	uint64_t huge;

	assert_memory_equal(w->view.hva, w->shadow, BYTES);
	for (uint64_t i = 0; i < PAGES; i++) {
		off_t at = (off_t)(i * PAGE_BYTES);

		/* What is hidden has no memory. */
		if (!pmap_is_ram(w->pm, i)) {
			off_t data = lseek(w->ram, at, SEEK_DATA);

			assert_true(data < 0 || data >= at + (off_t)PAGE_BYTES);
		}
	}
	pmap_get_stats(w->pm, &s);
	assert_true(s.mappings <= w->budget);
	assert_true(world_smaps(w, &huge) <= 1 + s.mappings);
}
