/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Boot images of small kernels, with and without a cache, and what is said
 * about files that are none. Everything is in a directory of its own
 * under /tmp, which is the working directory: paths are short names.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "monitor/boot/boot_image.h"
#include "monitor/boot/elf_image.h"
#include "monitor/boot/kernel_cache.h"
#include "tests/unit/boot/images.h"
#include "tests/unit/boot/temp_dir.h"
#include "tests/unit/support.h"

#define PACKED_MAX 4096u

/* --- files --- */

static void write_file(const char *path, const void *data, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), bytes);
	assert_int_equal(close(fd), 0);
}

/* A hole of @bytes. */
static void write_hole(const char *path, uint64_t bytes)
{
	write_file(path, "", 0);
	assert_int_equal(truncate(path, (off_t)bytes), 0);
}

static void write_elf(const char *path)
{
	uint8_t file[ELF_BYTES];

	elf_build(file);
	write_file(path, file, sizeof(file));
}

static size_t gzip(const void *src, size_t bytes, uint8_t *dst)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)src,
		       .avail_in = (uInt)bytes,
		       .next_out = dst,
		       .avail_out = PACKED_MAX };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, 0),
			 Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(deflateEnd(&z), Z_OK);
	return z.total_out;
}

static void write_bzimage(const char *path, const void *payload, size_t bytes)
{
	uint8_t file[BZ_AT(PACKED_MAX)];

	bz_build(file, payload, bytes);
	write_file(path, file, BZ_AT(bytes));
}

/* A bzImage whose payload is the first @bytes of an ELF with this text. */
static void write_kernel(const char *path, uint8_t text, size_t bytes)
{
	uint8_t elf[ELF_BYTES], packed[PACKED_MAX];

	elf_build(elf);
	memset(elf + ELF_TEXT_AT, text, ELF_TEXT_BYTES);
	write_bzimage(path, packed, gzip(elf, bytes, packed));
}

/* --- images --- */

static void create(const struct boot_source *src, struct boot_image *img)
{
	struct diag d = { .status = ST_OK };

	if (boot_image_create(src, img, &d))
		fail_msg("%s: %d %s", src->kernel, (int)d.status, d.text);
	assert_int_equal(d.status, ST_OK);
}

/* @text: the message, or how it starts when it ends in "...". */
static void refused(const struct boot_source *src, enum exit_status status,
		    int err, const char *text)
{
	struct boot_image img, before;
	struct diag d = { .status = ST_OK };
	size_t len = strlen(text);
	int got;

	memset(&img, 0xa5, sizeof(img));
	before = img;
	got = boot_image_create(src, &img, &d);
	if (len > 3 && strcmp(text + len - 3, "...") == 0)
		len -= 3;
	else
		len++;
	if (got != err || d.status != status || strncmp(d.text, text, len) != 0)
		fail_msg("got %d, %d '%s', want %d, %d '%s'", got,
			 (int)d.status, d.text, err, (int)status, text);
	assert_null(strchr(d.text, '\n'));
	assert_memory_equal(&img, &before, sizeof(img));
}

static void kernel_refused(const char *path, enum exit_status status, int err,
			   const char *text)
{
	refused(&(struct boot_source){ .kernel = path, .node = NODE_AUTO },
		status, err, text);
}

static void check_bytes(const struct boot_image *img, uint64_t at, uint8_t want,
			size_t bytes)
{
	uint8_t buf[ELF_DATA_ROOM];

	assert_true(bytes <= sizeof(buf));
	assert_int_equal(pread(img->fd, buf, bytes, (off_t)at), bytes);
	for (size_t i = 0; i < bytes; i++)
		if (buf[i] != want)
			fail_msg("at 0x%" PRIx64 ": %#x, want %#x", at + i,
				 buf[i], want);
}

