/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/boot/bzimage.h"

#include <errno.h>
#include <string.h>

#include "disco/le.h"

/* boot.rst, "The Real-Mode Kernel Header": offset in the file. */
#define OFF_SETUP_SECTS	   0x1f1u
#define OFF_SYSSIZE	   0x1f4u /* 16-byte units */
#define OFF_BOOT_FLAG	   0x1feu
#define OFF_JUMP_LENGTH	   0x201u
#define OFF_MAGIC	   0x202u
#define OFF_VERSION	   0x206u
#define OFF_LOADFLAGS	   0x211u
#define OFF_INITRD_MAX	   0x22cu
#define OFF_XLOADFLAGS	   0x236u
#define OFF_CMDLINE_SIZE   0x238u
#define OFF_PAYLOAD_OFFSET 0x248u
#define OFF_PAYLOAD_LENGTH 0x24cu
#define OFF_PREF_ADDRESS   0x258u
#define OFF_INIT_SIZE	   0x260u
#define HEADER_END	   0x268u
#define BOOT_FLAG	   0xaa55u
#define VERSION_MIN	   0x020au /* pref_address and init_size */
#define VERSION_XLOADFLAGS 0x020cu
#define LOADED_HIGH	   1u
#define XLF_KERNEL_64	   1u
#define CMDLINE_DEFAULT	   255u
#define INITRD_MAX_DEFAULT 0x37ffffffu
#define SECTOR_BYTES	   512u
#define DEFAULT_SECTS	   4u

bool bzimage_is(const uint8_t *file, size_t bytes)
{
	return bytes >= OFF_MAGIC + 4 &&
	       le16_load(file + OFF_BOOT_FLAG) == BOOT_FLAG &&
	       memcmp(file + OFF_MAGIC, "HdrS", 4) == 0;
}

static int bzimage_refuse(const char **why, int err, const char *text)
{
	*why = text;
	return -err;
}

/* The parts of the file after the setup sectors. */
static int find_kernel(const uint8_t *file, size_t bytes, struct bzimage *b,
		       const char **why)
{
	uint64_t sects = file[OFF_SETUP_SECTS];
	uint64_t declared = le32_load(file + OFF_SYSSIZE) * 16ull;

	if (sects == 0)
		sects = DEFAULT_SECTS;
	b->kernel_offset = (sects + 1) * SECTOR_BYTES;
	if (b->kernel_offset >= bytes)
		return bzimage_refuse(why, EBADMSG,
				      "it ends in its setup sectors");
	b->kernel_bytes = bytes - b->kernel_offset;
	/* syssize is rounded up to 16 bytes. */
	if (declared > b->kernel_bytes + 15)
		return bzimage_refuse(why, EBADMSG,
				      "it is shorter than its headers say");
	if (b->kernel_bytes <= (b->entry64 ? BZIMAGE_ENTRY64 : 0))
		return bzimage_refuse(why, EBADMSG, "it ends before its entry");
	b->payload_offset = le32_load(file + OFF_PAYLOAD_OFFSET);
	b->payload_bytes = le32_load(file + OFF_PAYLOAD_LENGTH);
	if (b->payload_bytes &&
	    !range_fits(b->payload_offset, b->payload_bytes, b->kernel_bytes))
		return bzimage_refuse(why, EBADMSG,
				      "its payload lies outside it");
	b->payload_offset += b->kernel_offset;
	return 0;
}

static int find_place(const uint8_t *file, struct bzimage *b, const char **why)
{
	b->pref_address = le64_load(file + OFF_PREF_ADDRESS);
	b->init_size = le32_load(file + OFF_INIT_SIZE);
	if (b->pref_address < BOOT_LOW_END || b->pref_address % PAGE_BYTES ||
	    b->init_size < b->kernel_bytes ||
	    !range_fits(b->pref_address, b->init_size, BOOT_IMAGE_MAX))
		return bzimage_refuse(why, EBADMSG,
				      "its load address is impossible");
	return 0;
}

/* Which entry there is, and what the kernel takes. */
static int find_entry(const uint8_t *file, struct bzimage *b, const char **why)
{
	uint32_t version = le16_load(file + OFF_VERSION);

	if (version < VERSION_MIN)
		return bzimage_refuse(why, ENOTSUP, "boot protocol below 2.10");
	b->entry64 = version >= VERSION_XLOADFLAGS &&
		     (le16_load(file + OFF_XLOADFLAGS) & XLF_KERNEL_64);
	if (!b->entry64 && !(file[OFF_LOADFLAGS] & LOADED_HIGH))
		return bzimage_refuse(why, ENOTSUP,
				      "it is loaded below 1 MiB (zImage)");
	b->cmdline_max = le32_load(file + OFF_CMDLINE_SIZE);
	if (b->cmdline_max == 0)
		b->cmdline_max = CMDLINE_DEFAULT;
	b->initrd_limit = le32_load(file + OFF_INITRD_MAX);
	if (b->initrd_limit == 0)
		b->initrd_limit = INITRD_MAX_DEFAULT;
	b->initrd_limit++;
	return 0;
}

int bzimage_parse(const uint8_t *file, size_t bytes, struct bzimage *out,
		  const char **why)
{
	struct bzimage b = { 0 };
	int err;

	if (!bzimage_is(file, bytes))
		return bzimage_refuse(why, ENOTSUP, "no bzImage header");
	if (bytes < HEADER_END)
		return bzimage_refuse(why, EBADMSG, "it ends in its header");
	err = find_entry(file, &b, why);
	if (!err)
		err = find_kernel(file, bytes, &b, why);
	if (!err)
		err = find_place(file, &b, why);
	if (err)
		return err;
	b.hdr_bytes = OFF_MAGIC + file[OFF_JUMP_LENGTH] - OFF_SETUP_SECTS;
	b.hdr_bytes = (uint32_t)min_u64(b.hdr_bytes, BOOT_HDR_MAX);
	if (!range_fits(OFF_SETUP_SECTS, b.hdr_bytes, bytes))
		return bzimage_refuse(why, EBADMSG, "it ends in its header");
	memcpy(b.hdr, file + OFF_SETUP_SECTS, b.hdr_bytes);
	*out = b;
	return 0;
}
