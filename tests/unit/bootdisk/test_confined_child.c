/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children that take hostile data apart: what they may not do ends them, and
 * their parent says so in a line; and one of them, which unpacks kernels.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zlib.h>

#include "monitor/boot/kernel_cache.h"
#include "monitor/bootdisk/confined_child.h"
#include "monitor/bootdisk/kernel_unpacker.h"
#include "tests/unit/boot/images.h"
#include "tests/unit/boot/temp_dir.h"
#include "tests/unit/support.h"

#define PACKED_MAX 4096u
#define ANSWER	   0x5ca1ab1eu

struct reply {
	uint32_t answer;
};

static struct confined_job job_of(void (*work)(void *arg, void *reply))
{
	return (struct confined_job){
		.limits = { .memory_bytes = MIB(64),
			    .file_bytes = KIB(64),
			    .cpu_s = 1 },
		.limit_ns = wait_limit_ms(HANG_MS) * 1000000,
		.work = work,
		.what = "a test",
	};
}

static void answers(void *arg, void *reply)
{
	((struct reply *)reply)->answer = *(const uint32_t *)arg;
}

/* Its descriptors are those that it was given, and no others. */
static void writes(void *arg, void *reply)
{
	bool good = confined_write(1, "written", 7) == 0 &&
		    write(2, "x", 1) < 0 && lseek(3, 0, SEEK_CUR) < 0;

	(void)arg;
	((struct reply *)reply)->answer = good ? ANSWER : 0;
}

static void good_children(void **state)
{
	uint32_t answer = ANSWER;
	struct confined_job job = job_of(answers);
	struct diag d = { .status = ST_OK };
	struct reply r = { 0 };
	int fds[] = { memfd_create("out", MFD_CLOEXEC), -1 };
	char buf[16] = "";

	(void)state;
	job.arg = &answer;
	assert_int_equal(confined_child_run(&job, &r, sizeof(r), &d), 0);
	assert_int_equal(r.answer, ANSWER);
	job = job_of(writes);
	job.fds = fds;
	job.nr_fds = ARRAY_SIZE(fds);
	r.answer = 0;
	assert_int_equal(confined_child_run(&job, &r, sizeof(r), &d), 0);
	assert_int_equal(r.answer, ANSWER);
	assert_int_equal(pread(fds[0], buf, sizeof(buf), 0), 7);
	assert_string_equal(buf, "written");
	assert_int_equal(close(fds[0]), 0);
}

