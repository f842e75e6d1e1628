/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory above RAM; KVM is played by an ioctl() of our own. */
#include <errno.h>
#include <linux/kvm.h>

#include "monitor/worker/vm/vm.h"
#include "tests/unit/fake_ioctl.h"
#include "tests/unit/cowdisk/dax_bench.h"

#define VM_FD	  12345 /* and the numbers after it, of further views */
#define MAX_SLOTS 8
#define MAX_VMS	  2

/* --- KVM --- */

static struct {
	unsigned vms;
	struct kvm_userspace_memory_region slot[MAX_SLOTS];
	uint64_t dirty[MAX_VMS][MAX_SLOTS][64];
	unsigned gets;
	int refuse;	    /* errno of KVM_GET_DIRTY_LOG */
	unsigned refuse_vm; /* from this VM on */
} kvm;

/* In place of monitor/worker/views/kvms.c */
unsigned kvms_count(const struct kvms *k)
{
	(void)k;
	return kvm.vms;
}

int kvms_fd(const struct kvms *k, unsigned i)
{
	(void)k;
	return VM_FD + (int)i;
}

int kvms_set_slot(const struct kvms *k,
		  const struct kvm_userspace_memory_region *m)
{
	(void)k;
	assert_true(m->slot < MAX_SLOTS);
	/* A log goes with its slot. */
	for (unsigned i = 0; !m->memory_size && i < MAX_VMS; i++)
		memset(kvm.dirty[i][m->slot], 0, sizeof(kvm.dirty[0][0]));
	kvm.slot[m->slot] = *m;
	return 0;
}

static int get_log(unsigned vm, const struct kvm_dirty_log *l)
{
	const struct kvm_userspace_memory_region *m = &kvm.slot[l->slot];
	size_t bytes = align_up(m->memory_size / PAGE_BYTES, 64) / 8;

	kvm.gets++;
	if ((kvm.refuse && vm >= kvm.refuse_vm) || !m->memory_size ||
	    !(m->flags & KVM_MEM_LOG_DIRTY_PAGES)) {
		errno = kvm.refuse ? kvm.refuse : ENOENT;
		return -1;
	}
	memcpy(l->dirty_bitmap, kvm.dirty[vm][l->slot], bytes);
	memset(kvm.dirty[vm][l->slot], 0, bytes);
	return 0;
}

int fake_ioctl(int fd, unsigned long request, void *arg)
{
	assert_in_range(fd, VM_FD, VM_FD + (int)kvm.vms - 1);
	assert_int_equal(request, KVM_GET_DIRTY_LOG);
	return get_log((unsigned)(fd - VM_FD), arg);
}

static struct kvms kvms;
static struct ram_view ram;
static struct vm_regions all;
static struct vm_region regions[3];

static int setup(void **state)
{
	(void)state;
	memset(&ram, 0, sizeof(ram));
	memset(&kvm, 0, sizeof(kvm));
	memset(regions, 0, sizeof(regions));
	kvm.vms = 1;
	ram.nr_slots = 1;
	ram.slots[0].bytes = MIB(256);
	regions_init(&all, &kvms, &ram, 36);
	return 0;
}

/* --- where --- */

static struct ram_view ram_of(uint64_t bytes)
{
	struct ram_view v = { .nr_slots = 1 };

	v.slots[0].bytes = min_u64(bytes, RAM_LOW_END);
	if (bytes > RAM_LOW_END) {
		v.nr_slots = 2;
		v.slots[1].gpa = RAM_HIGH_START;
		v.slots[1].bytes = bytes - RAM_LOW_END;
	}
	return v;
}

