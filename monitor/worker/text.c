/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/text.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "numa/bind.h"

#define MAX_SEGMENTS 4

/* A part of the program that is never written: whole pages of its file. */
struct segment {
	uint8_t *at;
	size_t bytes;
	off_t offset;
	int prot;
};

static struct segment segments[MAX_SEGMENTS]; /* [I after text_init()] */
static unsigned nr_segments;		      /* [I after text_init()] */

/* The first object is the program itself. */
static int find_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t skip = p->p_vaddr % PAGE_BYTES;

		if (p->p_type != PT_LOAD || p->p_flags & PF_W)
			continue;
		if (nr_segments == MAX_SEGMENTS)
			break;
		segments[nr_segments++] = (struct segment){
			.at = (uint8_t *)(info->dlpi_addr + p->p_vaddr - skip),
			.bytes = align_up(p->p_filesz + skip, PAGE_BYTES),
			.offset = (off_t)(p->p_offset - skip),
			.prot = PROT_READ | (p->p_flags & PF_X ? PROT_EXEC : 0),
		};
	}
	return 1;
}

void text_init(void)
{
	(void)dl_iterate_phdr(find_segments, NULL);
}

void text_pages(nodeid_t node, uint64_t *pages, uint64_t *local)
{
	*pages = *local = 0;
	for (unsigned i = 0; i < nr_segments; i++) {
		const struct segment *s = &segments[i];
		uint64_t touched, here;

		if (node_pages_local(s->at, s->bytes, node, &touched, &here))
			continue;
		*pages += touched;
		*local += here;
	}
}

int text_check(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	for (unsigned i = 0; i < nr_segments; i++) {
		const struct segment *s = &segments[i];
		uint64_t end = align_up((uint64_t)st.st_size, PAGE_BYTES);
		void *copy;
		bool same;

		/* A page beyond the end would be a SIGBUS. */
		if (!range_fits((uint64_t)s->offset, s->bytes, end))
			return -ESTALE;
		copy = mmap(NULL, s->bytes, PROT_READ, MAP_PRIVATE, fd,
			    s->offset);
		if (copy == MAP_FAILED)
			return -errno;
		same = memcmp(copy, s->at, s->bytes) == 0;
		(void)munmap(copy, s->bytes);
		if (!same)
			return -ESTALE;
	}
	return 0;
}

int text_remap(int fd)
{
	/* The same bytes, so whoever runs there does not notice. */
	for (unsigned i = 0; i < nr_segments; i++) {
		const struct segment *s = &segments[i];

		if (mmap(s->at, s->bytes, s->prot, MAP_PRIVATE | MAP_FIXED, fd,
			 s->offset) == MAP_FAILED)
			return -errno;
	}
	return 0;
}
