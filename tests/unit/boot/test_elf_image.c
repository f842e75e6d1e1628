/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF kernels: one good file, then that file with one thing wrong at a time.
 */
#include <errno.h>
#include <stdlib.h>

#include "monitor/boot/elf_image.h"
#include "tests/unit/boot/wrong_images.h"

static int parse(const uint8_t *file, size_t bytes, void *result,
		 const char **why)
{
	return elf_parse(file, bytes, result, why);
}

const struct image_format image_format = { ELF_BYTES, elf_build,
					   sizeof(struct elf_image), parse };

static void good(void **state)
{
	uint8_t file[ELF_BYTES];
	struct elf_image e;

	(void)state;
	elf_build(file);
	assert_true(elf_is(file, sizeof(file)));
	accepted(file, sizeof(file), &e);
	assert_int_equal(e.nr_segments, 2);
	assert_int_equal(e.segments[0].offset, ELF_TEXT_AT);
	assert_int_equal(e.segments[0].gpa, ELF_TEXT_GPA);
	assert_int_equal(e.segments[0].file_bytes, ELF_TEXT_BYTES);
	assert_int_equal(e.segments[0].memory_bytes, ELF_TEXT_BYTES);
	assert_int_equal(e.segments[1].offset, ELF_DATA_AT);
	assert_int_equal(e.segments[1].gpa, ELF_DATA_GPA);
	assert_int_equal(e.segments[1].file_bytes, ELF_DATA_BYTES);
	assert_int_equal(e.segments[1].memory_bytes, ELF_DATA_ROOM);
	assert_int_equal(e.entry, ELF_ENTRY);
	assert_true(e.has_pvh);
	assert_int_equal(e.pvh_entry, ELF_PVH_ENTRY);
	assert_int_equal(e.end, ELF_DATA_GPA + ELF_DATA_ROOM);
}

static void is_elf_by_its_magic(void **state)
{
	static const uint8_t elf[] = { 0x7f, 'E', 'L', 'F' };
	static const uint8_t other[] = { 0x7f, 'E', 'L', 'G' };

	(void)state;
	assert_true(elf_is(elf, 4));
	assert_false(elf_is(elf, 3));
	assert_false(elf_is(elf, 0));
	assert_false(elf_is(other, 4));
}

static void garbage(void **state)
{
	uint8_t file[ELF_BYTES];

	(void)state;
	memset(file, 0, sizeof(file));
	refused("zeroes", file, sizeof(file), -ENOTSUP,
		"not an x86-64 executable");
	memset(file, 0xff, sizeof(file));
	refused("ones", file, sizeof(file), -ENOTSUP,
		"not an x86-64 executable");
	elf_build(file);
	file[1] = 'e';
	refused("no magic", file, sizeof(file), -ENOTSUP,
		"not an x86-64 executable");
}

static void not_for_this_machine(void **state)
{
	static const char why[] = "not an x86-64 executable";
	static const struct wrong w[] = {
		{ "32-bit", EH(e_ident[EI_CLASS]), 1, ELFCLASS32, -ENOTSUP,
		  why },
		{ "big-endian", EH(e_ident[EI_DATA]), 1, ELFDATA2MSB, -ENOTSUP,
		  why },
		{ "i386", EH(e_machine), 2, EM_386, -ENOTSUP, why },
		{ "arm64", EH(e_machine), 2, EM_AARCH64, -ENOTSUP, why },
		{ "object", EH(e_type), 2, ET_REL, -ENOTSUP, why },
		{ "core", EH(e_type), 2, ET_CORE, -ENOTSUP, why },
	};

	(void)state;
	check_all(w, ARRAY_SIZE(w));
}

static void position_independent_is_fine(void **state)
{
	uint8_t file[ELF_BYTES];
	struct elf_image e;

	(void)state;
	elf_build(file);
	put(file, EH(e_type), ET_DYN, 2);
	accepted(file, sizeof(file), &e);
}

