/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks that are memory: which fit, and the largest size of those that do not. */
#include <errno.h>
#include <string.h>

#include "memory/guest_ram.h"
#include "monitor/control/launch/pmem_fit.h"
#include "tests/unit/support.h"

static struct worker_spec spec;
static struct vm_config vm = { .name = "vm" };
static struct diag d;

static int fit(uint64_t ram, unsigned bits)
{
	spec.ram_bytes = ram;
	d = (struct diag){ .status = ST_OK };
	return pmem_fit(&vm, &spec, bits, &d);
}

static void set_disks(unsigned nr, uint64_t bytes, bool pmem)
{
	static char path[] = "/disk";

	memset(&spec, 0, sizeof(spec));
	spec.nr_disks = nr;
	for (unsigned i = 0; i < nr; i++) {
		spec.disks[i].bytes = bytes;
		spec.disks[i].pmem = pmem;
		vm.disks[i].path = path;
	}
}

static void refused(uint64_t ram, unsigned bits, const char *text)
{
	assert_int_equal(fit(ram, bits), -ERANGE);
	assert_int_equal(d.status, ST_CONFIG);
	if (!strstr(d.text, text))
		fail_msg("no '%s' in: %s", text, d.text);
}

static void a_slot_of_kvm_has_a_largest_size(void **state)
{
	(void)state;
	set_disks(1, PMEM_MAX_BYTES, true);
	assert_int_equal(fit(MIB(64), 46), 0);
	set_disks(1, PMEM_MAX_BYTES + 512, true);
	refused(MIB(64), 46,
		"vm: disk /disk: as memory (pmem) it can have at most "
		"8388606 MiB here, not ");
	set_disks(1, GIB(8192), true);
	refused(MIB(64), 52, "at most 8388606 MiB here, not 8 TiB");
	set_disks(1, GIB(16384), false); /* a block device */
	assert_int_equal(fit(MIB(64), 46), 0);
}

/* What is said to fit does, and not a sector more. */
static void addresses_have_a_width(void **state)
{
	(void)state;
	set_disks(1, GIB(512) - GIB(4), true);
	assert_int_equal(fit(MIB(64), 39), 0);
	assert_int_equal(fit(GIB(3), 39), 0);
	refused(GIB(3) + PAGE_BYTES, 39, "at most 520064 MiB here");
	set_disks(1, MIB(520064), true);
	assert_int_equal(fit(GIB(3) + PAGE_BYTES, 39), 0);
	set_disks(1, MIB(520064) + 512, true);
	refused(GIB(3) + PAGE_BYTES, 39, "at most 520064 MiB here");
	set_disks(1, 512, true);
	refused(GIB(512), 39, "at most 0 B here");
	refused(GIB(1024), 39, "at most 0 B here");
}

static void disks_take_room_from_each_other(void **state)
{
	(void)state;
	set_disks(4, GIB(127) - MIB(1), true);
	assert_int_equal(fit(MIB(64), 39), 0);
	spec.disks[3].bytes = GIB(127) + 512;
	refused(MIB(64), 39, "at most 127 GiB here");
	spec.disks[1].pmem = 0;
	assert_int_equal(fit(MIB(64), 39), 0);
}

static void this_machine_has_a_width(void **state)
{
	unsigned bits = pmem_phys_bits();

	(void)state;
	assert_true(bits >= 32 && bits <= 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slot_of_kvm_has_a_largest_size),
		cmocka_unit_test(addresses_have_a_width),
		cmocka_unit_test(disks_take_room_from_each_other),
		cmocka_unit_test(this_machine_has_a_width),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
