/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks: what is one, what is not, and who may share it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/disks/cow_files.h"
#include "monitor/control/disks/disk_files.h"
#include "monitor/control/disks/disk_locks.h"
#include "monitor/ipc/fds.h"
#include "tests/unit/support.h"

static char dir[] = "/tmp/disco-disks.XXXXXX";
static char path[64];

static int set_up(void **state)
{
	(void)state;
	if (!*path) {
		assert_non_null(mkdtemp(dir));
		(void)snprintf(path, sizeof(path), "%s/disk", dir);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)rmdir(dir);
	return 0;
}

static void make_file(off_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	(void)close(fd);
}

static int open_disk(const char *where, bool read_only, int *fd,
		     struct worker_disk *out, struct diag *d)
{
	const struct disk_config cfg = { .path = (char *)where,
					 .read_only = read_only };

	int fds[DISK_FDS_MAX] = { -7, -7, -7, -7 }, n;

	*d = (struct diag){ .status = ST_OK };
	n = disk_file_open(&cfg, "vm-0", 3, out, fds, d);
	if (n < 0)
		return n;
	assert_int_equal(n, 1);
	*fd = fds[0];
	return 0;
}

static void refused(const char *where, bool read_only, int err,
		    const char *text)
{
	struct worker_disk out;
	struct diag d;
	int fd = -7;

	assert_int_equal(open_disk(where, read_only, &fd, &out, &d), -err);
	assert_int_equal(fd, -7);
	assert_int_equal(d.status, ST_DISK);
	assert_non_null(strstr(d.text, "vm-0: disk "));
	if (!strstr(d.text, text))
		fail_msg("no '%s' in: %s", text, d.text);
}

static void a_file_is_a_disk(void **state)
{
	const struct disk_config named = { .path = path,
					   .serial = "exactly-20-bytes-xyz",
					   .queues = 5,
					   .iops = 6,
					   .bps = 700 };
	struct diag d = { .status = ST_OK };
	struct worker_disk out;
	int fd = -1, fds[DISK_FDS_MAX];

	(void)state;
	make_file(MIB(3));
	assert_int_equal(open_disk(path, true, &fd, &out, &d), 0);
	assert_true(out.bytes == MIB(3));
	assert_int_equal(out.read_only, 1);
	assert_string_equal(out.serial, "disk3");
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK),
			 O_RDONLY);
	(void)close(fd);
	assert_int_equal(disk_file_open(&named, "vm-0", 0, &out, fds, &d), 1);
	fd = fds[0];
	assert_int_equal(out.queues, 5);
	assert_int_equal(out.iops, 6);
	assert_int_equal(out.bps, 700);
	assert_int_equal(out.kind, WORKER_DISK_RAW);
	assert_string_equal(out.serial, "exactly-20-bytes-xyz");
	assert_int_equal(out.read_only, 0);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	(void)close(fd);
}

static void what_is_no_disk_is_refused(void **state)
{
	(void)state;
	(void)unlink(path);
	refused(path, true, ENOENT, "No such file");
	refused(dir, false, EISDIR, "is a directory");
	refused(dir, true, EISDIR, "is a directory");
	refused("/dev/null", true, EINVAL, "neither a regular file nor");
	make_file(0);
	refused(path, true, EINVAL, "is empty");
	make_file(513);
	refused(path, true, EINVAL, "not a multiple of 512");
	make_file(511);
	refused(path, false, EINVAL, "not a multiple of 512");
}

/* A file of 2 MiB with @n bytes at @at. */
static void make_image(const void *magic, size_t n, off_t at)
{
	int fd;

	make_file(MIB(2));
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, magic, n, at), n);
	(void)close(fd);
}

#define LAST (MIB(2) - 512)

