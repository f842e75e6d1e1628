/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel knows of all memory, by /proc/kpageflags and /proc/iomem, and
 * free memory, which is taken from the kernel, given to the host, and given
 * back to the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest-hints/guest/internal.h"

#define KPF_PGTABLE (1ull << 26)
#define BATCH	    1024u
#define CHUNK	    (16ull << 20) /* of free memory at a time */
#define SPARE_SHARE 16u		  /* 1/16 of all memory stays with the kernel */

/* Frames with a flag. Return: 0; -errno. */
static int bulk_flagged(struct hint_run *r, uint64_t flag, uint64_t most)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC), err = 0;
	uint64_t flags[BATCH], frame = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (!err && n > 0) {
		n = read(fd, flags, sizeof(flags));
		for (ssize_t i = 0; i < n / (ssize_t)sizeof(flags[0]); i++) {
			if (flags[i] & flag && r->pages < most && !err)
				err = hint_run_add(r, frame, 1);
			frame++;
		}
	}
	if (n < 0)
		err = -errno;
	(void)close(fd);
	return err;
}

/* A value of /proc/meminfo, in bytes; 0: not there. */
static uint64_t bulk_meminfo(const char *name)
{
	char text[4096], *at;

	if (hint_read_text("/proc/meminfo", text, sizeof(text)))
		return 0;
	at = strstr(text, name);
	return at ? strtoull(at + strlen(name), NULL, 10) << 10 : 0;
}

/*
 * The kernel gives out frames that it does not need; they are written, so that
 * they are frames and not the page of zeroes. All is held until the end, or the
 * same frames would come again.
 */
static int64_t bulk_free(struct disco_hint *h, uint64_t bytes)
{
	uint64_t spare = bulk_meminfo("MemTotal:") / SPARE_SHARE, done = 0;
	uint64_t there = bulk_meminfo("MemFree:");
	int64_t pages = 0, n = 0;
	uint8_t *map;

	there = there > spare ? there - spare : 0;
	if (!bytes || bytes > there)
		bytes = there;
	bytes &= ~(uint64_t)(HINT_PAGE - 1);
	if (!bytes)
		return 0;
	map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return -errno;
	while (done < bytes && n >= 0 && bulk_meminfo("MemFree:") > spare / 2) {
		uint64_t some = bytes - done < CHUNK ? bytes - done : CHUNK;

		for (uint64_t i = 0; i < some; i += HINT_PAGE)
			__atomic_store_n(map + done + i, 1, __ATOMIC_RELAXED);
		n = hint_discard(h, (uint64_t)(uintptr_t)(map + done), some,
				 HINTS_FREE);
		pages += n > 0 ? n : 0;
		done += some;
	}
	(void)munmap(map, bytes);
	return n < 0 ? n : pages;
}

int64_t hint_bulk(struct disco_hint *h, int what, uint64_t pages)
{
	struct hint_run r;
	int err, end;

	if (what == DISCO_HINT_BULK_FREE)
		return bulk_free(h, pages * HINT_PAGE);
	if (what != DISCO_HINT_BULK_PAGE_TABLES)
		return -EINVAL;
	hint_run_init(&r, h, HINTS_REWRITE, 0);
	err = bulk_flagged(&r, KPF_PGTABLE, pages ? pages : UINT64_MAX);
	end = hint_run_end(&r);
	if (!err)
		err = end;
	return err ? err : (int64_t)r.pages;
}

/* --- the kernel's own ------------------------------------------------------------ */

/* "  01000000-01a025c0 : Kernel code". Addresses are 0 for who may not see them. */
static bool bulk_kernel_line(const char *line, uint64_t *first, uint64_t *end)
{
	char *at;

	if (!strstr(line, ": Kernel code") && !strstr(line, ": Kernel rodata"))
		return false;
	*first = strtoull(line, &at, 16) / HINT_PAGE;
	if (*at != '-')
		return false;
	*end = strtoull(at + 1, NULL, 16) / HINT_PAGE;
	return *end > *first;
}

/* Text and constants: alike in all guests with that kernel, and never written. */
static int bulk_kernel_kind(struct disco_hint *h, int kind, uint64_t *pages)
{
	FILE *f = fopen("/proc/iomem", "re");
	uint64_t first, end;
	struct hint_run r;
	char line[256];
	int err = 0, last;

	if (!f)
		return -errno;
	hint_run_init(&r, h, kind, 0);
	while (!err && fgets(line, sizeof(line), f))
		if (bulk_kernel_line(line, &first, &end))
			err = hint_run_add(&r, first, end - first);
	(void)fclose(f);
	last = hint_run_end(&r);
	*pages = r.pages;
	return err ? err : last;
}

int64_t hint_bulk_kernel(struct disco_hint *h)
{
	uint64_t pages = 0;
	int err;

	err = bulk_kernel_kind(h, HINTS_READ_MOSTLY, &pages);
	if (!err)
		err = bulk_kernel_kind(h, HINTS_MERGE, &pages);
	if (!err && !pages)
		err = -EACCES;
	return err ? err : (int64_t)pages;
}