static void program_headers(void **state)
{
	static const char why[] = "its program headers are broken";
	static const struct wrong w[] = {
		{ "entry size", EH(e_phentsize), 2, 55, -EBADMSG, why },
		{ "entry size 0", EH(e_phentsize), 2, 0, -EBADMSG, why },
		{ "none", EH(e_phnum), 2, 0, -EBADMSG, why },
		{ "65", EH(e_phnum), 2, 65, -EBADMSG, why },
		{ "65535", EH(e_phnum), 2, 0xffff, -EBADMSG, why },
		{ "64, past the end", EH(e_phnum), 2, 64, -EBADMSG, why },
		{ "at the end", EH(e_phoff), 8, ELF_BYTES, -EBADMSG, why },
		{ "partly outside", EH(e_phoff), 8, ELF_BYTES - 167, -EBADMSG,
		  why },
		{ "offset wraps", EH(e_phoff), 8, UINT64_MAX - 55, -EBADMSG,
		  why },
	};

	(void)state;
	check_all(w, ARRAY_SIZE(w));
}

static void segments_in_the_file(void **state)
{
	static const char why[] = "it is shorter than its headers say";
	static const struct wrong w[] = {
		{ "one byte past the end", PH(1, p_offset), 8, ELF_DATA_AT + 1,
		  -EBADMSG, why },
		{ "starts past the end", PH(1, p_offset), 8, ELF_BYTES + 1,
		  -EBADMSG, why },
		{ "offset wraps", PH(1, p_offset), 8,
		  UINT64_MAX - ELF_DATA_BYTES + 1, -EBADMSG, why },
		{ "size too large", PH(1, p_filesz), 8, ELF_DATA_BYTES + 1,
		  -EBADMSG, why },
		{ "size wraps", PH(1, p_filesz), 8, UINT64_MAX, -EBADMSG, why },
		{ "more in the file than in memory", PH(0, p_memsz), 8,
		  ELF_TEXT_BYTES - 1, -EBADMSG, why },
	};

	(void)state;
	check_all(w, ARRAY_SIZE(w));
}

static void segments_in_memory(void **state)
{
	static const char place[] = "a segment has no place in memory";
	static const char order[] = "its segments overlap or are not in order";
	static const struct wrong w[] = {
		{ "low memory", PH(0, p_paddr), 8, BOOT_LOW_END - 1, -EBADMSG,
		  place },
		{ "at 0", PH(0, p_paddr), 8, 0, -EBADMSG, place },
		{ "above the image", PH(1, p_paddr), 8, BOOT_IMAGE_MAX,
		  -EBADMSG, place },
		{ "ends above the image", PH(1, p_paddr), 8,
		  BOOT_IMAGE_MAX - ELF_DATA_ROOM + 1, -EBADMSG, place },
		{ "address wraps", PH(1, p_paddr), 8, UINT64_MAX - 0xfff,
		  -EBADMSG, place },
		{ "size wraps", PH(1, p_memsz), 8, UINT64_MAX, -EBADMSG,
		  place },
		{ "same place", PH(1, p_paddr), 8, ELF_TEXT_GPA, -EBADMSG,
		  order },
		{ "overlap of a byte", PH(1, p_paddr), 8,
		  ELF_TEXT_GPA + ELF_TEXT_BYTES - 1, -EBADMSG, order },
		{ "descending", PH(1, p_paddr), 8, MIB(2), -EBADMSG, order },
	};

	(void)state;
	check_all(w, ARRAY_SIZE(w));
}

/* The last place that is still allowed on each side. */
static void segments_at_the_edges(void **state)
{
	uint8_t file[ELF_BYTES];
	struct elf_image e;

	(void)state;
	elf_build(file);
	put(file, PH(0, p_paddr), BOOT_LOW_END, 8);
	put(file, PH(1, p_paddr), BOOT_IMAGE_MAX - ELF_DATA_ROOM, 8);
	put(file, EH(e_entry), BOOT_LOW_END, 8);
	put(file, ELF_NOTE_AT + 16, BOOT_LOW_END + ELF_TEXT_BYTES - 1, 4);
	accepted(file, sizeof(file), &e);
	assert_int_equal(e.end, BOOT_IMAGE_MAX);
	assert_int_equal(e.pvh_entry, BOOT_LOW_END + ELF_TEXT_BYTES - 1);
	elf_build(file);
	put(file, PH(1, p_paddr), ELF_TEXT_GPA + ELF_TEXT_BYTES, 8);
	accepted(file, sizeof(file), &e);
}