/* What boot_layout.h promises of every image. */
static void check_layout(const struct boot_layout *l)
{
	uint64_t end = BOOT_LOW_END;

	assert_in_range(l->nr_extents, 1, BOOT_MAX_EXTENTS);
	for (uint32_t i = 0; i < l->nr_extents; i++) {
		const struct boot_extent *x = &l->extents[i];

		assert_true(x->gpa >= end && x->bytes > 0);
		assert_int_equal(x->gpa % PAGE_BYTES, 0);
		assert_int_equal(x->bytes % PAGE_BYTES, 0);
		end = x->gpa + x->bytes;
	}
	assert_true(end <= BOOT_IMAGE_MAX);
	assert_true(l->end <= BOOT_IMAGE_MAX);
	assert_true(l->entry >= BOOT_LOW_END && l->entry < l->end);
	assert_true(l->initrd_gpa + l->initrd_bytes <= l->end);
}

/* The text of the good ELF, or one that was filled with something else. */
static void check_kernel(const struct boot_image *img, uint8_t text)
{
	check_layout(&img->layout);
	check_bytes(img, ELF_TEXT_GPA, text, ELF_TEXT_BYTES);
	check_bytes(img, ELF_TEXT_GPA + ELF_TEXT_BYTES, 0,
		    PAGE_BYTES - ELF_TEXT_BYTES);
	check_bytes(img, ELF_DATA_GPA, 'D', ELF_DATA_BYTES);
	check_bytes(img, ELF_DATA_GPA + ELF_DATA_BYTES, 0,
		    ELF_DATA_ROOM - ELF_DATA_BYTES);
}

/* --- good images --- */

static void pvh_elf(void **state)
{
	const struct boot_source src = { .kernel = "elf", .node = NODE_AUTO };
	struct boot_image img;

	(void)state;
	write_elf("elf");
	create(&src, &img);
	check_kernel(&img, 'T');
	assert_int_equal(img.layout.entry_kind, BOOT_PVH);
	assert_int_equal(img.layout.entry, ELF_PVH_ENTRY);
	assert_int_equal(img.layout.nr_extents, 2);
	assert_int_equal(img.layout.end, ELF_DATA_GPA + ELF_DATA_ROOM);
	assert_int_equal(img.layout.initrd_bytes, 0);
	boot_image_destroy(&img);
	assert_int_equal(img.fd, -1);
	boot_image_destroy(&img);
	boot_image_destroy(NULL);
}

static void nobody_can_write(void **state)
{
	const struct boot_source src = { .kernel = "elf", .node = NODE_AUTO };
	struct boot_image img;

	(void)state;
	write_elf("elf");
	create(&src, &img);
	assert_int_equal(write(img.fd, "x", 1), -1);
	assert_int_equal(ftruncate(img.fd, 0), -1);
	assert_ptr_equal(mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			      MAP_SHARED, img.fd, 0),
			 MAP_FAILED);
	boot_image_destroy(&img);
}

static void on_a_node(void **state)
{
	const struct boot_source src = { .kernel = "elf", .node = 0 };
	struct boot_image img;

	(void)state;
	write_elf("elf");
	create(&src, &img);
	check_kernel(&img, 'T');
	boot_image_destroy(&img);
}

static void unpacked_bzimage(void **state)
{
	const struct boot_source src = { .kernel = "bz", .node = NODE_AUTO };
	struct boot_image img;

	(void)state;
	write_kernel("bz", 'T', ELF_BYTES);
	create(&src, &img);
	check_kernel(&img, 'T');
	assert_int_equal(img.layout.entry_kind, BOOT_LINUX64);
	assert_int_equal(img.layout.entry, ELF_ENTRY);
	assert_int_equal(img.layout.hdr_bytes, BZ_HEADER_END - BZ_SETUP_SECTS);
	assert_memory_equal(&img.layout.hdr[BZ_MAGIC - BZ_SETUP_SECTS], "HdrS",
			    4);
	boot_image_destroy(&img);
}

