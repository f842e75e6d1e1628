/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libext2fs reads through an "I/O manager", here one that reads a volume. Files
 * in extents are read by extents, not by the library's reader of files, which
 * walks the tree of extents once per block. Nothing is ever written: the manager
 * refuses it.
 */
#include "monitor/bootdisk/ext_fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ext2fs/ext2fs.h>

#define CHUNK	    KIB(256)
#define EXTENTS_MAX 65536u

struct ext_fs {
	struct boot_fs fs;
	ext2_filsys ext;
	uint8_t *buf; /* CHUNK */
	unsigned names;
	void (*each)(void *arg, const char *name);
	void *arg;
};

/* The volume of the open under way: the library passes a name only. */
static _Thread_local struct volume *ext_opening;

/* --- I/O manager --- */

static struct struct_io_manager ext_manager;

static errcode_t ext_io_open(const char *name, int flags, io_channel *channel)
{
	io_channel c = calloc(1, sizeof(*c));

	(void)name;
	(void)flags;
	if (!c)
		return EXT2_ET_NO_MEMORY;
	c->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	c->manager = &ext_manager;
	c->name = strdup("disk");
	c->block_size = 1024;
	c->refcount = 1;
	c->private_data = ext_opening;
	*channel = c;
	return 0;
}

static errcode_t ext_io_close(io_channel c)
{
	if (--c->refcount > 0)
		return 0;
	free(c->name);
	free(c);
	return 0;
}

static errcode_t ext_io_set_blksize(io_channel c, int bytes)
{
	c->block_size = bytes;
	return 0;
}

/* A negative count is in bytes. */
static errcode_t ext_io_read64(io_channel c, unsigned long long block,
			       int count, void *data)
{
	uint64_t bytes = count < 0 ? (uint64_t) - (int64_t)count
				   : (uint64_t)count * (uint64_t)c->block_size;
	struct volume *v = c->private_data;
	int err;

	if (block > UINT64_MAX / (uint64_t)c->block_size)
		return EXT2_ET_SHORT_READ;
	err = volume_read(v, block * (uint64_t)c->block_size, data, bytes);
	if (err == -EINVAL)
		return EXT2_ET_SHORT_READ;
	return err ? -err : 0;
}

static errcode_t ext_io_read(io_channel c, unsigned long block, int count,
			     void *data)
{
	return ext_io_read64(c, block, count, data);
}

