/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Partition tables: good ones of both kinds, then with one thing wrong at a
 * time. What sfdisk(8) makes is read in tests/cli/boot.
 */
#include <errno.h>
#include <zlib.h>

#include "disco/le.h"
#include "monitor/bootdisk/part_table.h"
#include "tests/unit/bootdisk/disk_in_memory.h"
#include "tests/unit/support.h"

#define SECTORS 4096u
#define SECTOR	512u
#define ENTRIES 16u

static uint8_t disk[SECTORS * SECTOR];

static int read_disk(struct part_table *t, const char **why)
{
	struct disk_in_memory d;

	disk_in_memory_init(&d, disk, sizeof(disk), sizeof(disk));
	*why = NULL;
	return part_table_read(&d.v, t, why);
}

static void is_bad(const char *what, const char *want)
{
	struct part_table t;
	const char *why;
	int err = read_disk(&t, &why);

	if (err != -EBADMSG || !why || !strstr(why, want))
		fail_msg("%s: %d %s", what, err, why ? why : "");
}

/* --- MBR --- */

static void mbr_sign(uint64_t sector)
{
	disk[sector * SECTOR + 510] = 0x55;
	disk[sector * SECTOR + 511] = 0xaa;
}

static void mbr_set(uint64_t sector, unsigned i, uint8_t type, uint32_t start,
		    uint32_t sectors)
{
	uint8_t *e = disk + sector * SECTOR + 446 + 16 * i;

	e[4] = type;
	le32_store(e + 8, start);
	le32_store(e + 12, sectors);
	mbr_sign(sector);
}

static int clear_disk(void **state)
{
	(void)state;
	memset(disk, 0, sizeof(disk));
	return 0;
}

static void mbr_primary(void **state)
{
	struct part_table t;
	const char *why;

	(void)state;
	mbr_set(0, 0, 0x83, 8, 100);
	mbr_set(0, 2, 0xef, 200, SECTORS - 200);
	assert_int_equal(read_disk(&t, &why), 0);
	assert_int_equal(t.nr, 2);
	assert_int_equal(t.parts[0].number, 1);
	assert_int_equal(t.parts[0].start, 8 * SECTOR);
	assert_int_equal(t.parts[0].bytes, 100 * SECTOR);
	assert_int_equal(t.parts[0].use, PART_OTHER);
	assert_int_equal(t.parts[1].number, 3);
	assert_int_equal(t.parts[1].use, PART_ESP);
	mbr_set(0, 2, 0xef, 200, SECTORS - 199);
	is_bad("one sector too many", "not inside the disk");
	mbr_set(0, 2, 0x83, UINT32_MAX, UINT32_MAX);
	is_bad("numbers as large as they get", "not inside the disk");
}

static void mbr_logical(void **state)
{
	struct part_table t;
	const char *why;

	(void)state;
	mbr_set(0, 1, 0x05, 100, 1000);
	mbr_set(100, 0, 0x83, 10, 20);
	mbr_set(100, 1, 0x05, 50, 100);
	mbr_set(150, 0, 0x83, 5, 6);
	assert_int_equal(read_disk(&t, &why), 0);
	assert_int_equal(t.nr, 2);
	assert_int_equal(t.parts[0].number, 5);
	assert_int_equal(t.parts[0].start, 110 * SECTOR);
	assert_int_equal(t.parts[1].number, 6);
	assert_int_equal(t.parts[1].start, 155 * SECTOR);
	assert_int_equal(t.parts[1].bytes, 6 * SECTOR);
	/* A table that is followed by itself ends some time. */
	mbr_set(150, 1, 0x05, 50, 100);
	assert_int_equal(read_disk(&t, &why), 0);
	assert_true(t.nr <= PART_TABLE_MAX);
	mbr_set(150, 1, 0x05, SECTORS, 100);
	is_bad("the next is outside", "chain of logical");
	mbr_set(150, 1, 0x05, 60, 100);
	is_bad("the next is no table", "chain of logical");
}

/* Boot sectors of file systems have the signature, and code as entries. */
static void mbr_is_none(void **state)
{
	struct part_table t = { .nr = 7 };
	const char *why;

	(void)state;
	assert_int_equal(read_disk(&t, &why), 0);
	assert_int_equal(t.nr, 0);
	mbr_sign(0);
	assert_int_equal(read_disk(&t, &why), 0);
	assert_int_equal(t.nr, 0);
	mbr_set(0, 0, 0x83, 8, 100);
	disk[446 + 16] = 0x33;
	assert_int_equal(read_disk(&t, &why), 0);
	assert_int_equal(t.nr, 0);
}

/* --- GPT --- */