static void check_packed(const struct boot_source *src)
{
	struct boot_image img;

	create(src, &img);
	check_layout(&img.layout);
	check_bytes(&img, BZ_PREF, 'S', BZ_STUB);
	assert_int_equal(img.layout.entry_kind, BOOT_LINUX64);
	assert_int_equal(img.layout.entry, BZ_PREF + 0x200);
	assert_int_equal(img.layout.end, BZ_PREF + BZ_INIT_SIZE);
	boot_image_destroy(&img);
}

static void packed_bzimage(void **state)
{
	static const char bzip2[] = "BZh91AY&SY.................";
	struct boot_source src = { .kernel = "bz", .node = NODE_AUTO };

	(void)state;
	write_bzimage("bz", bzip2, sizeof(bzip2));
	check_packed(&src);
	write_kernel("bz", 'T', ELF_BYTES);
	src.keep_packed = true;
	check_packed(&src);
}

static void with_initrd(void **state)
{
	const struct boot_source src = { .kernel = "elf",
					 .initrd = "initrd",
					 .node = NODE_AUTO };
	uint8_t initrd[PAGE_BYTES + 1];
	struct boot_image img;

	(void)state;
	memset(initrd, 'I', sizeof(initrd));
	write_elf("elf");
	write_file("initrd", initrd, sizeof(initrd));
	create(&src, &img);
	check_kernel(&img, 'T');
	assert_int_equal(img.layout.initrd_gpa, MIB(20));
	assert_int_equal(img.layout.initrd_bytes, sizeof(initrd));
	assert_int_equal(img.layout.end, MIB(20) + sizeof(initrd));
	check_bytes(&img, MIB(20), 'I', sizeof(initrd));
	check_bytes(&img, MIB(20) + sizeof(initrd), 0, PAGE_BYTES);
	boot_image_destroy(&img);
}

/* Each segment an extent of its own, and one more for the initrd. */
static void most_segments_and_initrd(void **state)
{
	const struct boot_source src = { .kernel = "elf",
					 .initrd = "initrd",
					 .node = NODE_AUTO };
	Elf64_Phdr p = { .p_type = PT_LOAD, .p_filesz = 64, .p_memsz = 64 };
	uint8_t file[ELF_BYTES + (BOOT_MAX_EXTENTS + 1) * sizeof(p)] = { 0 };
	struct boot_image img;

	(void)state;
	elf_build(file);
	put(file, EH(e_phoff), ELF_BYTES, 8);
	put(file, EH(e_phnum), ELF_MAX_SEGMENTS + 1, 2);
	put(file, EH(e_entry), ELF_TEXT_GPA, 8);
	put(file, ELF_NOTE_AT + 16, ELF_TEXT_GPA, 4);
	memcpy(file + ELF_BYTES, file + PH(2, p_type), sizeof(p));
	for (unsigned i = 0; i < ELF_MAX_SEGMENTS; i++) {
		p.p_paddr = ELF_TEXT_GPA + i * 4 * PAGE_BYTES;
		memcpy(file + ELF_BYTES + (i + 1) * sizeof(p), &p, sizeof(p));
	}
	write_file("elf", file, sizeof(file));
	write_file("initrd", "I", 1);
	create(&src, &img);
	check_layout(&img.layout);
	assert_int_equal(img.layout.nr_extents, ELF_MAX_SEGMENTS + 1);
	assert_int_equal(img.layout.initrd_bytes, 1);
	boot_image_destroy(&img);
}

/* An initrd of @nr pieces of 128 KiB; every @every-th has an 'I' in it. */
static void with_holes(struct boot_image *img, unsigned nr, unsigned every)
{
	const struct boot_source src = { .kernel = "elf",
					 .initrd = "initrd",
					 .node = NODE_AUTO };
	int fd;

	write_elf("elf");
	write_hole("initrd", nr * KIB(128));
	fd = open("initrd", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < nr; i += every)
		assert_int_equal(pwrite(fd, "I", 1, (off_t)(i * KIB(128) + 7)),
				 1);
	assert_int_equal(close(fd), 0);
	create(&src, img);
	check_layout(&img->layout);
	assert_int_equal(img->layout.initrd_bytes, nr * KIB(128));
	for (unsigned i = 0; i < nr; i++)
		check_bytes(img, img->layout.initrd_gpa + i * KIB(128) + 7,
			    i % every ? 0 : 'I', 1);
}

