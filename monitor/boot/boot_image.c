/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/boot/boot_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disco/limits.h"
#include "numa/read_at.h"
#include "monitor/boot/bzimage.h"
#include "monitor/boot/elf_image.h"
#include "monitor/boot/kernel_cache.h"
#include "monitor/boot/unpack.h"
#include "monitor/ipc/fds.h"
#include "numa/bind.h"

#define INITRD_ALIGN MIB(2)
#define ZERO_CHUNK   KIB(128)

/* A file in memory: mapped, or unpacked (fd -1). */
struct boot_file {
	const char *path;
	int fd;
	uint8_t *at;
	uint64_t bytes;
	struct stat st;
};

struct image_builder {
	const struct boot_source *src;
	struct boot_image *out;
	struct diag *d;
	uint8_t *mem;	       /* the image, mapped; offset == gpa */
	uint64_t initrd_limit; /* gpa that the initrd may not reach beyond */
};

static void file_close(struct boot_file *f)
{
	if (f->at)
		(void)munmap(f->at, f->bytes);
	if (f->fd >= 0)
		(void)close(f->fd);
	*f = (struct boot_file){ .fd = -1 };
}

static int file_map(struct boot_file *f)
{
	f->at = mmap(NULL, f->bytes, PROT_READ, MAP_PRIVATE, f->fd, 0);
	if (f->at != MAP_FAILED)
		return 0;
	f->at = NULL;
	return -errno;
}

static int file_open(struct boot_file *f, const char *what, const char *path,
		     struct diag *d)
{
	int err = 0;

	*f = (struct boot_file){ .path = path };
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0 || fstat(f->fd, &f->st) < 0)
		return diag_fail(d, ST_FILE, errno, "%s %s: %s; check the path",
				 what, path, strerror(errno));
	if (!S_ISREG(f->st.st_mode))
		return diag_fail(d, ST_FILE, EINVAL,
				 "%s %s: is not a regular file; give the file "
				 "itself",
				 what, path);
	f->bytes = (uint64_t)f->st.st_size;
	if (f->bytes == 0)
		return diag_fail(d, ST_FILE, EINVAL,
				 "%s %s: is empty; was it copied completely?",
				 what, path);
	if (f->bytes > BOOT_IMAGE_MAX)
		return diag_fail(d, ST_FILE, EFBIG,
				 "%s %s: is larger than 1 GiB; is it the right "
				 "file?",
				 what, path);
	err = file_map(f);
	if (err)
		return diag_fail(d, ST_FILE, -err, "%s %s: %s", what, path,
				 strerror(-err));
	return 0;
}

static int bad_kernel(struct diag *d, const char *path, int err,
		      const char *why)
{
	if (err == -EBADMSG)
		return diag_fail(d, ST_KERNEL_CUT, EBADMSG,
				 "kernel %s: is truncated or corrupt: %s; copy "
				 "it again",
				 path, why);
	return diag_fail(d, ST_KERNEL_KIND, -err,
			 "kernel %s: cannot be booted: %s; give a bzImage or "
			 "an ELF with a PVH note",
			 path, why);
}

/* --- the image --- */

