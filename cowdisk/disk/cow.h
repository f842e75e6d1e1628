/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A copy-on-write disk: turns requests of a guest into operations on its two
 * files. cow_format.c has the format and the invariants.
 *
 * Each request has one operation under way at a time, on the largest run of
 * blocks that one file has. Reads and writes of whole blocks go straight
 * between the guest's memory and a file. A partial write of an absent block
 * goes through a buffer of one block. A write that shares a block with another
 * write, under way or already waiting, waits until that one is done, because
 * two fills of one block would undo each other.
 *
 * Context of all functions: one thread. done() may submit requests.
 */
#ifndef DISCO_COWDISK_COW_H
#define DISCO_COWDISK_COW_H

#include "cowdisk/disk/cow_format.h"
#include "cowdisk/disk/cow_map.h"
#include "cowdisk/disk/disk.h"

struct cow;

enum cow_flags {
	COW_TEMPORARY = 1,  /* never opened again: no syncs, no map on disk */
	COW_COMMITTING = 2, /* open the file although a commit has begun */
};

/**
 * cow_open() - read header and bitmap
 * @io:         not owned; the identity of its base has been checked
 * @file_bytes: size of the COW file
 * @depth:      maximum number of requests under way at once, 1 .. 1024
 * @flags:      enum cow_flags, ORed
 * @out:        release with cow_close()
 * @why:        out on error: text that follows "FILE: " in a message
 *
 * Return: 0; -ENOMEM; -EBADMSG, -ENOTSUP as cow_header_decode() and
 * cow_map_load(); -EUCLEAN a commit has begun; -errno of a read.
 */
MUST_CHECK int cow_open(struct io *io, uint64_t file_bytes, unsigned depth,
			unsigned flags, struct cow **out, const char **why);

/* No request may be under way. NULL is accepted. Does not flush. */
void cow_close(struct cow *c);

/* Use other operations on the same files. No request may be under way. */
void cow_set_io(struct cow *c, struct io *io);

/*
 * As disk_submit(). Return: 0; -EAGAIN @depth requests are under way; -EINVAL
 * past the end of the disk.
 */
MUST_CHECK int cow_submit(struct cow *c, struct disk_req *r);

bool cow_is_busy(const struct cow *c);

const struct cow_layout *cow_layout(const struct cow *c);
const struct cow_header *cow_header(const struct cow *c);
const struct cow_map *cow_map(const struct cow *c);

#endif
