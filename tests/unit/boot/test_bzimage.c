/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bzImages: one good file, then that file with one thing wrong at a time.
 */
#include <errno.h>
#include <stdlib.h>

#include "monitor/boot/bzimage.h"
#include "tests/unit/boot/wrong_images.h"

#define PAYLOAD_BYTES 0x100u
#define FILE_BYTES    BZ_AT(PAYLOAD_BYTES)
#define KERNEL_BYTES  (BZ_STUB + PAYLOAD_BYTES)

static const char no_header[] = "no bzImage header";
static const char too_old[] = "boot protocol below 2.10";
static const char low[] = "it is loaded below 1 MiB (zImage)";
static const char in_setup[] = "it ends in its setup sectors";
static const char too_short[] = "it is shorter than its headers say";
static const char payload_out[] = "its payload lies outside it";
static const char bad_address[] = "its load address is impossible";

static void build(uint8_t *file)
{
	uint8_t payload[PAYLOAD_BYTES];

	memset(payload, 'P', sizeof(payload));
	bz_build(file, payload, sizeof(payload));
}

static int parse(const uint8_t *file, size_t bytes, void *result,
		 const char **why)
{
	return bzimage_parse(file, bytes, result, why);
}

const struct image_format image_format = { FILE_BYTES, build,
					   sizeof(struct bzimage), parse };

static void good(void **state)
{
	const uint32_t hdr_bytes = BZ_HEADER_END - BZ_SETUP_SECTS;
	uint8_t file[FILE_BYTES];
	struct bzimage b;

	(void)state;
	build(file);
	assert_true(bzimage_is(file, sizeof(file)));
	accepted(file, sizeof(file), &b);
	assert_int_equal(b.kernel_offset, BZ_KERNEL_AT);
	assert_int_equal(b.kernel_bytes, KERNEL_BYTES);
	assert_int_equal(b.payload_offset, BZ_AT(0));
	assert_int_equal(b.payload_bytes, PAYLOAD_BYTES);
	assert_int_equal(b.pref_address, BZ_PREF);
	assert_int_equal(b.init_size, BZ_INIT_SIZE);
	assert_int_equal(b.hdr_bytes, hdr_bytes);
	assert_memory_equal(b.hdr, file + BZ_SETUP_SECTS, hdr_bytes);
	for (uint32_t i = hdr_bytes; i < BOOT_HDR_MAX; i++)
		assert_int_equal(b.hdr[i], 0);
}

static void wrong_magic(void **state)
{
	static const struct wrong w[] = {
		{ "magic", BZ_MAGIC, 4, 0x53726449, -ENOTSUP, no_header },
		{ "no magic", BZ_MAGIC, 4, 0, -ENOTSUP, no_header },
		{ "boot flag", BZ_BOOT_FLAG, 2, 0x55aa, -ENOTSUP, no_header },
		{ "no boot flag", BZ_BOOT_FLAG, 2, 0, -ENOTSUP, no_header },
	};
	uint8_t file[FILE_BYTES];

	(void)state;
	check_all(w, ARRAY_SIZE(w));
	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		build(file);
		put(file, w[i].at, w[i].value, w[i].width);
		assert_false(bzimage_is(file, sizeof(file)));
	}
}

static void wrong_protocol(void **state)
{
	static const struct wrong w[] = {
		{ "2.09", BZ_VERSION, 2, 0x0209, -ENOTSUP, too_old },
		{ "2.00", BZ_VERSION, 2, 0x0200, -ENOTSUP, too_old },
		{ "0", BZ_VERSION, 2, 0, -ENOTSUP, too_old },
	};
	uint8_t file[FILE_BYTES];

	(void)state;
	check_all(w, ARRAY_SIZE(w));
	build(file);
	put(file, BZ_XLOADFLAGS, 0, 2);
	put(file, BZ_LOADFLAGS, 0xfe, 1);
	refused("low", file, sizeof(file), -ENOTSUP, low);
}

/* The 64-bit entry came with 2.12; every image has the 32-bit one. */
static void entries(void **state)
{
	static const struct {
		uint16_t version, xloadflags;
		bool entry64;
	} cases[] = {
		{ 0x020f, 0x0001, true },  { 0x020c, 0x0009, true },
		{ 0x020c, 0x0004, false }, { 0x020f, 0xfffe, false },
		{ 0x020b, 0x0001, false }, { 0x020a, 0, false },
	};
	uint8_t file[FILE_BYTES];
	struct bzimage b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		build(file);
		put(file, BZ_VERSION, cases[i].version, 2);
		put(file, BZ_XLOADFLAGS, cases[i].xloadflags, 2);
		accepted(file, sizeof(file), &b);
		assert_int_equal(b.entry64, cases[i].entry64);
	}
}

