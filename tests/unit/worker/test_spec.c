/* SPDX-License-Identifier: BSD-2-Clause */
/* A specification with anything wrong in it is refused, each for itself. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/huge.h"
#include "monitor/worker/spec.h"
#include "tests/unit/support.h"

static struct worker_spec good, out;

static int setup(void **state)
{
	(void)state;
	memset(&good, 0, sizeof(good));
	good.magic = WORKER_SPEC_MAGIC;
	good.protocol = WORKER_PROTOCOL;
	good.size = sizeof(good);
	(void)snprintf(good.name, sizeof(good.name), "vm0");
	good.nr_vcpus = 2;
	good.node = NODE_AUTO;
	good.ram_bytes = MIB(256);
	good.nr_disks = 1;
	good.disks[0].bytes = 4096;
	good.nr_nets = 1;
	good.nets[0].gen = 1;
	good.nets[0].bits = 24;
	good.boot.entry_kind = BOOT_PVH;
	good.boot.nr_extents = 1;
	good.boot.extents[0] = (struct boot_extent){ MIB(1), MIB(4) };
	return 0;
}

static int load_bytes(const struct worker_spec *s, size_t bytes)
{
	int fd = memfd_create("spec", MFD_CLOEXEC), err;

	assert_int_equal(write(fd, s, bytes), bytes);
	err = spec_load(fd, &out);
	(void)close(fd);
	return err;
}

static int load(void)
{
	return load_bytes(&good, sizeof(good));
}

static void good_one(void **state)
{
	(void)state;
	assert_int_equal(load(), 0);
	assert_memory_equal(&out, &good, sizeof(good));
}

static void of_another_build(void **state)
{
	(void)state;
	assert_int_equal(load_bytes(&good, sizeof(good) - 1), -EPROTO);
	assert_int_equal(load_bytes(&good, 0), -EPROTO);
	good.magic++;
	assert_int_equal(load(), -EPROTO);
	good.magic--;
	good.protocol++;
	assert_int_equal(load(), -EPROTO);
	good.protocol--;
	good.size--;
	assert_int_equal(load(), -EPROTO);
	assert_int_equal(spec_load(-1, &out), -EBADF);
}

static void strings_without_end(void **state)
{
	(void)state;
	memset(good.name, 'x', sizeof(good.name));
	assert_int_equal(load(), -EINVAL);
	(void)setup(NULL);
	memset(good.cmdline, 'x', sizeof(good.cmdline));
	assert_int_equal(load(), -EINVAL);
	(void)setup(NULL);
	memset(good.disks[0].serial, 'x', sizeof(good.disks[0].serial));
	assert_int_equal(load(), -EINVAL);
}

#define REFUSED(field, value)                                                  \
	do {                                                                   \
		(void)setup(NULL);                                             \
		good.field = (value);                                          \
		assert_int_equal(load(), -EINVAL);                             \
	} while (0)
#define TAKEN(field, value)                                                    \
	do {                                                                   \
		(void)setup(NULL);                                             \
		good.field = (value);                                          \
		assert_int_equal(load(), 0);                                   \
	} while (0)

static void counts(void **state)
{
	(void)state;
	REFUSED(nr_vcpus, 0);
	REFUSED(nr_vcpus, VM_MAX_VCPUS + 1);
	REFUSED(nr_vcpus, UINT32_MAX);
	TAKEN(nr_vcpus, VM_MAX_VCPUS);
	REFUSED(nr_disks, VM_MAX_DISKS + 1);
	REFUSED(nr_disks, UINT32_MAX);
	TAKEN(nr_disks, VM_MAX_DISKS);
	REFUSED(nr_cpus, ARRAY_SIZE(good.cpus) + 1);
	REFUSED(nr_cpus, UINT32_MAX);
	REFUSED(disks[0].queues, DISK_MAX_QUEUES + 1);
	REFUSED(disks[0].queues, UINT32_MAX);
	TAKEN(disks[0].queues, DISK_MAX_QUEUES);
	REFUSED(disks[0].iops, DISK_MAX_IOPS + 1);
	TAKEN(disks[0].iops, DISK_MAX_IOPS);
	REFUSED(disks[0].bps, UINT64_MAX);
	TAKEN(disks[0].bps, DISK_MAX_BPS);
	REFUSED(nets[0].queues, NET_MAX_QUEUES + 1);
	REFUSED(nets[0].queues, UINT8_MAX);
	TAKEN(nets[0].queues, NET_MAX_QUEUES);
	TAKEN(nets[0].queues, 0);
	REFUSED(huge, HUGE_OFF + 1);
	REFUSED(huge_given, 2);
	TAKEN(huge, HUGE_OFF);
}

/* What the guest may forget needs no file when it is memory. */
static void pmem_disks(void **state)
{
	(void)state;
	(void)setup(NULL);
	good.disks[0].pmem = 1;
	good.disks[0].kind = WORKER_DISK_TEMP;
	assert_int_equal(load(), -EINVAL);
	good.disks[0].kind = WORKER_DISK_COW;
	assert_int_equal(load(), 0);
	assert_int_equal(out.disks[0].pmem, 1);
	good.disks[0].kind = WORKER_DISK_RAW;
	assert_int_equal(load(), 0);
}

