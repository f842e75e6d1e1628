/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/memory/pmap_world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void source_bytes(unsigned source, uint64_t index, uint8_t out[PAGE_BYTES])
{
	uint64_t word = (index + 1) * 0x9e3779b97f4a7c15ull;

	for (size_t i = 0; i < PAGE_BYTES; i += sizeof(word))
		memcpy(out + i, &word, sizeof(word));
	if (source == NR_SOURCES - 1)
		out[0] ^= 0xff;
}

static int memfd(uint64_t pages)
{
	int fd = memfd_create("world", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(pages * PAGE_BYTES)), 0);
	return fd;
}

static void gone(struct pmap_source *s, uint64_t index)
{
	struct world_source *ws = container_of(s, struct world_source, s);

	assert_true(index < SOURCE_PAGES);
	ws->held[index]--;
	assert_true(ws->held[index] >= 0);
	ws->told++;
}

static void make_source(struct world *w, unsigned i)
{
	struct world_source *ws = &w->src[i];
	uint8_t bytes[PAGE_BYTES];
	int fd = memfd(SOURCE_PAGES);
	struct stat st;
	char path[32];

	for (unsigned at = 0; at < SOURCE_PAGES; at++) {
		source_bytes(i, at, bytes);
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes),
					(off_t)at * PAGE_BYTES),
				 sizeof(bytes));
	}
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ws->s.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(ws->s.fd >= 0);
	(void)close(fd);
	assert_int_equal(fstat(ws->s.fd, &st), 0);
	ws->inode = st.st_ino;
	ws->s.gone = gone;
	assert_int_equal(pmap_add_source(w->pm, &ws->s, &ws->id), 0);
}

void world_make(struct world *w, uint64_t budget)
{
	uint64_t bytes = (uint64_t)PAGES * PAGE_BYTES;

	memset(w, 0, sizeof(*w));
	w->ram = memfd(PAGES);
	w->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	assert_true(w->pagemap >= 0);
	assert_int_equal(ram_view_create(&w->view, w->ram, bytes), 0);
	assert_int_equal(pmap_create(&w->view, budget, &w->pm), 0);
	for (unsigned i = 0; i < NR_SOURCES; i++)
		make_source(w, i);
}

/* Everything is given back: sources know, and no mapping is left over. */
void world_end(struct world *w)
{
	assert_int_equal(pmap_free(w->pm, (gfn_t){ 0 }, PAGES), 0);
	world_look(w);
	assert_int_equal(world_mappings(w), 0);
	assert_int_equal(world_seen(w), 0);
	for (unsigned i = 0; i < NR_SOURCES; i++) {
		for (unsigned at = 0; at < SOURCE_PAGES; at++)
			assert_int_equal(w->src[i].held[at], 0);
		pmap_remove_source(w->pm, w->src[i].id);
		(void)close(w->src[i].s.fd);
	}
	pmap_destroy(w->pm);
	ram_view_destroy(&w->view);
	(void)close(w->ram);
	(void)close(w->pagemap);
}

uint8_t *world_page(struct world *w, uint64_t page)
{
	return w->view.hva + page * PAGE_BYTES;
}

int world_show(struct world *w, uint64_t page, uint64_t nr, unsigned source,
	       uint64_t index)
{
	int *held = w->src[source].held + index;
	int err;

	for (uint64_t i = 0; i < nr; i++)
		held[i]++;
	err = pmap_show(w->pm, world_page(w, page), nr, w->src[source].id,
			index);
	for (uint64_t i = 0; err && i < nr; i++)
		held[i]--;
	return err;
}

static unsigned source_of(const struct world *w, ino_t inode)
{
	unsigned i = 0;

	while (i < NR_SOURCES && w->src[i].inode != inode)
		i++;
	return i;
}

static void look_at_mapping(struct world *w, const char *line)
{
	uintptr_t start, end, base = (uintptr_t)w->view.hva;
	uint64_t off, inode, nr;

	assert_int_equal(sscanf(line, "%lx-%lx %*s %" SCNx64 " %*s %" SCNu64,
				&start, &end, &off, &inode),
			 4);
	if (start < base || start >= base + w->view.bytes)
		return;
	nr = (end - start) / PAGE_BYTES;
	for (uint64_t i = 0; i < nr; i++)
		w->truth[(start - base) / PAGE_BYTES + i] = (struct truth){
			.source = source_of(w, inode),
			.index = off / PAGE_BYTES + i,
			.first = i == 0,
		};
}

void world_look(struct world *w)
{
	FILE *f = fopen("/proc/self/maps", "re");
	uint64_t e[PAGES];
	char line[512];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		look_at_mapping(w, line);
	(void)fclose(f);
	assert_int_equal(
		pread(w->pagemap, e, sizeof(e),
		      (off_t)((uintptr_t)w->view.hva / PAGE_BYTES * 8)),
		sizeof(e));
	for (unsigned i = 0; i < PAGES; i++)
		w->truth[i].private = (e[i] >> 62) && !(e[i] >> 61 & 1);
}

uint64_t world_seen(const struct world *w)
{
	uint64_t n = 0;

	for (unsigned i = 1; i < PAGES; i++)
		n += w->truth[i].first;
	return n;
}

uint64_t world_recount(const struct world *w)
{
	uint64_t n = 0;

	for (unsigned i = 1; i < PAGES; i++) {
		const struct truth *a = &w->truth[i - 1], *b = a + 1;

		n += a->source != b->source || a->index + 1 != b->index;
	}
	return n;
}

uint64_t world_mappings(struct world *w)
{
	struct pmap_stats s;

	pmap_get_stats(w->pm, &s);
	return s.mappings;
}

bool world_hole(const struct world *w, uint64_t page)
{
	off_t at = (off_t)(page * PAGE_BYTES);
	off_t data = lseek(w->ram, at, SEEK_DATA);

	return data < 0 || data >= at + (off_t)PAGE_BYTES;
}
