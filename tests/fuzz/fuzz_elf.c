/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF kernels: the input itself (first byte even), or a good one with changes
 * and cuts. Checked: what is accepted lies inside the file and inside guest
 * memory, in order; what is refused says why and leaves the result alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "monitor/boot/elf_image.h"
#include "tests/fuzz/bytes.h"
#include "tests/must.h"
#include "tests/unit/boot/images.h"

static size_t make_file(struct bytes *b, uint8_t *file)
{
	size_t bytes = ELF_BYTES;

	if (take(b, 1) % 2 == 0)
		return take_into(b, file, FUZZ_FILE_MAX);
	elf_build(file);
	while (b->n) {
		size_t at = take(b, 2), width = take(b, 1) % 8 + 1;

		if (at >= ELF_BYTES)
			bytes = at % (ELF_BYTES + 1);
		else
			put(file, at, take(b, width),
			    min_u64(width, ELF_BYTES - at));
	}
	return bytes;
}

static bool inside(const struct elf_image *e, uint64_t at)
{
	for (unsigned i = 0; i < e->nr_segments; i++)
		if (at >= e->segments[i].gpa &&
		    at < e->segments[i].gpa + e->segments[i].file_bytes)
			return true;
	return false;
}

static void check_accepted(const struct elf_image *e, size_t bytes)
{
	uint64_t end = BOOT_LOW_END;

	must(e->nr_segments >= 1 && e->nr_segments < BOOT_MAX_EXTENTS);
	for (unsigned i = 0; i < e->nr_segments; i++) {
		const struct elf_segment *s = &e->segments[i];

		must(range_fits(s->offset, s->file_bytes, bytes));
		must(s->memory_bytes > 0 && s->file_bytes <= s->memory_bytes);
		must(s->gpa >= end);
		must(range_fits(s->gpa, s->memory_bytes, BOOT_IMAGE_MAX));
		end = s->gpa + s->memory_bytes;
	}
	must(e->end == end);
	must(inside(e, e->entry));
	must(!e->has_pvh || inside(e, e->pvh_entry));
	must(!e->has_pvh || e->pvh_entry <= UINT32_MAX);
}

static void check(const uint8_t *file, size_t bytes)
{
	struct elf_image e, before;
	const char *why = "";
	int err;

	memset(&e, 0xa5, sizeof(e));
	before = e;
	err = elf_parse(file, bytes, &e, &why);
	if (err) {
		must(err == -EBADMSG || err == -ENOTSUP);
		must(*why && !strchr(why, '\n'));
		must(memcmp(&e, &before, sizeof(e)) == 0);
		return;
	}
	must(elf_is(file, bytes));
	check_accepted(&e, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_file(data, size, make_file, check);
}