static void zeroes_take_no_memory(void **state)
{
	struct boot_image img;
	struct stat st;

	(void)state;
	with_holes(&img, 64, 32);
	assert_int_equal(img.layout.nr_extents, 2 + 2);
	assert_int_equal(img.layout.extents[2].bytes, KIB(128));
	assert_int_equal(fstat(img.fd, &st), 0);
	assert_in_range(st.st_blocks * 512, 1, KIB(512));
	boot_image_destroy(&img);
}

static void more_holes_than_extents(void **state)
{
	const struct boot_extent *last;
	struct boot_image img;

	(void)state;
	with_holes(&img, 4 * BOOT_MAX_EXTENTS, 2);
	assert_int_equal(img.layout.nr_extents, BOOT_MAX_EXTENTS);
	last = &img.layout.extents[BOOT_MAX_EXTENTS - 1];
	assert_int_equal(last->gpa + last->bytes,
			 img.layout.initrd_gpa +
				 (4 * BOOT_MAX_EXTENTS - 1) * KIB(128));
	boot_image_destroy(&img);
}

/* --- bad files --- */

static void not_a_file(void **state)
{
	(void)state;
	kernel_refused("nowhere", ST_FILE, -ENOENT,
		       "kernel nowhere: No such file or directory; check the "
		       "path");
	kernel_refused("", ST_FILE, -ENOENT, "kernel : No such file ...");
	kernel_refused("/", ST_FILE, -EINVAL,
		       "kernel /: is not a regular file; give the file itself");
	kernel_refused("/dev/zero", ST_FILE, -EINVAL,
		       "kernel /dev/zero: is not a regular file...");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	kernel_refused("fifo", ST_FILE, -EINVAL,
		       "kernel fifo: is not a regular file...");
	assert_int_equal(symlink("loop", "loop"), 0);
	kernel_refused("loop", ST_FILE, -ELOOP, "kernel loop: Too many ...");
}

static void not_readable(void **state)
{
	(void)state;
	if (geteuid() == 0)
		SKIP("root reads everything");
	write_elf("secret");
	assert_int_equal(chmod("secret", 0), 0);
	kernel_refused("secret", ST_FILE, -EACCES,
		       "kernel secret: Permission denied; check the path");
}

static void wrong_size(void **state)
{
	(void)state;
	write_file("empty", "", 0);
	kernel_refused("empty", ST_FILE, -EINVAL,
		       "kernel empty: is empty; was it copied completely?");
	write_hole("huge", BOOT_IMAGE_MAX + 1);
	kernel_refused("huge", ST_FILE, -EFBIG,
		       "kernel huge: is larger than 1 GiB; is it the right "
		       "file?");
}

static void neither_kind(void **state)
{
	uint8_t file[ELF_BYTES];

	(void)state;
	write_file("text", "#!/bin/sh\n", 10);
	kernel_refused("text", ST_KERNEL_KIND, -ENOTSUP,
		       "kernel text: cannot be booted: neither bzImage nor "
		       "ELF; give a bzImage or an ELF with a PVH note");
	elf_build(file);
	put(file, PH(2, p_type), PT_NULL, 4);
	write_file("elf", file, sizeof(file));
	kernel_refused("elf", ST_KERNEL_KIND, -ENOTSUP,
		       "kernel elf: cannot be booted: ELF without a PVH note "
		       "(CONFIG_PVH); ...");
	elf_build(file);
	put(file, EH(e_machine), EM_AARCH64, 2);
	write_file("elf", file, sizeof(file));
	kernel_refused("elf", ST_KERNEL_KIND, -ENOTSUP,
		       "kernel elf: cannot be booted: not an x86-64 "
		       "executable; ...");
}