static void images_of_other_formats_are_refused(void **state)
{
	static const struct {
		const char *magic;
		size_t n;
		off_t at;
		const char *text;
	} cases[] = {
		{ "QFI\xfb\0\0\0\3", 8, 0, "a qcow2 image, not raw" },
		{ "QFI\xfb\0\0\0\1", 8, 0, "a qcow image" },
		{ "QED", 4, 0, "a qed image" },
		{ "KDMV", 4, 0, "a vmdk image" },
		{ "# Disk DescriptorFile\n", 22, 0, "a vmdk image" },
		{ "vhdxfile", 8, 0, "a vhdx image" },
		{ "conectix", 8, 0, "a vhd image" },
		{ "conectix", 8, LAST, "a vhd image" },
		{ "\x7f\x10\xda\xbe", 4, 64, "a vdi image" },
		{ "WithouFreSpacExt", 16, 0, "a parallels image" },
		{ "koly", 4, LAST, "a dmg image" },
		{ "DISCOCOW", 8, 0, "as 'cow=FILE'" },
	};
	struct disk_config any = { .path = path, .raw = true };
	struct disk_config temp = { .path = path, .snapshot = true };
	struct worker_disk out;
	int fds[DISK_FDS_MAX];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct diag d = { .status = ST_OK };

		make_image(cases[i].magic, cases[i].n, cases[i].at);
		refused(path, false, EMEDIUMTYPE, cases[i].text);
		refused(path, true, EMEDIUMTYPE, "disco image ");
		assert_int_equal(disk_file_open(&temp, "vm", 0, &out, fds, &d),
				 -EMEDIUMTYPE);
		d.status = ST_OK;
		assert_int_equal(disk_file_open(&any, "vm", 0, &out, fds, &d),
				 1);
		(void)close(fds[0]);
	}
	/* Elsewhere they are data. */
	make_image("QFI\xfb\0\0\0\3", 8, 512);
	any.raw = false;
	assert_int_equal(disk_file_open(&any, "vm", 0, &out, fds,
					&(struct diag){ .status = ST_OK }),
			 1);
	(void)close(fds[0]);
}

/* A line that can be given to a shell, whatever the file is called. */
static void the_command_that_imports_is_named(void **state)
{
	char odd[128];

	(void)state;
	make_image("QFI\xfb\0\0\0\3", 8, 0);
	(void)snprintf(odd, sizeof(odd), "disco image import %s OUT", path);
	refused(path, false, EMEDIUMTYPE, odd);
	refused(path, false, EMEDIUMTYPE, "add ',format=raw'");
	(void)snprintf(odd, sizeof(odd), "%s $(x)", path);
	assert_int_equal(rename(path, odd), 0);
	refused(odd, false, EMEDIUMTYPE, "disco image import FILE OUT");
	assert_int_equal(unlink(odd), 0);
}

static void a_pipe_does_not_hang(void **state)
{
	(void)state;
	(void)unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(path, true, EINVAL, "neither a regular file nor");
	(void)unlink(path);
}

static void rights_are_explained(void **state)
{
	(void)state;
	if (geteuid() == 0)
		SKIP("root may write to everything");
	make_file(512);
	assert_int_equal(chmod(path, 0400), 0);
	refused(path, false, EACCES, "add ',ro'");
	assert_int_equal(chmod(path, 0), 0);
	refused(path, true, EACCES, "Permission denied");
}