/* memtest86+ has the header, and is no packed Linux. */
static void no_payload(void **state)
{
	uint8_t file[FILE_BYTES];
	struct bzimage b;

	(void)state;
	build(file);
	put(file, BZ_PAYLOAD_LENGTH, 0, 4);
	accepted(file, sizeof(file), &b);
	assert_int_equal(b.payload_bytes, 0);
	put(file, BZ_PAYLOAD_OFFSET, UINT32_MAX, 4);
	accepted(file, sizeof(file), &b);
}

static void what_the_kernel_takes(void **state)
{
	uint8_t file[FILE_BYTES];
	struct bzimage b;

	(void)state;
	build(file);
	accepted(file, sizeof(file), &b);
	assert_int_equal(b.cmdline_max, 2047);
	assert_int_equal(b.initrd_limit, 0x80000000);
	put(file, BZ_CMDLINE_SIZE, 255, 4);
	put(file, BZ_INITRD_MAX, UINT32_MAX, 4);
	accepted(file, sizeof(file), &b);
	assert_int_equal(b.cmdline_max, 255);
	assert_true(b.initrd_limit == 1ull << 32);
	put(file, BZ_CMDLINE_SIZE, 0, 4);
	put(file, BZ_INITRD_MAX, 0, 4);
	accepted(file, sizeof(file), &b);
	assert_int_equal(b.cmdline_max, 255);
	assert_int_equal(b.initrd_limit, 0x38000000);
}

/* 0 setup sectors means 4. */
static void default_setup_sectors(void **state)
{
	static uint8_t file[5 * 512 + KERNEL_BYTES];
	struct bzimage b;

	(void)state;
	build(file);
	memmove(file + 5 * 512, file + BZ_KERNEL_AT, KERNEL_BYTES);
	put(file, BZ_SETUP_SECTS, 0, 1);
	accepted(file, sizeof(file), &b);
	assert_int_equal(b.kernel_offset, 5 * 512);
	assert_int_equal(b.kernel_bytes, KERNEL_BYTES);
	assert_int_equal(b.payload_offset, 5 * 512 + BZ_STUB);
	refused("ends in the 4th", file, 5 * 512, -EBADMSG, in_setup);
}

static void wrong_sizes(void **state)
{
	static const struct wrong w[] = {
		{ "setup only", BZ_SETUP_SECTS, 1, FILE_BYTES / 512, -EBADMSG,
		  in_setup },
		{ "setup past the end", BZ_SETUP_SECTS, 1, 255, -EBADMSG,
		  in_setup },
		{ "syssize", BZ_SYSSIZE, 4, KERNEL_BYTES / 16 + 1, -EBADMSG,
		  too_short },
		{ "syssize, all ones", BZ_SYSSIZE, 4, UINT32_MAX, -EBADMSG,
		  too_short },
		{ "syssize, wraps", BZ_SYSSIZE, 4, 0x10000001, -EBADMSG,
		  too_short },
	};

	(void)state;
	check_all(w, ARRAY_SIZE(w));
}

/* More than it says: signatures are appended to kernels. */
static void longer_than_it_says(void **state)
{
	static uint8_t file[FILE_BYTES + 1000];
	struct bzimage b;

	(void)state;
	build(file);
	accepted(file, sizeof(file), &b);
	assert_int_equal(b.kernel_bytes, KERNEL_BYTES + 1000);
	assert_int_equal(b.payload_bytes, PAYLOAD_BYTES);
}

static void wrong_payload(void **state)
{
	static const struct wrong w[] = {
		{ "a byte too long", BZ_PAYLOAD_LENGTH, 4, PAYLOAD_BYTES + 1,
		  -EBADMSG, payload_out },
		{ "a byte too far", BZ_PAYLOAD_OFFSET, 4, BZ_STUB + 1, -EBADMSG,
		  payload_out },
		{ "at the end", BZ_PAYLOAD_OFFSET, 4, KERNEL_BYTES, -EBADMSG,
		  payload_out },
		{ "longest", BZ_PAYLOAD_LENGTH, 4, UINT32_MAX, -EBADMSG,
		  payload_out },
		{ "furthest", BZ_PAYLOAD_OFFSET, 4, UINT32_MAX, -EBADMSG,
		  payload_out },
		{ "wraps in 32 bits", BZ_PAYLOAD_OFFSET, 8, 0xffffff0000000100,
		  -EBADMSG, payload_out },
	};

	(void)state;
	check_all(w, ARRAY_SIZE(w));
}