static void old_bzimage(void **state)
{
	uint8_t file[BZ_AT(32)], payload[32] = { 0 };

	(void)state;
	bz_build(file, payload, sizeof(payload));
	put(file, BZ_VERSION, 0x0209, 2);
	write_file("old", file, sizeof(file));
	kernel_refused("old", ST_KERNEL_KIND, -ENOTSUP,
		       "kernel old: cannot be booted: boot protocol below "
		       "2.10; ...");
}

/* Loaded as it is, @entry bytes into it, with unpack=off or without. */
static void loaded_as_it_is(const char *path, enum boot_entry kind,
			    uint64_t entry)
{
	for (int packed = 0; packed < 2; packed++) {
		const struct boot_source src = { .kernel = path,
						 .keep_packed = packed,
						 .node = NODE_AUTO };
		struct boot_image img;

		create(&src, &img);
		check_layout(&img.layout);
		assert_int_equal(img.layout.entry_kind, kind);
		assert_int_equal(img.layout.entry, BZ_PREF + entry);
		assert_int_equal(img.layout.end, BZ_PREF + BZ_INIT_SIZE);
		assert_int_equal(img.layout.cmdline_max, 255);
		check_bytes(&img, BZ_PREF, 'S', BZ_STUB);
		boot_image_destroy(&img);
	}
}

/* Such as memtest86+: a setup header, and no Linux to unpack. */
static void image_without_payload(void **state)
{
	uint8_t file[BZ_AT(32)], rest[32] = { 0 };

	(void)state;
	bz_build(file, rest, sizeof(rest));
	put(file, BZ_PAYLOAD_OFFSET, 0, 4);
	put(file, BZ_PAYLOAD_LENGTH, 0, 4);
	put(file, BZ_CMDLINE_SIZE, 255, 4);
	write_file("memtest", file, sizeof(file));
	loaded_as_it_is("memtest", BOOT_LINUX64, 0x200);
	put(file, BZ_XLOADFLAGS, 4, 2);
	write_file("memtest", file, sizeof(file));
	loaded_as_it_is("memtest", BOOT_LINUX32, 0);
}

/* It has a payload, but no 64-bit ELF is in it. */
static void kernel_of_32_bits(void **state)
{
	uint8_t file[BZ_AT(PACKED_MAX)], packed[PACKED_MAX];
	size_t bytes = gzip("a 32-bit kernel", 15, packed);

	(void)state;
	bz_build(file, packed, bytes);
	put(file, BZ_XLOADFLAGS, 0, 2);
	put(file, BZ_CMDLINE_SIZE, 255, 4);
	write_file("k32", file, BZ_AT(bytes));
	loaded_as_it_is("k32", BOOT_LINUX32, 0);
}

static void garbage_elf(void **state)
{
	uint8_t file[ELF_BYTES];

	(void)state;
	elf_build(file);
	write_file("elf", file, 20);
	kernel_refused("elf", ST_KERNEL_CUT, -EBADMSG,
		       "kernel elf: is truncated or corrupt: it ends in its "
		       "ELF header; copy it again");
	write_file("elf", file, ELF_BYTES - 1);
	kernel_refused("elf", ST_KERNEL_CUT, -EBADMSG,
		       "kernel elf: is truncated or corrupt: it is shorter "
		       "than its headers say; copy it again");
	memset(file + sizeof(Elf64_Ehdr), 0xff, ELF_BYTES - sizeof(Elf64_Ehdr));
	write_file("elf", file, sizeof(file));
	kernel_refused("elf", ST_KERNEL_CUT, -EBADMSG,
		       "kernel elf: is truncated or corrupt: its entry is not "
		       "in a segment; copy it again");
}

static void truncated_bzimage(void **state)
{
	static const struct {
		off_t bytes;
		const char *why;
	} cuts[] = {
		{ BZ_VERSION, "it ends in its header" },
		{ BZ_KERNEL_AT, "it ends in its setup sectors" },
		{ BZ_AT(0), "it is shorter than its headers say" },
		{ BZ_AT(40), "it is shorter than its headers say" },
	};
	char text[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		write_kernel("bz", 'T', ELF_BYTES);
		assert_int_equal(truncate("bz", cuts[i].bytes), 0);
		(void)snprintf(text, sizeof(text),
			       "kernel bz: is truncated or corrupt: %s; copy "
			       "it again",
			       cuts[i].why);
		kernel_refused("bz", ST_KERNEL_CUT, -EBADMSG, text);
	}
}

