/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block device over a real file in a temporary directory, with a driver.
 * Tests run twice: with io_uring, and with disk.c's synchronous fallback,
 * which is had by refusing the ring its descriptor (RLIMIT_NOFILE).
 */
#ifndef TESTS_UNIT_MONITOR_BLK_BENCH_H
#define TESTS_UNIT_MONITOR_BLK_BENCH_H

#include "monitor/dev/virtio/virtio_blk.h"
#include "tests/unit/virtio/guest_driver.h"
#include "tests/unit/support.h"

#define BLK_RAM	    MIB(16)
#define BLK_SECTORS 128u
#define BLK_HEADER  0x8000u
#define BLK_STATUS  0x9000u
#define BLK_TABLE   0x20000u

/* virtio 1.2, 5.2.6 and 5.2.3 */
#define BLK_IN	    0u
#define BLK_OUT	    1u
#define BLK_FLUSH   4u
#define BLK_GET_ID  8u
#define BLK_OK	    0
#define BLK_IOERR   1
#define BLK_UNSUPP  2
#define BLK_F_RO    (1ull << 5)
#define BLK_F_FLUSH (1ull << 9)

struct blk_bench {
	struct fake_host h;
	struct virtio_blk *blk;
	struct driver d;
	int file;	  /* the disk's file, to look behind the curtain */
	char *data;	  /* guest memory at DATA_GPA */
	uint32_t written; /* of the last request */
};

/* Lay out a request's header; run what descriptor 0 starts; the status. */
void blk_header(struct blk_bench *b, uint32_t type, uint64_t sector);
int blk_run(struct blk_bench *b);
/* Header, @bytes of data at DATA_GPA, status. */
int blk_rw(struct blk_bench *b, uint32_t type, uint64_t sector, uint32_t bytes);
/* Header and status, no data. */
int blk_plain(struct blk_bench *b, uint32_t type, uint64_t sector);
/*
 * Offer @n reads of sectors 0 .. n-1 in one go: data of the i-th at
 * DATA_GPA + 1024 i, status 512 bytes after it. One kick.
 */
void blk_offer_reads(struct blk_bench *b, unsigned n);
void blk_restart(struct blk_bench *b);

void blk_data_fill(struct blk_bench *b, char c, size_t bytes);
bool blk_data_is(const struct blk_bench *b, char c, size_t bytes);
void blk_file_fill(struct blk_bench *b, uint64_t sector, char c);
bool blk_file_is(const struct blk_bench *b, uint64_t sector, char c);
uint64_t blk_file_bytes(const struct blk_bench *b);

/* An open, empty, unlinked file of @bytes in a temporary directory. */
int blk_temp_file(uint64_t bytes);
/* disk_open() without a ring, or with one where there are rings. */
struct disk *blk_open_disk(int fd, bool read_only, bool ring);

/* Of a test whose state is a blk_bench. */
int blk_teardown(void **state);

#define BLK_TEST(f)                                                            \
	{                                                                      \
#f, f, NULL, NULL, NULL                                        \
	}
#define BLK_END                                                                \
	{                                                                      \
		NULL, NULL, NULL, NULL, NULL                                   \
	}
/* Run every test in both ways. */
int blk_main(const char *name, const struct CMUnitTest *tests);

#endif