static void wrong_address(void **state)
{
	static const struct wrong w[] = {
		{ "0", BZ_PREF_ADDRESS, 8, 0, -EBADMSG, bad_address },
		{ "low memory", BZ_PREF_ADDRESS, 8, BOOT_LOW_END - PAGE_BYTES,
		  -EBADMSG, bad_address },
		{ "inside a page", BZ_PREF_ADDRESS, 8, BZ_PREF + 1, -EBADMSG,
		  bad_address },
		{ "above the image", BZ_PREF_ADDRESS, 8, BOOT_IMAGE_MAX,
		  -EBADMSG, bad_address },
		{ "ends above the image", BZ_PREF_ADDRESS, 8,
		  BOOT_IMAGE_MAX - BZ_INIT_SIZE + PAGE_BYTES, -EBADMSG,
		  bad_address },
		{ "wraps", BZ_PREF_ADDRESS, 8, UINT64_MAX - 0xfff, -EBADMSG,
		  bad_address },
		{ "no room", BZ_INIT_SIZE_AT, 4, 0, -EBADMSG, bad_address },
		{ "a byte too little", BZ_INIT_SIZE_AT, 4, KERNEL_BYTES - 1,
		  -EBADMSG, bad_address },
		{ "too much", BZ_INIT_SIZE_AT, 4, UINT32_MAX, -EBADMSG,
		  bad_address },
	};
	uint8_t file[FILE_BYTES];
	struct bzimage b;

	(void)state;
	check_all(w, ARRAY_SIZE(w));
	build(file);
	put(file, BZ_PREF_ADDRESS, BOOT_IMAGE_MAX - BZ_INIT_SIZE, 8);
	accepted(file, sizeof(file), &b);
	put(file, BZ_PREF_ADDRESS, BOOT_LOW_END, 8);
	put(file, BZ_INIT_SIZE_AT, KERNEL_BYTES, 4);
	accepted(file, sizeof(file), &b);
}

/* The 64-bit entry is 0x200 into the kernel part, so that has to be there. */
static void kernel_part_without_entry(void **state)
{
	uint8_t file[FILE_BYTES];
	struct bzimage b;

	(void)state;
	build(file);
	put(file, BZ_SYSSIZE, 1, 4);
	put(file, BZ_PAYLOAD_OFFSET, 0, 4);
	put(file, BZ_PAYLOAD_LENGTH, 16, 4);
	refused("no entry", file, BZ_KERNEL_AT + 0x200, -EBADMSG,
		"it ends before its entry");
	accepted(file, BZ_KERNEL_AT + 0x201, &b);
}

/* The header is as long as its jump says, and kept up to BOOT_HDR_MAX. */
static void header_length(void **state)
{
	uint8_t file[FILE_BYTES];
	struct bzimage b;

	(void)state;
	build(file);
	put(file, BZ_JUMP_LENGTH, 255, 1);
	accepted(file, sizeof(file), &b);
	assert_int_equal(b.hdr_bytes, BOOT_HDR_MAX);
	assert_memory_equal(b.hdr, file + BZ_SETUP_SECTS, BOOT_HDR_MAX);
	put(file, BZ_JUMP_LENGTH, 0, 1);
	accepted(file, sizeof(file), &b);
	assert_int_equal(b.hdr_bytes, BZ_MAGIC - BZ_SETUP_SECTS);
}

/* Cut anywhere it is refused, and the part that is missing is named. */
static void truncated(void **state)
{
	uint8_t file[FILE_BYTES];

	(void)state;
	build(file);
	for (size_t n = 0; n <= FILE_BYTES - 16; n++) {
		if (n < BZ_MAGIC + 4)
			refused("no magic", file, n, -ENOTSUP, no_header);
		else if (n < BZ_HEADER_END)
			refused("header", file, n, -EBADMSG,
				"it ends in its header");
		else if (n <= BZ_KERNEL_AT)
			refused("setup", file, n, -EBADMSG, in_setup);
		else
			refused("kernel", file, n, -EBADMSG, too_short);
	}
	/* syssize is rounded up; the payload's own length is not. */
	for (size_t n = FILE_BYTES - 15; n < FILE_BYTES; n++)
		refused("payload", file, n, -EBADMSG, payload_out);
}

static void is_bzimage_by_its_magic(void **state)
{
	uint8_t file[FILE_BYTES];

	(void)state;
	build(file);
	assert_true(bzimage_is(file, BZ_MAGIC + 4));
	assert_false(bzimage_is(file, BZ_MAGIC + 3));
	assert_false(bzimage_is(file, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(is_bzimage_by_its_magic),
		cmocka_unit_test(wrong_magic),
		cmocka_unit_test(wrong_protocol),
		cmocka_unit_test(entries),
		cmocka_unit_test(no_payload),
		cmocka_unit_test(what_the_kernel_takes),
		cmocka_unit_test(default_setup_sectors),
		cmocka_unit_test(wrong_sizes),
		cmocka_unit_test(longer_than_it_says),
		cmocka_unit_test(wrong_payload),
		cmocka_unit_test(wrong_address),
		cmocka_unit_test(kernel_part_without_entry),
		cmocka_unit_test(header_length),
		cmocka_unit_test(truncated),
	};

	return cmocka_run_group_tests_name("bzimage", tests, NULL, NULL);
}