static void bad_payload(void **state)
{
	uint8_t packed[PACKED_MAX] = { 0 };
	size_t bytes = gzip("some text, no ELF", 17, packed);

	(void)state;
	write_bzimage("bz", packed, bytes);
	kernel_refused("bz", ST_KERNEL_CUT, -EBADMSG,
		       "kernel bz: is truncated or corrupt: it ends in its ELF "
		       "header; copy it again");
	packed[bytes - 1] ^= 1;
	write_bzimage("bz", packed, bytes);
	kernel_refused("bz", ST_KERNEL_CUT, -EBADMSG,
		       "kernel bz: is truncated or corrupt: its payload cannot "
		       "be unpacked; copy it again");
	write_bzimage("bz", packed, gzip("", 0, packed));
	kernel_refused("bz", ST_KERNEL_CUT, -EBADMSG,
		       "kernel bz: is truncated or corrupt: its payload cannot "
		       "be unpacked; copy it again");
}

/* Cut before it was packed: seen at once, and again from the cache. */
static void cut_elf_in_bzimage(void **state)
{
	const struct boot_source src = { .kernel = "bz",
					 .cache_dir = "cache-cut",
					 .node = NODE_AUTO };

	(void)state;
	write_kernel("bz", 'T', ELF_BYTES - 1);
	for (int i = 0; i < 2; i++)
		refused(&src, ST_KERNEL_CUT, -EBADMSG,
			"kernel bz: is truncated or corrupt: it is shorter "
			"than its headers say; copy it again");
}

/* boot.rst, initrd_addr_max. */
static void set_initrd_max(const char *path, uint32_t max)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, &max, sizeof(max), BZ_INITRD_MAX),
			 sizeof(max));
	(void)close(fd);
}

static void bad_initrd(void **state)
{
	struct boot_source src = { .kernel = "elf",
				   .initrd = "nowhere",
				   .node = NODE_AUTO };

	(void)state;
	write_elf("elf");
	refused(&src, ST_FILE, -ENOENT,
		"initrd nowhere: No such file or directory; check the path");
	src.initrd = ".";
	refused(&src, ST_FILE, -EINVAL, "initrd .: is not a regular file...");
	src.initrd = "initrd";
	write_file("initrd", "", 0);
	refused(&src, ST_FILE, -EINVAL, "initrd initrd: is empty...");
	write_hole("initrd", BOOT_IMAGE_MAX + 1);
	refused(&src, ST_FILE, -EFBIG,
		"initrd initrd: is larger than 1 GiB...");
	write_hole("initrd", BOOT_IMAGE_MAX - MIB(20) + 1);
	refused(&src, ST_FILE, -EFBIG,
		"initrd initrd: does not fit below 1024 MiB with this kernel; "
		"make it smaller");
	write_kernel("bz", 'T', ELF_BYTES);
	set_initrd_max("bz", MIB(64) - 1);
	src.kernel = "bz";
	write_hole("initrd", MIB(44) + 1);
	refused(&src, ST_FILE, -EFBIG,
		"initrd initrd: does not fit below 64 MiB with this kernel; "
		"make it smaller");
}

/* --- cache --- */

static uint64_t key_of(const char *path)
{
	uint8_t buf[BZ_AT(PACKED_MAX)];
	struct stat st;
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	assert_int_equal(fread(buf, 1, sizeof(buf), f), st.st_size);
	assert_int_equal(fclose(f), 0);
	return kernel_cache_key(&st, buf);
}