static void places(void **state)
{
	static const struct {
		uint64_t ram, bytes;
		unsigned bits;
		uint64_t at; /* 0: none */
	} cases[] = {
		{ MIB(1), MIB(2), 40, GIB(4) },
		{ GIB(3), MIB(2), 40, GIB(4) },
		{ GIB(3) + 4096, MIB(2), 40, GIB(4) + MIB(128) },
		{ GIB(4), MIB(2), 40, GIB(5) },
		{ GIB(4) + MIB(130), MIB(2), 40, GIB(5) + MIB(256) },
		{ GIB(1024), GIB(1), 40, 0 },
		{ GIB(1024), GIB(1), 41, GIB(1025) },
		{ MIB(64), GIB(60), 36, GIB(4) }, /* up to the last byte */
		{ MIB(64), GIB(60) + MIB(2), 36, 0 },
		{ MIB(64), MIB(2), 32, 0 },
		{ MIB(64), GIB(16384), 200, GIB(4) }, /* no such width */
		{ MIB(64), GIB(4194304), 200, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ram_view v = ram_of(cases[i].ram);
		uint64_t at = 0;
		int err = region_place(&v, cases[i].bits, cases[i].bytes, &at);

		assert_int_equal(err, cases[i].at ? 0 : -EADDRNOTAVAIL);
		assert_int_equal(at, cases[i].at);
	}
}

static void one_after_the_other(void **state)
{
	struct ram_view v = ram_of(MIB(64));
	struct ram_window w[RAM_MAX_WINDOWS] = { 0 };
	uint64_t at = 0, want = GIB(4);

	(void)state;
	for (unsigned i = 0; i < RAM_MAX_WINDOWS; i++) {
		w[i].bytes = MIB(126) + MIB(2) * i;
		assert_int_equal(region_place(&v, 40, w[i].bytes, &w[i].gpa),
				 0);
		assert_int_equal(w[i].gpa, want);
		want = align_up(want + w[i].bytes, MIB(128));
		v.windows[v.nr_windows++] = &w[i];
	}
	assert_int_equal(region_place(&v, 40, MIB(2), &at), -EADDRNOTAVAIL);
}

static void the_width_is_what_cpuid_says(void **state)
{
	struct cpuid_table t = { .head.nent = 2 };

	(void)state;
	assert_int_equal(cpuid_phys_bits(&t), 36);
	t.entries[1].function = 0x80000008;
	t.entries[1].eax = 0x3028;
	assert_int_equal(cpuid_phys_bits(&t), 40);
	t.head.nent = 1;
	assert_int_equal(cpuid_phys_bits(&t), 36);
}

/* --- KVM's slots --- */

static void slots_are_given_and_taken(void **state)
{
	struct dax_bench *a = dax_bench_make(MIB(2) + 512, false, true);
	struct dax_bench *b = dax_bench_make(MIB(1), true, true);
	struct ram_window *w = dax_window(a->dax);

	(void)state;
	assert_int_equal(region_add(&all, &regions[0], a->dax, true, false), 0);
	assert_int_equal(region_add(&all, &regions[1], b->dax, false, true), 0);
	assert_int_equal(w->gpa, GIB(4));
	assert_int_equal(dax_window(b->dax)->gpa, GIB(4) + MIB(128));
	assert_ptr_equal(ram.windows[0], w);
	assert_int_equal(kvm.slot[2].guest_phys_addr, GIB(4));
	assert_int_equal(kvm.slot[2].memory_size, MIB(4));
	assert_int_equal(kvm.slot[2].userspace_addr, (uintptr_t)w->hva);
	assert_int_equal(kvm.slot[2].flags, KVM_MEM_READONLY);
	assert_int_equal(kvm.slot[3].flags, KVM_MEM_LOG_DIRTY_PAGES);
	assert_int_equal(regions_set(&all, false), 0);
	assert_int_equal(kvm.slot[2].memory_size, 0);
	assert_int_equal(kvm.slot[3].memory_size, 0);
	assert_int_equal(regions_set(&all, true), 0);
	assert_int_equal(kvm.slot[2].memory_size, MIB(4));
	assert_int_equal(kvm.slot[3].memory_size, MIB(2));
	assert_int_equal(kvm.slot[3].guest_phys_addr, GIB(4) + MIB(128));
	assert_int_equal(kvm.gets, 1); /* of the one that has a log */
	dax_bench_destroy(a);
	dax_bench_destroy(b);
}

/* What the log of a slot said is flushed after the slot was made anew. */
static void a_log_outlives_its_slot(void **state)
{
	struct dax_bench *b = dax_bench_make(MIB(4), true, true);
	uint64_t bits[16] = { 0 };

	(void)state;
	assert_int_equal(region_add(&all, &regions[0], b->dax, false, true), 0);
	kvm.dirty[0][2][0] = 1u << 3;
	assert_int_equal(regions_set(&all, false), 0);
	assert_int_equal(regions_set(&all, true), 0);
	kvm.dirty[0][2][15] = 1ull << 63;
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 2);
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 2);
	/* Bits are added to what is there. */
	bits[0] = 1;
	kvm.dirty[0][2][0] = 2;
	assert_int_equal(regions[0].log.take(&regions[0].log, bits), 0);
	assert_int_equal(bits[0], 3);
	dax_bench_destroy(b);
}

