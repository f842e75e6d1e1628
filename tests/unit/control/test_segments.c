/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which VMs share which segment, and how long it lives. The worker of an adopted
 * VM is played by this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "monitor/control/segments/segments.h"
#include "tests/unit/support.h"

#define VMS 3u

static struct segments *segments;
static struct vm_config configs[VMS];
static struct segment_uses uses[VMS];
static struct diag d;

static int setup(void **state)
{
	static char names[VMS][8];

	(void)state;
	memset(configs, 0, sizeof(configs));
	memset(uses, 0, sizeof(uses));
	memset(&d, 0, sizeof(d));
	assert_int_equal(segments_create(&segments), 0);
	for (unsigned i = 0; i < VMS; i++) {
		static char s[] = "s";

		(void)snprintf(names[i], sizeof(names[i]), "vm-%u", i);
		configs[i].name = names[i];
		configs[i].nr_shms = 1;
		configs[i].shms[0] = (struct shm_config){ .name = s,
							  .bytes = MIB(4),
							  .node = NODE_AUTO };
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VMS; i++)
		segments_release(&uses[i]);
	assert_null(segments_first(segments));
	segments_destroy(segments);
	return 0;
}

static void reserve(unsigned i)
{
	if (segments_reserve(segments, &configs[i], &uses[i], &d))
		fail_msg("%s", d.text);
}

static void one_name_is_one_memory(void **state)
{
	char *a, *b;

	(void)state;
	reserve(0);
	reserve(1);
	assert_int_not_equal(uses[0].of[0]->fd, uses[1].of[0]->fd);
	a = mmap(NULL, MIB(4), PROT_READ | PROT_WRITE, MAP_SHARED,
		 uses[0].of[0]->fd, 0);
	b = mmap(NULL, MIB(4), PROT_READ, MAP_SHARED, uses[1].of[0]->fd, 0);
	assert_true(a != MAP_FAILED && b != MAP_FAILED);
	a[12345] = 77;
	assert_int_equal(b[12345], 77);
	(void)munmap(a, MIB(4));
	(void)munmap(b, MIB(4));
}

static void other_names_are_other_memory(void **state)
{
	static char other[] = "t";

	(void)state;
	configs[1].shms[0].name = other;
	reserve(0);
	reserve(1);
	assert_ptr_not_equal(uses[0].of[0]->segment, uses[1].of[0]->segment);
	assert_ptr_equal(segments_find(segments, "t"), uses[1].of[0]->segment);
	assert_null(segments_find(segments, "u"));
}

static void sizes_must_agree(void **state)
{
	(void)state;
	reserve(0);
	configs[1].shms[0].bytes = MIB(2);
	assert_int_equal(segments_reserve(segments, &configs[1], &uses[1], &d),
			 -EEXIST);
	assert_int_equal(d.status, ST_CONFIG);
	assert_string_equal(d.text,
			    "vm-1: segment 's' has 4 MiB, as 'vm-0' has "
			    "named it, and not 2 MiB");
	assert_null(uses[1].of[0]);
}

/* The second of a VM's segments cannot be: the first one is released, too. */
static void all_or_none(void **state)
{
	static char other[] = "t";

	(void)state;
	reserve(0);
	configs[1].shms[1] =
		(struct shm_config){ .name = configs[0].shms[0].name,
				     .bytes = MIB(2) };
	configs[1].shms[0].name = other;
	configs[1].nr_shms = 2;
	assert_int_equal(segments_reserve(segments, &configs[1], &uses[1], &d),
			 -EEXIST);
	assert_null(segments_find(segments, "t"));
}

static void it_lives_as_long_as_its_vms(void **state)
{
	(void)state;
	reserve(0);
	reserve(1);
	segments_release(&uses[0]);
	assert_non_null(segments_find(segments, "s"));
	segments_release(&uses[1]);
	assert_null(segments_find(segments, "s"));
	/* The next one of that name may have another size. */
	configs[2].shms[0].bytes = MIB(8);
	reserve(2);
}

static void nobody_changes_the_size(void **state)
{
	int fd;

	(void)state;
	reserve(0);
	fd = uses[0].of[0]->fd;
	assert_int_equal(ftruncate(fd, MIB(2)), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, MIB(8)), -1);
}

static void no_such_node(void **state)
{
	(void)state;
	configs[0].shms[0].node = 1000;
	assert_int_not_equal(
		segments_reserve(segments, &configs[0], &uses[0], &d), 0);
	assert_non_null(strstr(d.text, "vm-0: segment 's': "));
	assert_null(segments_first(segments));
}

/* --- the next monitor --- */

static void record_of(unsigned i, struct vm_record *r)
{
	memset(r, 0, sizeof(*r));
	(void)snprintf(r->name, sizeof(r->name), "%s", configs[i].name);
	segments_record(&uses[i], r);
	r->shm_fd = uses[i].of[0]->fd;
}

static void the_next_monitor_finds_them(void **state)
{
	struct segment_uses again[2] = { 0 };
	struct segments *next;
	struct vm_record r[2];
	struct stat a, b;
	int pidfd = pidfd_open(getpid(), 0);

	(void)state;
	assert_true(pidfd >= 0);
	assert_int_equal(segments_create(&next), 0);
	for (unsigned i = 0; i < 2; i++) {
		reserve(i);
		record_of(i, &r[i]);
		assert_int_equal(segments_adopt(next, &r[i], pidfd, &again[i]),
				 0);
	}
	assert_ptr_equal(again[0].of[0]->segment, again[1].of[0]->segment);
	assert_int_equal(fstat(again[0].of[0]->segment->fd, &a), 0);
	assert_int_equal(fstat(uses[0].of[0]->fd, &b), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	segments_release(&again[0]);
	segments_release(&again[1]);
	segments_destroy(next);
	(void)close(pidfd);
}

/* A worker that shows another file as the segment, or one of another size. */
static void an_impostor_is_not_adopted(void **state)
{
	struct segment_uses again[2] = { 0 };
	struct segments *next;
	struct vm_record r;
	int pidfd = pidfd_open(getpid(), 0);

	(void)state;
	assert_int_equal(segments_create(&next), 0);
	reserve(0);
	record_of(0, &r);
	assert_int_equal(segments_adopt(next, &r, pidfd, &again[0]), 0);
	segments_release(&uses[0]);
	reserve(1); /* a new one */
	record_of(1, &r);
	assert_int_equal(segments_adopt(next, &r, pidfd, &again[1]), -EEXIST);
	r.shms[0].bytes = MIB(2);
	assert_int_equal(segments_adopt(next, &r, pidfd, &again[1]), -EPROTO);
	r.shm_fd = 1000;
	assert_int_equal(segments_adopt(next, &r, pidfd, &again[1]), -EBADF);
	segments_release(&again[0]);
	assert_null(segments_first(next));
	segments_destroy(next);
	(void)close(pidfd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_name_is_one_memory),
		TEST(other_names_are_other_memory),
		TEST(sizes_must_agree),
		TEST(all_or_none),
		TEST(it_lives_as_long_as_its_vms),
		TEST(nobody_changes_the_size),
		TEST(no_such_node),
		TEST(the_next_monitor_finds_them),
		TEST(an_impostor_is_not_adopted),
	};

	return cmocka_run_group_tests_name("segments", tests, NULL, NULL);
}