/* Replaces what the cache has of "bz" by another good ELF. */
static void replace_entry(const char *cache, uint8_t text)
{
	uint8_t elf[ELF_BYTES];

	elf_build(elf);
	memset(elf + ELF_TEXT_AT, text, ELF_TEXT_BYTES);
	kernel_cache_store(cache, key_of("bz"), elf, sizeof(elf));
}

static void check_create(const struct boot_source *src, uint8_t text)
{
	struct boot_image img;

	create(src, &img);
	check_kernel(&img, text);
	assert_int_equal(img.layout.entry, ELF_ENTRY);
	boot_image_destroy(&img);
}

static void images_from_the_cache(void **state)
{
	const struct boot_source src = { .kernel = "bz",
					 .cache_dir = "images",
					 .node = NODE_AUTO };
	uint8_t junk[100];

	(void)state;
	write_kernel("bz", 'T', ELF_BYTES);
	check_create(&src, 'T');
	assert_int_equal(count_files("images"), 1);
	/* Taken from there: another text shows which one it is. */
	replace_entry("images", 'c');
	check_create(&src, 'c');
	/* A changed kernel is another entry. */
	write_kernel("bz", 'U', ELF_BYTES);
	check_create(&src, 'U');
	assert_int_equal(count_files("images"), 2);
	/* Whole, but no ELF: made anew. */
	memset(junk, 0, sizeof(junk));
	kernel_cache_store("images", key_of("bz"), junk, sizeof(junk));
	check_create(&src, 'U');
	kernel_cache_store("images", key_of("bz"), junk, 0);
	check_create(&src, 'U');
	assert_int_equal(count_files("images"), 2);
}

static void images_without_a_cache(void **state)
{
	struct boot_source src = { .kernel = "bz",
				   .cache_dir = "no/such",
				   .node = NODE_AUTO };

	(void)state;
	write_kernel("bz", 'T', ELF_BYTES);
	check_create(&src, 'T');
	src.cache_dir = "bz";
	check_create(&src, 'T');
	src.cache_dir = "/proc";
	check_create(&src, 'T');
}

static unsigned count_descriptors(void)
{
	return count_files("/proc/self/fd");
}

/* Neither images nor refusals leave anything open. */
static void descriptors_are_closed(void **state)
{
	struct boot_source src = { .kernel = "bz",
				   .cache_dir = "images",
				   .node = NODE_AUTO };
	unsigned before = count_descriptors();

	(void)state;
	write_kernel("bz", 'T', ELF_BYTES);
	check_create(&src, 'T');
	check_create(&src, 'T');
	src.initrd = "nowhere";
	refused(&src, ST_FILE, -ENOENT, "initrd nowhere: ...");
	src.kernel = "nowhere";
	refused(&src, ST_FILE, -ENOENT, "kernel nowhere: ...");
	assert_int_equal(count_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pvh_elf),
		cmocka_unit_test(nobody_can_write),
		cmocka_unit_test(on_a_node),
		cmocka_unit_test(unpacked_bzimage),
		cmocka_unit_test(packed_bzimage),
		cmocka_unit_test(with_initrd),
		cmocka_unit_test(most_segments_and_initrd),
		cmocka_unit_test(zeroes_take_no_memory),
		cmocka_unit_test(more_holes_than_extents),
		cmocka_unit_test(not_a_file),
		cmocka_unit_test(not_readable),
		cmocka_unit_test(wrong_size),
		cmocka_unit_test(neither_kind),
		cmocka_unit_test(old_bzimage),
		cmocka_unit_test(garbage_elf),
		cmocka_unit_test(truncated_bzimage),
		cmocka_unit_test(bad_payload),
		cmocka_unit_test(image_without_payload),
		cmocka_unit_test(kernel_of_32_bits),
		cmocka_unit_test(cut_elf_in_bzimage),
		cmocka_unit_test(bad_initrd),
		cmocka_unit_test(images_from_the_cache),
		cmocka_unit_test(images_without_a_cache),
		cmocka_unit_test(descriptors_are_closed),
	};

	return cmocka_run_group_tests_name("boot_image", tests, enter_dir,
					   remove_dir);
}
