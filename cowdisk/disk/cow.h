/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A copy-on-write disk: requests of a guest turned into operations on its two
 * files. Format and invariants: cow_format.c.
 *
 * Each request has one operation under way at a time, of the largest run of
 * blocks that one file has. Reads and writes of whole blocks go straight
 * between the guest's memory and a file; a part of an absent block goes
 * through a buffer of one block. A write that overlaps another one by a
 * block, or one that already waits, waits until that is done: two fillings of
 * a block would undo each other.
 *
 * Threads: one. done() may submit.
 */
#ifndef DISCO_COWDISK_COW_H
#define DISCO_COWDISK_COW_H

#include "cowdisk/disk/cow_format.h"
#include "cowdisk/disk/cow_map.h"
#include "cowdisk/disk/disk.h"

struct cow;

enum cow_flags {
	COW_TEMPORARY = 1,  /* nobody opens the file again: no syncs, no map */
	COW_COMMITTING = 2, /* open it although a commit has begun */
};

/**
 * cow_open() - read header and bitmap
 * @io:         not owned; the identity of its base has been checked
 * @file_bytes: size of the COW file
 * @depth:      requests under way at once, at most; 1 .. 1024
 * @out:        release with cow_close()
 * @why:        out on error: words to go after "FILE: "
 *
 * Return: 0; -ENOMEM; -EBADMSG, -ENOTSUP as cow_header_decode() and
 * cow_map_load(); -EUCLEAN a commit has begun; -errno of a read.
 */
MUST_CHECK int cow_open(struct io *io, uint64_t file_bytes, unsigned depth,
			unsigned flags, struct cow **out, const char **why);

/* No request may be under way. NULL is fine. Nothing is flushed. */
void cow_close(struct cow *c);

/* Other ways to the same files from now on; nothing may be under way. */
void cow_set_io(struct cow *c, struct io *io);

/* As disk_submit(). Return: 0; -EAGAIN @depth requests are under way;
 * -EINVAL past the end of the disk. */
MUST_CHECK int cow_submit(struct cow *c, struct disk_req *r);

bool cow_is_busy(const struct cow *c);

const struct cow_layout *cow_layout(const struct cow *c);
const struct cow_header *cow_header(const struct cow *c);
const struct cow_map *cow_map(const struct cow *c);

#endif