static bool can_direct(int fd)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	fd = open(name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

/*
 * Descriptors more, of the same files, where they can be read with O_DIRECT: of
 * the COW file, and of the base unless others use it.
 */
static void assert_direct(const struct worker_disk *disk, int nr,
			  const int *fds, bool alone)
{
	unsigned want = !can_direct(fds[1])	      ? 0
			: alone && can_direct(fds[0]) ? 2
						      : 1;

	assert_int_equal(disk->direct, want);
	assert_int_equal(nr, 2 + want);
	for (unsigned i = 0; i < want; i++) {
		struct stat file, direct;

		assert_int_equal(fstat(fds[1 - i], &file), 0);
		assert_int_equal(fstat(fds[2 + i], &direct), 0);
		assert_int_equal(direct.st_dev, file.st_dev);
		assert_int_equal(direct.st_ino, file.st_ino);
		assert_int_equal(fcntl(fds[2 + i], F_GETFL) &
					 (O_ACCMODE | O_DIRECT),
				 O_RDONLY | O_DIRECT);
	}
}

/* Two guests, one base, a COW file each; nobody writes to the base. */
static void cow_files_share_a_base(void **state)
{
	struct disk_config cow = { .path = path }, temp = { .path = path };
	struct cow_pair p = COW_PAIR_NONE;
	const struct disk_name base = { .path = path, .read_only = true };
	struct diag d = { .status = ST_OK };
	int fds[DISK_FDS_MAX], more[DISK_FDS_MAX], temps[DISK_FDS_MAX];
	int n, nt;
	struct worker_disk out;
	char file[80];

	(void)state;
	make_file(MIB(2) + 512);
	(void)snprintf(file, sizeof(file), "%s.cow", path);
	cow.cow = file;
	temp.snapshot = true;
	assert_int_equal(disk_file_open(&cow, "vm", 0, &out, fds, &d), -ENOENT);
	assert_non_null(strstr(d.text, "disco image create"));
	d.status = ST_OK;
	assert_int_equal(cow_base_open(&base, &p, &d), 0);
	assert_int_equal(cow_file_make(NULL, file, &p, &d), 0);
	cow_pair_close(&p);
	n = disk_file_open(&cow, "vm", 0, &out, fds, &d);
	assert_direct(&out, n, fds, true);
	assert_int_equal(out.kind, WORKER_DISK_COW);
	assert_int_equal(out.bytes, MIB(2) + 512);
	assert_int_equal(out.read_only, 0);
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(fds[1], F_GETFL) & O_ACCMODE, O_RDWR);
	nt = disk_file_open(&temp, "vm", 1, &out, temps, &d);
	assert_direct(&out, nt, temps, false);
	assert_int_equal(out.kind, WORKER_DISK_TEMP);
	/* The COW file has one user. */
	assert_int_equal(disk_file_open(&cow, "vm-2", 0, &out, more, &d),
			 -EBUSY);
	assert_int_equal(d.status, ST_DISK);
	d.status = ST_OK;
	assert_int_equal(open_disk(path, false, more, &out, &d), -EBUSY);
	fds_close(fds, (unsigned)n);
	fds_close(temps, (unsigned)nt);
	make_file(MIB(2) + 1024);
	d.status = ST_OK;
	assert_int_equal(disk_file_open(&cow, "vm", 0, &out, fds, &d), -ESTALE);
	assert_int_equal(d.status, ST_COW_BASE);
	(void)unlink(file);
}

/* Never opened for writing, and without a file to forget writes in. */
static void pmem_disks_only_read_their_base(void **state)
{
	struct disk_config ro = { .path = path, .read_only = true },
			   temp = { .path = path, .snapshot = true };
	struct diag d = { .status = ST_OK };
	struct worker_disk out;
	int fds[DISK_FDS_MAX], more[DISK_FDS_MAX];

	(void)state;
	make_file(MIB(2) + 512);
	ro.pmem = temp.pmem = true;
	assert_int_equal(disk_file_open(&ro, "vm", 0, &out, fds, &d), 1);
	assert_int_equal(out.pmem, 1);
	assert_int_equal(out.kind, WORKER_DISK_RAW);
	assert_int_equal(out.read_only, 1);
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(disk_file_open(&temp, "vm", 1, &out, more, &d), 1);
	assert_int_equal(out.pmem, 1);
	assert_int_equal(out.kind, WORKER_DISK_RAW);
	assert_int_equal(out.read_only, 0);
	assert_int_equal(out.bytes, MIB(2) + 512);
	assert_int_equal(fcntl(more[0], F_GETFL) & O_ACCMODE, O_RDONLY);
	(void)close(fds[0]);
	/* Locked: nobody writes to it under the guest. */
	refused(path, false, EBUSY, "in use");
	(void)close(more[0]);
}

/* Each with a first user of the disk, and what a second one gets. */
static void sharing_follows_the_table(void **state)
{
	static const struct {
		bool first_ro, second_ro, shared;
	} cases[] = {
		{ true, true, true },
		{ true, false, false },
		{ false, true, false },
		{ false, false, false },
	};
	struct worker_disk out;
	struct diag d;

	(void)state;
	make_file(512);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		int first = -1, second = -1;

		assert_int_equal(
			open_disk(path, cases[i].first_ro, &first, &out, &d),
			0);
		if (cases[i].shared)
			assert_int_equal(
				open_disk(path, true, &second, &out, &d), 0);
		else
			refused(path, cases[i].second_ro, EBUSY, "in use");
		(void)close(first);
		(void)close(second);
	}
}

