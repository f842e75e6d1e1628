/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file system that boot files are read from: what the search for a boot entry
 * needs of it. Paths are absolute, in the file system; symbolic links are
 * followed inside it.
 */
#ifndef DISCO_BOOTDISK_BOOT_FS_H
#define DISCO_BOOTDISK_BOOT_FS_H

#include "monitor/bootdisk/volume.h"

#define BOOT_FS_UUID_MAX  37u
#define BOOT_FS_LABEL_MAX 17u

struct boot_fs;

/* Takes what is read, in order. */
struct boot_sink {
	/* Return: 0; -errno, which ends the reading. */
	int (*put)(struct boot_sink *s, const void *data, size_t bytes);
};

struct boot_fs_ops {
	/*
	 * Size of a regular file. Return: 0; -ENOENT; -EISDIR a directory;
	 * -EINVAL something else; -EUCLEAN damaged; -errno of volume_read().
	 */
	int (*size)(struct boot_fs *fs, const char *path, uint64_t *bytes);
	/* Read all of a regular file. Return: as size(); -EFBIG; of @to. */
	int (*read)(struct boot_fs *fs, const char *path, uint64_t max,
		    struct boot_sink *to);
	/*
	 * Call @each for the names in a directory, at most BOOT_FS_NAMES_MAX.
	 * Return: 0; -ENOENT; -ENOTDIR; as size().
	 */
	int (*list)(struct boot_fs *fs, const char *dir,
		    void (*each)(void *arg, const char *name), void *arg);
	void (*close)(struct boot_fs *fs);
};

#define BOOT_FS_NAMES_MAX 1024u

struct boot_fs {
	const struct boot_fs_ops *ops;
	char uuid[BOOT_FS_UUID_MAX];   /* as blkid(8) prints it; "": none */
	char label[BOOT_FS_LABEL_MAX]; /* "": none */
};

/**
 * boot_fs_text() - read a small file as text
 * @max: more bytes are refused
 * @out: malloc'ed, NUL-terminated; NUL bytes inside end it
 *
 * Return: as boot_fs_ops.read(); -ENOMEM.
 */
MUST_CHECK int boot_fs_text(struct boot_fs *fs, const char *path, size_t max,
			    char **out);

#endif
