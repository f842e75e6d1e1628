/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disco/pagemap.h"

#define ENTRIES 512u
/* What is larger is address space that a sanitizer has reserved. */
#define MAPPING_MAX GIB(16)
#define USER_END    (1ull << 47) /* [vsyscall] is above: it is the kernel's */

struct private
{
	const struct ram_view *ram;
	int pagemap;
	uint64_t pages;
};

static bool private_inside(const uint8_t *hva, uint64_t bytes, uint64_t start,
			   uint64_t end)
{
	return start >= (uintptr_t)hva && end <= (uintptr_t)hva + bytes;
}

/* RAM, in this mapping or in one of a view's, or a window above it. */
static bool private_is_guests(const struct ram_view *ram, uint64_t start,
			      uint64_t end)
{
	bool is = private_inside(ram->hva, ram->bytes, start, end);

	for (unsigned i = 0; i < ram->nr_views && !is; i++)
		is = private_inside(ram->views[i], ram->bytes, start, end);
	for (unsigned i = 0; i < ram->nr_windows && !is; i++)
		is = private_inside(ram->windows[i]->hva,
				    ram->windows[i]->bytes, start, end);
	return is;
}

static void private_mapping(struct private *p, uint64_t start, uint64_t end)
{
	uint64_t page = start / PAGE_BYTES, left = (end - start) / PAGE_BYTES;
	const uint64_t alone = PM_PRESENT | PM_EXCLUSIVE;
	uint64_t e[ENTRIES];

	while (left) {
		uint64_t nr = min_u64(left, ENTRIES);

		/* It went meanwhile: then it is not counted. */
		if (pagemap_read(p->pagemap, page, e, nr) != (int64_t)nr)
			return;
		for (uint64_t i = 0; i < nr; i++)
			p->pages += (e[i] & alone) == alone;
		page += nr;
		left -= nr;
	}
}

static void private_line(struct private *p, const char *line)
{
	uint64_t start, end;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2 &&
	    start < end && end <= USER_END && end - start <= MAPPING_MAX &&
	    !private_is_guests(p->ram, start, end))
		private_mapping(p, start, end);
}

uint64_t private_count(int maps, int pagemap, const struct ram_view *ram)
{
	struct private p = { .ram = ram, .pagemap = pagemap };
	char buf[4096 + 1], *line, *nl;
	size_t have = 0;
	ssize_t n;

	if (lseek(maps, 0, SEEK_SET) < 0)
		return 0;
	while ((n = read(maps, buf + have, sizeof(buf) - 1 - have)) > 0) {
		have += (size_t)n;
		buf[have] = '\0';
		for (line = buf; (nl = strchr(line, '\n')); line = nl + 1) {
			*nl = '\0';
			private_line(&p, line);
		}
		have = strlen(line);
		if (have == sizeof(buf) - 1)
			have = 0; /* a line that long is a path: not needed */
		memmove(buf, line, have);
	}
	return p.pages * PAGE_BYTES;
}