static void empty_segments_do_not_count(void **state)
{
	uint8_t file[ELF_BYTES];
	struct elf_image e;

	(void)state;
	elf_build(file);
	put(file, PH(1, p_memsz), 0, 8);
	put(file, PH(1, p_paddr), 0, 8);
	accepted(file, sizeof(file), &e);
	assert_int_equal(e.nr_segments, 1);
	assert_int_equal(e.end, ELF_TEXT_GPA + ELF_TEXT_BYTES);
}

/* @nr one-page segments, the first of which holds the entry; no note. */
static void build_many(uint8_t *file, unsigned nr)
{
	const Elf64_Phdr p = { .p_type = PT_LOAD,
			       .p_filesz = 0x40,
			       .p_memsz = 0x40 };

	elf_build(file);
	put(file, EH(e_phnum), nr, 2);
	for (unsigned i = 0; i < nr; i++) {
		memcpy(file + PH(i, p_type), &p, sizeof(p));
		put(file, PH(i, p_paddr), ELF_TEXT_GPA + i * 0x2000ull, 8);
	}
}

static void too_many_segments(void **state)
{
	static uint8_t file[8192];
	struct elf_image e;

	(void)state;
	build_many(file, ELF_MAX_SEGMENTS);
	accepted(file, sizeof(file), &e);
	assert_int_equal(e.nr_segments, ELF_MAX_SEGMENTS);
	assert_false(e.has_pvh);
	build_many(file, ELF_MAX_SEGMENTS + 1);
	refused("one too many", file, sizeof(file), -EBADMSG,
		"it has too many segments");
	/* As many as there may be headers, all but one of another kind. */
	elf_build(file);
	put(file, EH(e_phnum), 64, 2);
	memset(file + PH(1, p_type), 0, 63 * sizeof(Elf64_Phdr));
	accepted(file, sizeof(file), &e);
	assert_int_equal(e.nr_segments, 1);
}

static void no_segments(void **state)
{
	uint8_t file[ELF_BYTES];

	(void)state;
	elf_build(file);
	put(file, PH(0, p_type), PT_NULL, 4);
	put(file, PH(1, p_type), PT_NULL, 4);
	refused("no segments", file, sizeof(file), -EBADMSG,
		"its entry is not in a segment");
}

static void without_pvh(void **state)
{
	static const struct wrong other[] = {
		{ "no note", PH(2, p_type), 4, PT_NULL, 0, "" },
		{ "another type", NH(n_type), 4, 17, 0, "" },
		{ "another owner", ELF_NOTE_AT + 12, 4, 0x00554e47, 0, "" },
		{ "longer owner", ELF_NOTE_AT + 15, 1, 'x', 0, "" },
		{ "empty notes", PH(2, p_filesz), 8, 0, 0, "" },
		{ "less than a header", PH(2, p_filesz), 8, 11, 0, "" },
		{ "2 byte address", NH(n_descsz), 4, 2, 0, "" },
	};
	uint8_t file[ELF_BYTES];
	struct elf_image e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		elf_build(file);
		put(file, other[i].at, other[i].value, other[i].width);
		accepted(file, sizeof(file), &e);
		if (e.has_pvh || e.entry != ELF_ENTRY)
			fail_msg("%s: PVH entry found", other[i].name);
	}
}

static void malformed_notes(void **state)
{
	static const char why[] = "its notes are broken";
	static const struct wrong w[] = {
		{ "name too long", NH(n_namesz), 4, 12, -EBADMSG, why },
		{ "name wraps", NH(n_namesz), 4, UINT32_MAX, -EBADMSG, why },
		{ "address cut", PH(2, p_filesz), 8, ELF_NOTE_BYTES - 1,
		  -EBADMSG, why },
		{ "desc too long", NH(n_descsz), 4, 8, -EBADMSG, why },
		{ "desc wraps", NH(n_descsz), 4, UINT32_MAX - 3, -EBADMSG,
		  why },
		{ "notes past the end", PH(2, p_offset), 8, ELF_BYTES - 19,
		  -EBADMSG, "its notes lie outside it" },
		{ "notes wrap", PH(2, p_filesz), 8, UINT64_MAX, -EBADMSG,
		  "its notes lie outside it" },
		{ "offset wraps", PH(2, p_offset), 8, UINT64_MAX - 7, -EBADMSG,
		  "its notes lie outside it" },
	};

	(void)state;
	check_all(w, ARRAY_SIZE(w));
}

