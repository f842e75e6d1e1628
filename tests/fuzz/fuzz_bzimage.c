/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bzImages: the input itself (first byte even), or a good one with changes
 * and cuts. Checked: the parts that are found lie inside the file, the place
 * inside guest memory; what is refused says why and leaves the result alone.
 */
#include <errno.h>
#include <stdlib.h>

#include "monitor/boot/bzimage.h"
#include "tests/fuzz/bytes.h"
#include "tests/must.h"
#include "tests/unit/boot/images.h"

#define PAYLOAD_BYTES 64u
#define GOOD_BYTES    BZ_AT(PAYLOAD_BYTES)

static size_t make_file(struct bytes *b, uint8_t *file)
{
	static const uint8_t payload[PAYLOAD_BYTES];
	size_t bytes = GOOD_BYTES;

	if (take(b, 1) % 2 == 0)
		return take_into(b, file, FUZZ_FILE_MAX);
	bz_build(file, payload, sizeof(payload));
	while (b->n) {
		size_t at = take(b, 2), width = take(b, 1) % 8 + 1;

		/* Most of what counts is in the header. */
		if (at >= 0x8000)
			bytes = at % (GOOD_BYTES + 1);
		else
			put(file, BZ_SETUP_SECTS + at % 256, take(b, width),
			    width);
	}
	return bytes;
}

static void check_accepted(const struct bzimage *z, const uint8_t *file,
			   size_t bytes)
{
	uint64_t entry = z->pref_address + (z->entry64 ? BZIMAGE_ENTRY64 : 0);

	must(bzimage_is(file, bytes));
	must(z->kernel_offset >= 2 * 512 && z->kernel_offset % 512 == 0);
	must(z->kernel_offset + z->kernel_bytes == bytes);
	if (z->payload_bytes) {
		must(z->payload_offset >= z->kernel_offset);
		must(range_fits(z->payload_offset, z->payload_bytes, bytes));
	}
	must(z->cmdline_max > 0);
	must(z->initrd_limit > 0 && z->initrd_limit <= 1ull << 32);
	must(z->pref_address >= BOOT_LOW_END);
	must(z->pref_address % PAGE_BYTES == 0);
	must(z->init_size >= z->kernel_bytes);
	must(range_fits(z->pref_address, z->init_size, BOOT_IMAGE_MAX));
	must(entry < z->pref_address + z->kernel_bytes);
	must(z->hdr_bytes > 0 && z->hdr_bytes <= BOOT_HDR_MAX);
	must(memcmp(z->hdr, file + BZ_SETUP_SECTS, z->hdr_bytes) == 0);
	for (uint32_t i = z->hdr_bytes; i < BOOT_HDR_MAX; i++)
		must(z->hdr[i] == 0);
}

static void check(const uint8_t *file, size_t bytes)
{
	struct bzimage z, before;
	const char *why = "";
	int err;

	memset(&z, 0xa5, sizeof(z));
	before = z;
	err = bzimage_parse(file, bytes, &z, &why);
	if (err) {
		must(err == -EBADMSG || err == -ENOTSUP);
		must(*why && !strchr(why, '\n'));
		must(memcmp(&z, &before, sizeof(z)) == 0);
		return;
	}
	check_accepted(&z, file, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_file(data, size, make_file, check);
}