static void opens(void *arg, void *reply)
{
	(void)arg;
	(void)reply;
	(void)syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static void connects(void *arg, void *reply)
{
	(void)arg;
	(void)reply;
	(void)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static void forks(void *arg, void *reply)
{
	(void)arg;
	(void)reply;
	(void)syscall(SYS_clone, 17, 0, 0, 0, 0);
}

static void writes_anywhere(void *arg, void *reply)
{
	(void)arg;
	(void)reply;
	(void)syscall(SYS_pwrite64, 1, "x", 1, 0);
}

static void crashes(void *arg, void *reply)
{
	(void)reply;
	*(volatile char *)arg = 1;
}

static void leaves(void *arg, void *reply)
{
	(void)arg;
	(void)reply;
	_exit(0);
}

static void writes_much(void *arg, void *reply)
{
	static const char page[4096];

	(void)arg;
	(void)reply;
	while (confined_write(1, page, sizeof(page)) == 0)
		;
}

static void spins(void *arg, void *reply)
{
	(void)arg;
	(void)reply;
	for (;;)
		;
}

static void allocates(void *arg, void *reply)
{
	(void)arg;
	((struct reply *)reply)->answer = malloc(MIB(128)) ? 0 : ANSWER;
}

static void ends_by(const char *name, void (*work)(void *arg, void *reply),
		    const char *want)
{
	struct confined_job job = job_of(work);
	struct diag d = { .status = ST_OK };
	struct reply r = { 0 };
	int fd = memfd_create("out", MFD_CLOEXEC);

	job.fds = &fd;
	job.nr_fds = 1;
	if (confined_child_run(&job, &r, sizeof(r), &d) >= 0 ||
	    d.status != ST_BOOT || !strstr(d.text, want))
		fail_msg("%s: %d %s", name, (int)d.status, d.text);
	assert_int_equal(close(fd), 0);
}

static void bad_children(void **state)
{
	(void)state;
#ifdef DISCO_SANITIZED
	SKIP("sandboxes have no filters under a sanitizer");
#endif
	ends_by("open", opens, "Bad system call");
	ends_by("socket", connects, "Bad system call");
	ends_by("fork", forks, "Bad system call");
	ends_by("pwrite", writes_anywhere, "Bad system call");
	ends_by("fault", crashes, "Segmentation fault");
	ends_by("exit", leaves, "itself");
	ends_by("file", writes_much, "File size limit");
	ends_by("CPU time", spins, "takes too long");
}

static void memory_is_bounded(void **state)
{
	struct confined_job job = job_of(allocates);
	struct diag d = { .status = ST_OK };
	struct reply r = { 0 };

	(void)state;
#ifdef DISCO_SANITIZED
	SKIP("memory has no bound under a sanitizer");
#endif
	assert_int_equal(confined_child_run(&job, &r, sizeof(r), &d), 0);
	assert_int_equal(r.answer, ANSWER);
}

static void late_children_are_killed(void **state)
{
	struct confined_job job = job_of(spins);
	struct diag d = { .status = ST_OK };
	struct reply r = { 0 };

	(void)state;
	job.limits.cpu_s = 0;
	job.limit_ns = 1000000;
	assert_true(confined_child_run(&job, &r, sizeof(r), &d) < 0);
	assert_int_equal(d.status, ST_BOOT);
	assert_non_null(strstr(d.text, "takes too long"));
}

/* --- kernels --- */

static size_t pack(const void *src, size_t bytes, uint8_t *dst)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)src,
		       .avail_in = (uInt)bytes,
		       .next_out = dst,
		       .avail_out = PACKED_MAX };

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, 0),
			 Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(deflateEnd(&z), Z_OK);
	return z.total_out;
}

static void write_kernel(const char *path, const void *payload, size_t bytes)
{
	static uint8_t file[BZ_AT(PACKED_MAX)];
	FILE *f = fopen(path, "w");

	bz_build(file, payload, bytes);
	assert_non_null(f);
	assert_int_equal(fwrite(file, BZ_AT(bytes), 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

static int unpack(const char *path, struct diag *d)
{
	*d = (struct diag){ .status = ST_OK };
	return kernel_unpacker_run("cache", path, d);
}

static void kernels(void **state)
{
	uint8_t elf[ELF_BYTES], packed[PACKED_MAX];
	struct diag d;
	size_t n;

	(void)state;
	assert_int_equal(mkdir("cache", 0700), 0);
	elf_build(elf);
	n = pack(elf, sizeof(elf), packed);
	write_kernel("good", packed, n);
	assert_int_equal(unpack("good", &d), 1);
	assert_int_equal(count_files("cache"), 1);
	assert_int_equal(unpack("good", &d), 1);
	assert_int_equal(count_files("cache"), 1);
	/* The checksum at the end is wrong. */
	packed[n - 6]++;
	write_kernel("bad", packed, n);
	assert_true(unpack("bad", &d) < 0);
	assert_int_equal(d.status, ST_KERNEL_CUT);
	/* No ELF: control would unpack it again, to find that out. */
	write_kernel("text", packed, pack("no kernel", 9, packed));
	assert_true(unpack("text", &d) < 0);
	assert_int_equal(d.status, ST_KERNEL_CUT);
	/* What is not unpacked is for control to look at, or for the guest. */
	write_kernel("unknown", "no compression that is known", 28);
	assert_int_equal(unpack("unknown", &d), 0);
	write_kernel("good2", packed, pack(elf, sizeof(elf), packed));
	assert_int_equal(chmod("cache", 0500), 0);
	assert_int_equal(count_files("cache"), 1);
	assert_true(unpack("none", &d) < 0);
	assert_int_equal(d.status, ST_HOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_children),
		cmocka_unit_test(bad_children),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(late_children_are_killed),
		cmocka_unit_test(kernels),
	};

	return cmocka_run_group_tests(tests, enter_dir, remove_dir);
}