/* As when control has closed its copy and the worker still has one. */
static void a_lock_lives_in_any_copy(void **state)
{
	struct worker_disk out;
	struct diag d;
	int fd = -1, copy;

	(void)state;
	make_file(512);
	assert_int_equal(open_disk(path, false, &fd, &out, &d), 0);
	copy = dup(fd);
	(void)close(fd);
	refused(path, false, EBUSY, "in use");
	(void)close(copy);
	assert_int_equal(open_disk(path, false, &fd, &out, &d), 0);
	(void)close(fd);
}

/* Another process has the disk for so long. */
static pid_t holder(unsigned ms)
{
	struct worker_disk out;
	struct diag d;
	int fd = -1;
	pid_t pid;

	assert_int_equal(open_disk(path, false, &fd, &out, &d), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)usleep(ms * 1000);
		_exit(0);
	}
	(void)close(fd);
	return pid;
}

static int open_as_image_command(struct diag *d, uint64_t *waited_ns)
{
	const struct disk_name n = { .path = path, .read_only = true };
	uint64_t bytes, start = clock_now_ns();
	int fd = -1, err;

	*d = (struct diag){ .status = ST_OK };
	err = disk_path_open(&n, &bytes, &fd, d);
	*waited_ns = clock_now_ns() - start;
	if (!err)
		(void)close(fd);
	return err;
}

static int open_while_held(unsigned ms)
{
	uint64_t waited_ns;
	struct diag d;
	pid_t pid = holder(ms);
	int err = open_as_image_command(&d, &waited_ns);

	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return err;
}

static void image_commands_wait_for_a_lock(void **state)
{
	uint64_t waited_ns;
	struct diag d;
	pid_t pid;

	(void)state;
	make_file(512);
	/* A holder that does not get to run for 2 s is waited for in vain. */
	WAIT_UNTIL(open_while_held(100) == 0);
	pid = holder(60000);
	refused(path, true, EBUSY, "in use"); /* a guest does not wait */
	assert_int_equal(open_as_image_command(&d, &waited_ns), -EBUSY);
	assert_true(waited_ns >= 2000000000);
	assert_int_equal(d.status, ST_DISK);
	assert_non_null(strstr(d.text, "in use by another program or guest"));
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* That of one reader, while another one goes on. */
static void the_end_of_a_lock_is_seen(void **state)
{
	struct disk_locks l = DISK_LOCKS_NONE, none = DISK_LOCKS_NONE;
	struct worker_disk out;
	int first = -1, second = -1, copy;
	struct diag d;

	(void)state;
	make_file(512);
	assert_int_equal(open_disk(path, true, &first, &out, &d), 0);
	assert_int_equal(open_disk(path, true, &second, &out, &d), 0);
	assert_true(second > first);
	disk_locks_open(&l, getpid(), second);
	assert_int_equal(l.nr, 1);
	copy = dup(second);
	assert_true(disk_locks_held(&l));
	(void)close(second);
	assert_true(disk_locks_held(&l));
	assert_false(disk_locks_wait(&l, 1));
	(void)close(copy);
	assert_false(disk_locks_held(&l));
	assert_true(disk_locks_wait(&l, 1));
	/* What it takes to find out is no lock itself. */
	(void)close(first);
	assert_int_equal(open_disk(path, false, &first, &out, &d), 0);
	(void)close(first);
	disk_locks_close(&l);
	disk_locks_open(&none, 0, 3);
	assert_int_equal(none.nr, 0);
	assert_false(disk_locks_held(&none));
	disk_locks_close(&none);
	disk_locks_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_a_disk),
		cmocka_unit_test(what_is_no_disk_is_refused),
		cmocka_unit_test(images_of_other_formats_are_refused),
		cmocka_unit_test(the_command_that_imports_is_named),
		cmocka_unit_test(a_pipe_does_not_hang),
		cmocka_unit_test(rights_are_explained),
		cmocka_unit_test(cow_files_share_a_base),
		cmocka_unit_test(pmem_disks_only_read_their_base),
		cmocka_unit_test(sharing_follows_the_table),
		cmocka_unit_test(a_lock_lives_in_any_copy),
		cmocka_unit_test(image_commands_wait_for_a_lock),
		cmocka_unit_test(the_end_of_a_lock_is_seen),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