/* Linux writes 8 bytes; what does not fit in 32 bits is not cut off. */
static void wide_pvh_entry(void **state)
{
	uint8_t file[ELF_BYTES];
	struct elf_image e;

	(void)state;
	elf_build(file);
	put(file, PH(2, p_filesz), ELF_NOTE_BYTES + 4, 8);
	put(file, NH(n_descsz), 8, 4);
	accepted(file, sizeof(file), &e);
	assert_true(e.has_pvh);
	assert_int_equal(e.pvh_entry, ELF_PVH_ENTRY);
	put(file, ELF_NOTE_AT + 20, 1, 4);
	refused("above 4 GiB", file, sizeof(file), -EBADMSG,
		"its entry is not in a segment");
}

static void second_note_is_found(void **state)
{
	uint8_t file[ELF_BYTES], note[ELF_NOTE_BYTES];
	struct elf_image e;

	(void)state;
	elf_build(file);
	memcpy(note, file + ELF_NOTE_AT, sizeof(note));
	put(file, NH(n_type), 6, 4);
	put(file, NH(n_descsz), 1, 4); /* padded to 4 */
	memcpy(file + ELF_NOTE_AT + sizeof(note), note, sizeof(note));
	put(file, PH(2, p_filesz), 2 * sizeof(note), 8);
	accepted(file, sizeof(file), &e);
	assert_true(e.has_pvh);
	assert_int_equal(e.pvh_entry, ELF_PVH_ENTRY);
}

static void entry_outside(void **state)
{
	static const char why[] = "its entry is not in a segment";
	static const struct wrong w[] = {
		{ "0", EH(e_entry), 8, 0, -EBADMSG, why },
		{ "before text", EH(e_entry), 8, ELF_TEXT_GPA - 1, -EBADMSG,
		  why },
		{ "after text", EH(e_entry), 8, ELF_TEXT_GPA + ELF_TEXT_BYTES,
		  -EBADMSG, why },
		{ "in zeroed memory", EH(e_entry), 8,
		  ELF_DATA_GPA + ELF_DATA_BYTES, -EBADMSG, why },
		{ "virtual", EH(e_entry), 8, 0xffffffff81000000, -EBADMSG,
		  why },
		{ "PVH 0", ELF_NOTE_AT + 16, 4, 0, -EBADMSG, why },
		{ "PVH between", ELF_NOTE_AT + 16, 4, ELF_DATA_GPA - 1,
		  -EBADMSG, why },
		{ "PVH far", ELF_NOTE_AT + 16, 4, UINT32_MAX, -EBADMSG, why },
	};

	(void)state;
	check_all(w, ARRAY_SIZE(w));
}

/* Cut anywhere it is refused, and the part that is missing is named. */
static void truncated(void **state)
{
	const size_t headers = PH(3, p_type);
	uint8_t file[ELF_BYTES];

	(void)state;
	elf_build(file);
	for (size_t n = 0; n < sizeof(file); n++) {
		const char *why =
			n < sizeof(Elf64_Ehdr) ? "it ends in its ELF header"
			: n < headers ? "its program headers are broken"
				      : "it is shorter than its headers say";

		refused("cut", file, n, -EBADMSG, why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(is_elf_by_its_magic),
		cmocka_unit_test(garbage),
		cmocka_unit_test(not_for_this_machine),
		cmocka_unit_test(position_independent_is_fine),
		cmocka_unit_test(program_headers),
		cmocka_unit_test(segments_in_the_file),
		cmocka_unit_test(segments_in_memory),
		cmocka_unit_test(segments_at_the_edges),
		cmocka_unit_test(empty_segments_do_not_count),
		cmocka_unit_test(too_many_segments),
		cmocka_unit_test(no_segments),
		cmocka_unit_test(without_pvh),
		cmocka_unit_test(malformed_notes),
		cmocka_unit_test(wide_pvh_entry),
		cmocka_unit_test(second_note_is_found),
		cmocka_unit_test(entry_outside),
		cmocka_unit_test(truncated),
	};

	return cmocka_run_group_tests_name("elf_image", tests, NULL, NULL);
}