static void a_log_that_cannot_be_read(void **state)
{
	struct dax_bench *b = dax_bench_make(MIB(4), true, true);

	(void)state;
	assert_int_equal(region_add(&all, &regions[0], b->dax, false, true), 0);
	kvm.dirty[0][2][0] = 1;
	kvm.refuse = ENOMEM;
	assert_int_equal(dax_flush_now(b), -ENOMEM);
	assert_int_equal(regions_set(&all, false), -ENOMEM);
	assert_int_equal(kvm.slot[2].memory_size, MIB(4)); /* still there */
	kvm.refuse = 0;
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 1);
	dax_bench_destroy(b);
}

/* What vCPUs of several views have written is one log. */
static void logs_of_views_are_united(void **state)
{
	struct dax_bench *b = dax_bench_make(MIB(4), true, true);

	(void)state;
	kvm.vms = 2;
	assert_int_equal(region_add(&all, &regions[0], b->dax, false, true), 0);
	kvm.dirty[0][2][0] = 1u << 3 | 1u << 4;
	kvm.dirty[1][2][0] = 1u << 4 | 1u << 5;
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(kvm.gets, 2);
	assert_int_equal(dax_written(b), 3);
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 3);
	/* Slots that are made anew. */
	kvm.dirty[0][2][1] = 1;
	kvm.dirty[1][2][2] = 1;
	assert_int_equal(regions_set(&all, false), 0);
	assert_int_equal(regions_set(&all, true), 0);
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 5);
	dax_bench_destroy(b);
}

/* What was read of the first view comes with the next flush. */
static void no_bit_of_a_view_is_lost(void **state)
{
	struct dax_bench *b = dax_bench_make(MIB(4), true, true);

	(void)state;
	kvm.vms = 2;
	assert_int_equal(region_add(&all, &regions[0], b->dax, false, true), 0);
	kvm.dirty[0][2][0] = 1;
	kvm.dirty[1][2][0] = 2;
	kvm.refuse = ENOMEM;
	kvm.refuse_vm = 1;
	assert_int_equal(dax_flush_now(b), -ENOMEM);
	kvm.refuse = 0;
	assert_int_equal(dax_flush_now(b), 0);
	assert_int_equal(dax_written(b), 2);
	dax_bench_destroy(b);
}

static void no_place_no_slot(void **state)
{
	struct dax_bench *b = dax_bench_make(MIB(4), true, true);

	(void)state;
	ram = ram_of(GIB(1024));
	assert_int_equal(region_add(&all, &regions[0], b->dax, false, true),
			 -EADDRNOTAVAIL);
	assert_int_equal(all.nr, 0);
	assert_int_equal(ram.nr_windows, 0);
	assert_int_equal(kvm.slot[2].memory_size, 0);
	dax_bench_destroy(b);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(places),
		T(one_after_the_other),
		T(the_width_is_what_cpuid_says),
		T(slots_are_given_and_taken),
		T(a_log_outlives_its_slot),
		T(a_log_that_cannot_be_read),
		T(logs_of_views_are_united),
		T(no_bit_of_a_view_is_lost),
		T(no_place_no_slot),
	};

	return cmocka_run_group_tests_name("regions", tests, NULL, NULL);
}