static int image_make(struct image_builder *b)
{
	void *mem;
	int err;

	b->out->fd =
		memfd_create("disco-boot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (b->out->fd < 0 || ftruncate(b->out->fd, BOOT_IMAGE_MAX) < 0)
		return -errno;
	mem = mmap(NULL, BOOT_IMAGE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED,
		   b->out->fd, 0);
	if (mem == MAP_FAILED)
		return -errno;
	b->mem = mem;
	if (b->src->node == NODE_AUTO)
		return 0;
	/* Preferred: an image on another node is slower, not wrong. */
	err = node_bind_memory(mem, BOOT_IMAGE_MAX, b->src->node, false);
	return node_bind_optional(err) ? 0 : err;
}

/*
 * Note that [gpa, gpa + bytes) has contents; called in ascending order. When
 * there is no room for one more, the last one has holes, which are zeroes.
 */
static void add_extent(struct boot_layout *l, uint64_t at, uint64_t bytes)
{
	uint64_t start = align_down(at, PAGE_BYTES);
	uint64_t end = align_up(at + bytes, PAGE_BYTES);

	if (l->nr_extents) {
		struct boot_extent *last = &l->extents[l->nr_extents - 1];

		if (start <= last->gpa + last->bytes ||
		    l->nr_extents == BOOT_MAX_EXTENTS) {
			last->bytes = end - last->gpa;
			return;
		}
	}
	l->extents[l->nr_extents++] =
		(struct boot_extent){ start, end - start };
}

/* Straight from the file into the image where there is a file. */
static int read_in(const struct boot_file *f, uint64_t off, uint8_t *to,
		   uint64_t bytes)
{
	if (f->fd >= 0)
		return read_at(f->fd, to, bytes, off);
	if (f->at)
		memcpy(to, f->at + off, bytes);
	return 0;
}

/*
 * A kernel's file has the zeroes of its .bss and .brk, 14 MiB of Debian's: in
 * the image they would take memory on each node, and a second page of each
 * guest that writes them. As a hole they are guest memory like any other.
 */
static bool leave_out(uint8_t *at, uint64_t bytes)
{
	if (bytes < ZERO_CHUNK || at[0] || memcmp(at, at + 1, bytes - 1) != 0)
		return false;
	return madvise(at, bytes, MADV_REMOVE) == 0;
}

static int copy_in(struct image_builder *b, const struct boot_file *f,
		   uint64_t off, uint64_t at, uint64_t bytes)
{
	while (bytes) {
		uint64_t n = min_u64(ZERO_CHUNK - at % ZERO_CHUNK, bytes);
		int err = read_in(f, off, b->mem + at, n);

		if (err)
			return err;
		if (!leave_out(b->mem + at, n))
			add_extent(&b->out->layout, at, n);
		off += n;
		at += n;
		bytes -= n;
	}
	return 0;
}

/* --- kernels --- */

static int load_segments(struct image_builder *b, const struct boot_file *f,
			 const struct elf_image *e)
{
	for (unsigned i = 0; i < e->nr_segments; i++) {
		const struct elf_segment *s = &e->segments[i];
		int err = copy_in(b, f, s->offset, s->gpa, s->file_bytes);

		if (err)
			return diag_fail(b->d, ST_HOST, -err, "kernel %s: %s",
					 f->path, strerror(-err));
	}
	b->out->layout.end = e->end;
	return 0;
}

static int load_elf(struct image_builder *b, const struct boot_file *f)
{
	const char *why = "";
	struct elf_image e;
	int err = elf_parse(f->at, f->bytes, &e, &why);

	if (err)
		return bad_kernel(b->d, f->path, err, why);
	if (!e.has_pvh)
		return bad_kernel(b->d, f->path, -ENOTSUP,
				  "ELF without a PVH note (CONFIG_PVH)");
	b->out->layout.entry_kind = BOOT_PVH;
	b->out->layout.cmdline_max = CMDLINE_MAX;
	b->out->layout.entry = e.pvh_entry;
	return load_segments(b, f, &e);
}

static void set_linux(struct image_builder *b, const struct bzimage *z,
		      enum boot_entry kind, uint64_t entry)
{
	struct boot_layout *l = &b->out->layout;

	l->entry_kind = kind;
	l->entry = entry;
	l->cmdline_max = z->cmdline_max;
	b->initrd_limit = min_u64(b->initrd_limit, z->initrd_limit);
	l->hdr_bytes = z->hdr_bytes;
	memcpy(l->hdr, z->hdr, z->hdr_bytes);
}

static int load_packed(struct image_builder *b, const struct boot_file *f,
		       const struct bzimage *z)
{
	int err = copy_in(b, f, z->kernel_offset, z->pref_address,
			  z->kernel_bytes);

	if (err)
		return diag_fail(b->d, ST_HOST, -err, "kernel %s: %s", f->path,
				 strerror(-err));
	if (z->entry64)
		set_linux(b, z, BOOT_LINUX64,
			  z->pref_address + BZIMAGE_ENTRY64);
	else
		set_linux(b, z, BOOT_LINUX32, z->pref_address);
	b->out->layout.end = z->pref_address + z->init_size;
	return 0;
}

static int unpack_kernel(struct image_builder *b, const struct boot_file *f,
			 const struct bzimage *z, uint64_t key,
			 struct boot_file *elf)
{
	uint64_t kept;
	size_t used = 0;
	uint8_t *room = mmap(NULL, BOOT_IMAGE_MAX, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			     0);
	int err;

	if (room == MAP_FAILED)
		return diag_fail(b->d, ST_HOST, errno, "kernel %s: %s", f->path,
				 strerror(errno));
	err = unpack_payload(f->at + z->payload_offset, z->payload_bytes, room,
			     BOOT_IMAGE_MAX, &used);
	if (err || used == 0) {
		(void)munmap(room, BOOT_IMAGE_MAX);
		return err ? err : -EBADMSG;
	}
	if (b->src->cache_dir)
		kernel_cache_store(b->src->cache_dir, key, room, used);
	kept = align_up(used, PAGE_BYTES);
	if (kept < BOOT_IMAGE_MAX)
		(void)munmap(room + kept, BOOT_IMAGE_MAX - kept);
	elf->at = room;
	elf->bytes = used;
	return 0;
}

/* What is in the cache but cannot be used is unpacked anew. */
static bool get_cached(const struct image_builder *b, uint64_t key,
		       struct boot_file *elf)
{
	const char *why;
	struct elf_image e;

	if (!b->src->cache_dir)
		return false;
	elf->fd = kernel_cache_open(b->src->cache_dir, key, &elf->bytes);
	if (elf->fd >= 0 && file_map(elf) == 0 &&
	    elf_parse(elf->at, elf->bytes, &e, &why) == 0)
		return true;
	file_close(elf);
	return false;
}

/* The ELF inside a bzImage, from the cache or unpacked now. */
static int get_unpacked(struct image_builder *b, const struct boot_file *f,
			const struct bzimage *z, struct boot_file *elf)
{
	uint64_t key = kernel_cache_key(&f->st, f->at);
	int err = 0;

	*elf = (struct boot_file){ .fd = -1 };
	if (!get_cached(b, key, elf))
		err = unpack_kernel(b, f, z, key, elf);
	elf->path = f->path;
	return err;
}

static int load_bzimage(struct image_builder *b, const struct boot_file *f)
{
	const char *why = "";
	struct elf_image e;
	struct bzimage z;
	struct boot_file elf;
	int err = bzimage_parse(f->at, f->bytes, &z, &why);

	if (err)
		return bad_kernel(b->d, f->path, err, why);
	/* No payload: no Linux. No 64-bit entry: no 64-bit ELF in it. */
	if (b->src->keep_packed || !z.payload_bytes || !z.entry64)
		return load_packed(b, f, &z);
	err = get_unpacked(b, f, &z, &elf);
	if (err == -ENOTSUP)
		return load_packed(b, f, &z);
	if (err == -EBADMSG)
		return bad_kernel(b->d, f->path, err,
				  "its payload cannot be unpacked");
	if (err)
		return err;
	err = elf_parse(elf.at, elf.bytes, &e, &why);
	if (err) {
		err = bad_kernel(b->d, f->path, -EBADMSG, why);
	} else {
		set_linux(b, &z, BOOT_LINUX64, e.entry);
		err = load_segments(b, &elf, &e);
	}
	file_close(&elf);
	return err;
}

static int load_kernel(struct image_builder *b)
{
	struct boot_file f;
	int err = file_open(&f, "kernel", b->src->kernel, b->d);

	if (err)
		goto close;
	if (bzimage_is(f.at, f.bytes))
		err = load_bzimage(b, &f);
	else if (elf_is(f.at, f.bytes))
		err = load_elf(b, &f);
	else
		err = bad_kernel(b->d, f.path, -ENOTSUP,
				 "neither bzImage nor ELF");
close:
	file_close(&f);
	return err;
}

static int load_initrd(struct image_builder *b)
{
	struct boot_layout *l = &b->out->layout;
	uint64_t at = align_up(l->end, INITRD_ALIGN);
	struct boot_file f;
	int err;

	if (!b->src->initrd)
		return 0;
	err = file_open(&f, "initrd", b->src->initrd, b->d);
	if (err)
		goto close;
	if (!range_fits(at, f.bytes, b->initrd_limit)) {
		err = diag_fail(b->d, ST_FILE, EFBIG,
				"initrd %s: does not fit below %llu MiB with "
				"this kernel; make it smaller",
				f.path,
				(unsigned long long)b->initrd_limit >> 20);
		goto close;
	}
	err = copy_in(b, &f, 0, at, f.bytes);
	if (err) {
		(void)diag_fail(b->d, ST_HOST, -err, "initrd %s: %s", f.path,
				strerror(-err));
		goto close;
	}
	l->initrd_gpa = at;
	l->initrd_bytes = f.bytes;
	l->end = at + f.bytes;
close:
	file_close(&f);
	return err;
}

/* No writer is left, and none can come: readers map it privately. */
static int image_seal(struct image_builder *b)
{
	(void)munmap(b->mem, BOOT_IMAGE_MAX);
	b->mem = NULL;
	return fds_seal_to_read(&b->out->fd);
}

int boot_image_create(const struct boot_source *src, struct boot_image *out,
		      struct diag *d)
{
	struct boot_image img = { .fd = -1 };
	struct image_builder b = {
		.src = src, .out = &img, .d = d, .initrd_limit = BOOT_IMAGE_MAX
	};
	static int (*const steps[])(struct image_builder * b) = {
		image_make, load_kernel, load_initrd, image_seal
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		err = steps[i](&b);
		if (err)
			goto undo;
	}
	*out = img;
	return 0;
undo:
	if (b.mem)
		(void)munmap(b.mem, BOOT_IMAGE_MAX);
	boot_image_destroy(&img);
	return diag_fail(d, ST_HOST, -err, "boot image of %s: %s", src->kernel,
			 strerror(-err));
}

void boot_image_destroy(struct boot_image *img)
{
	if (!img || img->fd < 0)
		return;
	(void)close(img->fd);
	img->fd = -1;
}