static int load_disk(uint32_t kind, uint32_t pmem, uint32_t direct)
{
	(void)setup(NULL);
	good.disks[0].kind = kind;
	good.disks[0].pmem = pmem;
	good.disks[0].direct = direct;
	return load();
}

/* Descriptors for O_DIRECT, of what has a COW file and is no memory. */
static void direct_disks(void **state)
{
	(void)state;
	assert_int_equal(load_disk(WORKER_DISK_COW, 0, 2), 0);
	assert_int_equal(out.disks[0].direct, 2);
	assert_int_equal(load_disk(WORKER_DISK_TEMP, 0, 1), 0);
	assert_int_equal(load_disk(WORKER_DISK_COW, 0, 3), -EINVAL);
	assert_int_equal(load_disk(WORKER_DISK_RAW, 0, 1), -EINVAL);
	assert_int_equal(load_disk(WORKER_DISK_COW, 1, 1), -EINVAL);
}

static void memory(void **state)
{
	(void)state;
	REFUSED(ram_bytes, 0);
	REFUSED(ram_bytes, VM_MIN_MEMORY - PAGE_BYTES);
	REFUSED(ram_bytes, MIB(256) + 1);
	REFUSED(ram_bytes, VM_MAX_MEMORY + PAGE_BYTES);
	REFUSED(ram_bytes, UINT64_MAX);
	TAKEN(ram_bytes, VM_MIN_MEMORY);
}

static void boot(void **state)
{
	(void)state;
	REFUSED(boot.nr_extents, BOOT_MAX_EXTENTS + 1);
	REFUSED(boot.nr_extents, UINT32_MAX);
	REFUSED(boot.hdr_bytes, BOOT_HDR_MAX + 1);
	TAKEN(boot.entry_kind, BOOT_LINUX64);
	TAKEN(boot.entry_kind, BOOT_LINUX32);
	REFUSED(boot.entry_kind, (enum boot_entry)7);
}

static void make_wide(void)
{
	(void)setup(NULL);
	good.wide.nr_nodes = 2;
	good.wide.vcpu_node[1] = 1;
	good.wide.node_cpus[0] = WORKER_WIDE_CPUS - 1;
	good.wide.node_cpus[1] = 1;
}

static void virtual_nodes(void **state)
{
	(void)state;
	make_wide();
	assert_int_equal(load(), 0);
	good.wide.nr_nodes = 1;
	assert_int_equal(load(), -EINVAL);
	good.wide.nr_nodes = 3; /* of two vCPUs */
	assert_int_equal(load(), -EINVAL);
	good.wide.nr_nodes = UINT32_MAX;
	assert_int_equal(load(), -EINVAL);
	make_wide();
	good.wide.vcpu_node[1] = 2;
	assert_int_equal(load(), -EINVAL);
	make_wide();
	good.wide.node_cpus[1] = 2;
	assert_int_equal(load(), -EINVAL);
	make_wide();
	good.strict = 1;
	assert_int_equal(load(), -EINVAL);
	good.wide.nr_nodes = 0;
	assert_int_equal(load(), 0);
}

static void views_of_virtual_nodes(void **state)
{
	(void)state;
	make_wide();
	good.wide.views = 1;
	assert_int_equal(load(), 0);
	good.wide.copies_bytes = MIB(1);
	assert_int_equal(load(), 0);
	good.wide.views = 0;
	assert_int_equal(load(), -EINVAL);
	good.wide.views = 1;
	good.wide.copies_bytes++;
	assert_int_equal(load(), -EINVAL);
	good.wide.copies_bytes = 0;
	good.nr_vcpus = VM_MAX_VIEWS + 1;
	good.wide.nr_nodes = VM_MAX_VIEWS;
	assert_int_equal(load(), 0);
	good.wide.nr_nodes = VM_MAX_VIEWS + 1;
	assert_int_equal(load(), -EINVAL);
	good.wide.nr_nodes = 0;
	assert_int_equal(load(), -EINVAL);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(good_one),   T(of_another_build), T(strings_without_end),
		T(counts),     T(memory),	    T(boot),
		T(pmem_disks), T(direct_disks),	    T(virtual_nodes),
		T(pmem_disks), T(direct_disks),	    T(views_of_virtual_nodes),
	};

	return cmocka_run_group_tests_name("spec", tests, NULL, NULL);
}
