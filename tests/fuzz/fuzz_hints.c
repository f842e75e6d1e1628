/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that writes anything to the device for hints: registers, the ring's
 * tail and entries, the BAR's place, memory that it may only read. Checked: what
 * is acted upon is RAM of the guest, in steps; the host's own page has what the
 * host has written; time spent is bounded by the time that passes; and what the
 * sanitizers see.
 */
#include <string.h>

#include "monitor/dev/platform/hints_pci.h"
#include "monitor/dev/platform/layout.h"
#include "tests/fuzz/bytes.h"
#include "tests/unit/virtio/fake_host.h"

#define RAM_PAGES 4096u
#define MAX_OPS	  400u
#define SLOT	  1u
#define CALLBACKS 4000u /* of one run of the loop: more spins */

static struct fake_host h;
static struct hints_pci dev;
static struct hint_log hint_log;
static uint64_t now_ns, begun_ns, step_ns;
static bool frees;

static uint64_t fuzz_now(void *arg)
{
	(void)arg;
	now_ns += step_ns;
	return now_ns;
}

static bool fuzz_is_ram(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	return range_fits(page, pages, RAM_PAGES);
}

static void fuzz_check(uint64_t page, uint64_t pages)
{
	must(pages >= 1 && pages <= HINTS_STEP);
	must(range_fits(page, pages, RAM_PAGES));
}

static uint64_t fuzz_free(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	fuzz_check(page, pages);
	return frees ? pages : 0;
}

static void fuzz_act(void *arg, uint64_t page, uint64_t pages)
{
	(void)arg;
	fuzz_check(page, pages);
}

static const struct hints_ops ops = { .now_ns = fuzz_now,
				      .is_ram = fuzz_is_ram,
				      .free = fuzz_free,
				      .zero = fuzz_act,
				      .cold = fuzz_act,
				      .merge = fuzz_act };

static void make(struct bytes *b)
{
	const struct hints_config c = { .ops = &ops,
					.log = &hint_log,
					.nr_vcpus = 2 };

	fake_host_create(&h, MIB(1));
	memset(&dev, 0, sizeof(dev));
	memset(&hint_log, 0, sizeof(hint_log));
	now_ns = begun_ns = 1000;
	step_ns = 1 + take(b, 2) * 16;
	frees = take(b, 1) & 1;
	must(hints_pci_init(&dev, &h.host, &c) == 0);
	must(pci_add(&h.pci, &dev.pci) == 0);
	fake_config_write(&h, SLOT, 4, 2, 2);
	must(fake_host_run(&h) < CALLBACKS);
}

/* What the guest has mapped, wherever the BAR is. */
static void write_entry(struct bytes *b)
{
	struct hints_entry e = { 0 };
	uint32_t n = (uint32_t)take(b, 2) % HINTS_ENTRIES;

	(void)take_into(b, &e, sizeof(e));
	if (take(b, 1) & 3) { /* mostly one that may be right */
		e.kind %= HINTS_NR_KINDS;
		e.page %= RAM_PAGES + 16;
		e.pages %= 2 * HINTS_STEP;
		e.vcpu %= 4;
		e.zero = 0;
	}
	memcpy(dev.bar + HINTS_ENTRIES_AT + n * sizeof(e), &e, sizeof(e));
}

static void write_tail(struct bytes *b, bool any)
{
	uint32_t tail = any ? (uint32_t)take(b, 4)
			    : dev.hints.head + (uint32_t)take(b, 2) %
						       (HINTS_ENTRIES + 2);

	memcpy(dev.bar + HINTS_TAIL_AT, &tail, sizeof(tail));
}

static void check_records(void)
{
	uint64_t next = 0, lost = 0;
	struct hint_record r;

	while (hint_log_take(&hint_log, &next, &lost, &r)) {
		must(r.kind > HINTS_NONE && r.kind < HINTS_NR_KINDS);
		must(r.kind != HINTS_FREE && r.kind != HINTS_ZERO);
		must(range_fits(r.page, r.pages, RAM_PAGES) ||
		     r.kind == HINTS_PHASE_BEGIN || r.kind == HINTS_PHASE_END);
		must(r.kind != HINTS_PRIVATE || r.vcpu < 2);
	}
}

static void check(void)
{
	const struct hints_info *info = (void *)(dev.bar + HINTS_INFO_AT);
	const struct hints_counts *k = &dev.hints.counts;
	uint64_t earned = (now_ns - begun_ns) / HINTS_SHARE;
	uint64_t most = earned + HINTS_BURST_NS + HINTS_STEP * step_ns;

	must(info->magic == HINTS_MAGIC && info->nr_vcpus == 2);
	must(info->taken >= info->refused);
	/* Freeing that frees is not counted. */
	must(frees || k->spent_ns <= most);
	must(dev.shown == 0 || dev.shown % HINTS_BAR_BYTES == 0);
	check_records();
}

static void step(struct bytes *b)
{
	uint64_t base = dev.pci.bar_base;
	unsigned len;

	switch (take(b, 1) % 10) {
	case 0:
	case 1:
		write_entry(b);
		break;
	case 2:
		write_tail(b, true);
		break;
	case 3:
	case 4:
		write_tail(b, false);
		break;
	case 5:
		fake_mmio_write(&h, base + HINTS_REG_DOORBELL, 4, take(b, 4));
		break;
	case 6:
		fake_mmio_write(&h, base + HINTS_REG_RESET, 4, 1);
		break;
	case 7:
		len = 1u << take(b, 1) % 4;
		fake_mmio_write(&h, base + take(b, 3) % HINTS_BAR_BYTES, len,
				take(b, len));
		break;
	case 8:
		len = 1u << take(b, 1) % 3;
		fake_config_write(&h, SLOT, (unsigned)take(b, 1) & ~(len - 1),
				  len, (uint32_t)take(b, 4));
		break;
	default:
		now_ns += take(b, 4);
		hints_pci_tell_home(&dev, (nodeid_t)take(b, 1));
		must(fake_host_run(&h) < CALLBACKS);
	}
	check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };

	make(&b);
	for (unsigned i = 0; i < MAX_OPS && b.n; i++)
		step(&b);
	must(fake_host_run(&h) < CALLBACKS);
	check();
	hints_pci_destroy(&dev);
	fake_host_destroy(&h);
	return 0;
}