static void gpt_seal(uint64_t lba, uint64_t entries)
{
	uint8_t *h = disk + lba * SECTOR;

	memcpy(h, "EFI PART", 8);
	le32_store(h + 8, 0x10000);
	le32_store(h + 12, 92);
	le64_store(h + 24, lba);
	le64_store(h + 72, entries);
	if (!le32_load(h + 80))
		le32_store(h + 80, ENTRIES);
	if (!le32_load(h + 84))
		le32_store(h + 84, 128);
	le32_store(h + 88,
		   (uint32_t)crc32(0, disk + entries * SECTOR, ENTRIES * 128));
	le32_store(h + 16, 0);
	le32_store(h + 16, (uint32_t)crc32(0, h, 92));
}

static void gpt_set(unsigned i, uint8_t type, uint64_t first, uint64_t last)
{
	uint8_t *e = disk + 2 * SECTOR + 128 * i;

	memset(e, type, 16);
	le64_store(e + 32, first);
	le64_store(e + 40, last);
}

/* Partitions 1 and 4; the backup is at the end. */
static void gpt_make(void)
{
	mbr_set(0, 0, 0xee, 1, SECTORS - 1);
	gpt_set(0, 0x0f, 100, 199);
	gpt_set(3, 0x0f, 300, SECTORS - 40);
	memcpy(disk + (SECTORS - 5) * SECTOR, disk + 2 * SECTOR, 4 * SECTOR);
	gpt_seal(1, 2);
	gpt_seal(SECTORS - 1, SECTORS - 5);
}

static void gpt_has_both(const char *what)
{
	struct part_table t;
	const char *why;
	int err = read_disk(&t, &why);

	if (err || t.nr != 2 || t.parts[0].number != 1 ||
	    t.parts[0].start != 100 * SECTOR ||
	    t.parts[0].bytes != 100 * SECTOR || t.parts[1].number != 4)
		fail_msg("%s: %d, %u partitions", what, err, t.nr);
}

static void gpt_good(void **state)
{
	(void)state;
	gpt_make();
	gpt_has_both("as it is");
	memset(disk + SECTOR, 0, SECTOR);
	gpt_has_both("no first header");
	gpt_make();
	disk[2 * SECTOR + 33]++;
	gpt_has_both("first entries damaged");
	gpt_make();
	disk[(SECTORS - 1) * SECTOR + 20]++;
	gpt_has_both("no backup");
}

static void gpt_bad(void **state)
{
	static const struct {
		const char *what;
		unsigned at;
		uint32_t value;
	} wrong[] = {
		{ "header too short", 12, 91 },
		{ "header too long", 12, 513 },
		{ "too many entries", 80, 1025 },
		{ "entries too small", 84, 64 },
		{ "entries of odd size", 84, 192 },
		{ "entries outside", 72, SECTORS + 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		uint8_t *h = disk + SECTOR;

		(void)clear_disk(NULL);
		gpt_make();
		memset(disk + (SECTORS - 1) * SECTOR, 0, SECTOR);
		le32_store(h + wrong[i].at, wrong[i].value);
		le32_store(h + 16, 0);
		le32_store(h + 16, (uint32_t)crc32(0, h, 92));
		is_bad(wrong[i].what, "GPT is damaged");
	}
}

static void gpt_partition_outside(void **state)
{
	(void)state;
	gpt_make();
	gpt_set(0, 0x0f, 100, SECTORS);
	gpt_seal(1, 2);
	is_bad("last sector outside", "not inside the disk");
	gpt_set(0, 0x0f, 200, 100);
	gpt_seal(1, 2);
	is_bad("ends before it begins", "not inside the disk");
	gpt_set(0, 0x0f, 1, UINT64_MAX);
	gpt_seal(1, 2);
	is_bad("largest number", "not inside the disk");
}

/* What may be read in all is bounded. */
static void budget_ends(void **state)
{
	struct disk_in_memory d;
	struct part_table t;
	const char *why = "";

	(void)state;
	gpt_make();
	disk_in_memory_init(&d, disk, sizeof(disk), 2 * SECTOR);
	assert_int_equal(part_table_read(&d.v, &t, &why), -EDQUOT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(mbr_primary, clear_disk),
		cmocka_unit_test_setup(mbr_logical, clear_disk),
		cmocka_unit_test_setup(mbr_is_none, clear_disk),
		cmocka_unit_test_setup(gpt_good, clear_disk),
		cmocka_unit_test_setup(gpt_bad, clear_disk),
		cmocka_unit_test_setup(gpt_partition_outside, clear_disk),
		cmocka_unit_test_setup(budget_ends, clear_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
