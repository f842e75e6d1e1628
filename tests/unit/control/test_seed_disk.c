/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The seed for cloud-init: dosfstools find no fault in it, and mtools read what
 * was given. Everything is in a directory of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control/launch/fat_image.h"
#include "monitor/control/launch/seed_disk.h"
#include "tests/unit/boot/temp_dir.h"
#include "tests/unit/support.h"

static void write_file(const char *name, const char *text, size_t bytes)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, bytes, f), bytes);
	assert_int_equal(fclose(f), 0);
}

static void runs(const char *command)
{
	if (system(command) != 0)
		fail_msg("%s", command);
}

/* The seed of @vm in the file "seed". */
static void make(const struct vm_config *vm)
{
	struct worker_disk disk;
	struct diag d = { .status = ST_OK };
	char *buf;
	int fd = -1;

	if (seed_disk_make(vm, &disk, &fd, &d))
		fail_msg("%s", d.text);
	assert_int_equal(disk.read_only, 1);
	assert_int_equal(disk.bytes % 512, 0);
	assert_int_equal(write(fd, "x", 1), -1);
	buf = malloc(disk.bytes);
	assert_non_null(buf);
	assert_int_equal(pread(fd, buf, disk.bytes, 0), disk.bytes);
	write_file("seed", buf, disk.bytes);
	free(buf);
	assert_int_equal(close(fd), 0);
	runs("fsck.vfat -n seed >fsck.log 2>&1");
	runs("test \"$(mlabel -s -i seed ::)\" = ' Volume label is CIDATA     "
	     "'");
}

static struct vm_config vm_of(char *user)
{
	return (struct vm_config){ .name = (char *)(uintptr_t) "web-1",
				   .cloud_init = user };
}

static void has_its_files(void **state)
{
	char user[] = "user", meta[] = "meta", network[] = "network";
	struct vm_config vm = vm_of(user);

	(void)state;
	write_file(user, "#cloud-config\n", 14);
	write_file(meta, "instance-id: x\n", 15);
	write_file(network, "version: 2\n", 11);
	make(&vm);
	runs("mtype -i seed ::user-data | cmp - user");
	runs("mtype -i seed ::meta-data | grep -qx 'local-hostname: web-1'");
	runs("mtype -i seed ::meta-data | "
	     "grep -qxE 'instance-id: web-1-[0-9a-f]{16}'");
	runs("test $(mdir -b -i seed :: | wc -l) = 2");
	vm.meta_data = meta;
	vm.network_config = network;
	make(&vm);
	runs("mtype -i seed ::meta-data | cmp - meta");
	runs("mtype -i seed ::network-config | cmp - network");
	runs("test $(mdir -b -i seed :: | wc -l) = 3");
}

/* Another id for other contents, and the same for the same. */
static void instance_changes(void **state)
{
	char user[] = "user";
	struct vm_config vm = vm_of(user);

	(void)state;
	write_file(user, "a", 1);
	make(&vm);
	runs("mtype -i seed ::meta-data >a");
	make(&vm);
	runs("mtype -i seed ::meta-data | cmp - a");
	write_file(user, "b", 1);
	make(&vm);
	runs("! mtype -i seed ::meta-data | cmp -s - a");
}

static void sizes(void **state)
{
	static const size_t bytes[] = { 0, 1, 511, 512, 513, 1048577, 8388608 };
	char user[] = "user";
	struct vm_config vm = vm_of(user);
	char *text = malloc(8388609);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < 8388609; i++)
		text[i] = (char)(i * 7 + i / 512);
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		write_file(user, text, bytes[i]);
		make(&vm);
		runs("mtype -i seed ::user-data | cmp - user");
	}
	/* As large as all of them can be. */
	vm.meta_data = vm.network_config = user;
	make(&vm);
	runs("mtype -i seed ::network-config | cmp - user");
	write_file(user, text, 8388609);
	free(text);
}

static void refuses(const struct vm_config *vm, const char *want)
{
	struct worker_disk disk;
	struct diag d = { .status = ST_OK };
	int fd = -1;

	assert_true(seed_disk_make(vm, &disk, &fd, &d) < 0);
	assert_int_equal(fd, -1);
	if (d.status != ST_FILE || !strstr(d.text, want))
		fail_msg("%d %s", (int)d.status, d.text);
}

/* After sizes(), which left a file that is too large. */
static void errors(void **state)
{
	char user[] = "user", none[] = "none", dir[] = ".";
	struct vm_config vm = vm_of(user);

	(void)state;
	refuses(&vm, "larger than 8 MiB");
	vm.cloud_init = none;
	refuses(&vm, "none: No such file");
	vm.cloud_init = dir;
	refuses(&vm, "not a regular file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_its_files),
		cmocka_unit_test(instance_changes),
		cmocka_unit_test(sizes),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, enter_dir, remove_dir);
}