static errcode_t ext_io_write(io_channel c, unsigned long block, int count,
			      const void *data)
{
	(void)c;
	(void)block;
	(void)count;
	(void)data;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t ext_io_write64(io_channel c, unsigned long long block,
				int count, const void *data)
{
	(void)c;
	(void)block;
	(void)count;
	(void)data;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t ext_io_flush(io_channel c)
{
	(void)c;
	return 0;
}

static struct struct_io_manager ext_manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "volume",
	.open = ext_io_open,
	.close = ext_io_close,
	.set_blksize = ext_io_set_blksize,
	.read_blk = ext_io_read,
	.write_blk = ext_io_write,
	.flush = ext_io_flush,
	.read_blk64 = ext_io_read64,
	.write_blk64 = ext_io_write64,
};

/* --- errors --- */

/* Of the volume: small numbers. All others say that something is damaged. */
static int ext_errno(errcode_t e)
{
	switch (e) {
	case 0:
		return 0;
	case EXT2_ET_FILE_NOT_FOUND:
		return -ENOENT;
	case EXT2_ET_NO_DIRECTORY:
		return -ENOTDIR;
	case EXT2_ET_SYMLINK_LOOP:
		return -ELOOP;
	case EXT2_ET_NO_MEMORY:
		return -ENOMEM;
	default:
		return e > 0 && e < 4096 ? (int)-e : -EUCLEAN;
	}
}

/* --- files --- */

static int ext_fs_find(struct ext_fs *x, const char *path, ext2_ino_t *ino,
		       struct ext2_inode *inode)
{
	errcode_t e = ext2fs_namei_follow(x->ext, EXT2_ROOT_INO, EXT2_ROOT_INO,
					  path, ino);

	if (!e)
		e = ext2fs_read_inode(x->ext, *ino, inode);
	/* A path through a file is no path. */
	return e == EXT2_ET_NO_DIRECTORY ? -ENOENT : ext_errno(e);
}

/* Return: 0; -EISDIR; -EINVAL neither a file nor a directory. */
static int ext_fs_find_file(struct ext_fs *x, const char *path, ext2_ino_t *ino,
			    struct ext2_inode *inode)
{
	int err = ext_fs_find(x, path, ino, inode);

	if (err)
		return err;
	if (LINUX_S_ISDIR(inode->i_mode))
		return -EISDIR;
	if (!LINUX_S_ISREG(inode->i_mode))
		return -EINVAL;
	return inode->i_flags & EXT4_ENCRYPT_FL ? -EUCLEAN : 0;
}

static int ext_fs_size(struct boot_fs *fs, const char *path, uint64_t *bytes)
{
	struct ext_fs *x = container_of(fs, struct ext_fs, fs);
	struct ext2_inode inode = { .i_mode = 0 };
	ext2_ino_t ino;
	int err = ext_fs_find_file(x, path, &ino, &inode);

	if (!err)
		*bytes = EXT2_I_SIZE(&inode);
	return err;
}

static int ext_fs_put_zeroes(struct ext_fs *x, uint64_t bytes,
			     struct boot_sink *to)
{
	int err = 0;

	memset(x->buf, 0, CHUNK);
	while (bytes && !err) {
		size_t n = min_u64(bytes, CHUNK);

		err = to->put(to, x->buf, n);
		bytes -= n;
	}
	return err;
}

static int ext_fs_put_blocks(struct ext_fs *x, uint64_t block, uint64_t bytes,
			     struct boot_sink *to)
{
	unsigned size = x->ext->blocksize;
	int err = 0;

	while (bytes && !err) {
		size_t n = min_u64(bytes, CHUNK);
		int nr = (int)((n + size - 1) / size);

		err = ext_errno(
			io_channel_read_blk64(x->ext->io, block, nr, x->buf));
		if (!err)
			err = to->put(to, x->buf, n);
		block += (uint64_t)nr;
		bytes -= n;
	}
	return err;
}

/* One extent, after the hole before it. @at: end of what was read. */
static int ext_fs_put_extent(struct ext_fs *x, const struct ext2fs_extent *e,
			     uint64_t size, uint64_t *at, struct boot_sink *to)
{
	uint64_t start = e->e_lblk * (uint64_t)x->ext->blocksize;
	uint64_t bytes = e->e_len * (uint64_t)x->ext->blocksize;
	int err = 0;

	/* In order, and each once. */
	if (start < *at)
		return -EUCLEAN;
	if (start >= size)
		return 0;
	bytes = min_u64(bytes, size - start);
	err = ext_fs_put_zeroes(x, start - *at, to);
	if (!err)
		err = e->e_flags & EXT2_EXTENT_FLAGS_UNINIT
			      ? ext_fs_put_zeroes(x, bytes, to)
			      : ext_fs_put_blocks(x, e->e_pblk, bytes, to);
	*at = start + bytes;
	return err;
}

static int ext_fs_read_extents(struct ext_fs *x, ext2_ino_t ino,
			       struct ext2_inode *inode, struct boot_sink *to)
{
	uint64_t size = EXT2_I_SIZE(inode), at = 0;
	ext2_extent_handle_t handle;
	struct ext2fs_extent e;
	int op = EXT2_EXTENT_ROOT, err;
	errcode_t got;

	err = ext_errno(ext2fs_extent_open2(x->ext, ino, inode, &handle));
	if (err)
		return err;
	for (unsigned i = 0; !err && at < size; i++) {
		got = ext2fs_extent_get(handle, op, &e);
		if (got == EXT2_ET_EXTENT_NO_NEXT ||
		    got == EXT2_ET_NO_CURRENT_NODE)
			break;
		err = got ? ext_errno(got) : i == EXTENTS_MAX ? -EUCLEAN : 0;
		if (!err && e.e_flags & EXT2_EXTENT_FLAGS_LEAF)
			err = ext_fs_put_extent(x, &e, size, &at, to);
		op = EXT2_EXTENT_NEXT;
	}
	ext2fs_extent_free(handle);
	return err ? err : ext_fs_put_zeroes(x, size - at, to);
}

/* Blocks by indirection, and what is in the inode itself. */
static int ext_fs_read_plain(struct ext_fs *x, ext2_ino_t ino,
			     const struct ext2_inode *inode,
			     struct boot_sink *to)
{
	uint64_t left = EXT2_I_SIZE(inode);
	ext2_file_t f;
	unsigned n = 0;
	int err = ext_errno(ext2fs_file_open(x->ext, ino, 0, &f));

	if (err)
		return err;
	while (left && !err) {
		err = ext_errno(ext2fs_file_read(
			f, x->buf, (unsigned)min_u64(left, CHUNK), &n));
		if (!err && n == 0)
			err = -EUCLEAN;
		if (!err)
			err = to->put(to, x->buf, n);
		left -= min_u64(left, n);
	}
	(void)ext2fs_file_close(f);
	return err;
}

static int ext_fs_read(struct boot_fs *fs, const char *path, uint64_t max,
		       struct boot_sink *to)
{
	struct ext_fs *x = container_of(fs, struct ext_fs, fs);
	struct ext2_inode inode = { .i_mode = 0 };
	ext2_ino_t ino;
	int err = ext_fs_find_file(x, path, &ino, &inode);

	if (err)
		return err;
	if (EXT2_I_SIZE(&inode) > max)
		return -EFBIG;
	if (inode.i_flags & EXT4_EXTENTS_FL)
		return ext_fs_read_extents(x, ino, &inode, to);
	return ext_fs_read_plain(x, ino, &inode, to);
}

/* --- directories --- */

static int ext_fs_on_name(struct ext2_dir_entry *entry, int offset,
			  int blocksize, char *buf, void *arg)
{
	struct ext_fs *x = arg;
	char name[EXT2_NAME_LEN + 1];
	size_t n =
		min_u64((uint64_t)ext2fs_dirent_name_len(entry), EXT2_NAME_LEN);

	(void)offset;
	(void)blocksize;
	(void)buf;
	if (x->names++ == BOOT_FS_NAMES_MAX)
		return DIRENT_ABORT;
	memcpy(name, entry->name, n);
	name[n] = '\0';
	if (strlen(name) == n && !strchr(name, '/'))
		x->each(x->arg, name);
	return 0;
}

static int ext_fs_list(struct boot_fs *fs, const char *dir,
		       void (*each)(void *arg, const char *name), void *arg)
{
	struct ext_fs *x = container_of(fs, struct ext_fs, fs);
	struct ext2_inode inode = { .i_mode = 0 };
	ext2_ino_t ino;
	int err = ext_fs_find(x, dir, &ino, &inode);

	if (err)
		return err;
	if (!LINUX_S_ISDIR(inode.i_mode))
		return -ENOTDIR;
	x->names = 0;
	x->each = each;
	x->arg = arg;
	return ext_errno(
		ext2fs_dir_iterate(x->ext, ino, 0, NULL, ext_fs_on_name, x));
}

/* --- open and close --- */

static void ext_fs_close(struct boot_fs *fs)
{
	struct ext_fs *x = container_of(fs, struct ext_fs, fs);

	if (x->ext)
		(void)ext2fs_free(x->ext);
	free(x->buf);
	free(x);
}

static const struct boot_fs_ops ext_fs_ops = { .size = ext_fs_size,
					       .read = ext_fs_read,
					       .list = ext_fs_list,
					       .close = ext_fs_close };

static void ext_fs_identify(struct ext_fs *x)
{
	const struct ext2_super_block *s = x->ext->super;
	const uint8_t *u = s->s_uuid;

	(void)snprintf(x->fs.uuid, sizeof(x->fs.uuid),
		       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		       "%02x%02x%02x%02x%02x%02x",
		       u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8],
		       u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	memcpy(x->fs.label, s->s_volume_name, sizeof(s->s_volume_name));
}

int ext_fs_open(struct volume *v, struct boot_fs **out, const char **why)
{
	struct ext_fs *x = calloc(1, sizeof(*x));
	errcode_t e;

	if (!x)
		return -ENOMEM;
	x->fs.ops = &ext_fs_ops;
	x->buf = malloc(CHUNK);
	if (!x->buf) {
		ext_fs_close(&x->fs);
		return -ENOMEM;
	}
	initialize_ext2_error_table();
	ext_opening = v;
	e = ext2fs_open("disk", EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES,
			0, 0, &ext_manager, &x->ext);
	if (e) {
		x->ext = NULL;
		ext_fs_close(&x->fs);
		*why = error_message(e);
		return e == EXT2_ET_NO_MEMORY ? -ENOMEM : -EUCLEAN;
	}
	ext_fs_identify(x);
	*out = &x->fs;
	return 0;
}
