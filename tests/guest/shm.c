/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A shared segment, of "guests=N" guests alike: in each of "rounds=N" rounds one
 * of them, in turns, writes a word of each of "pages=N" pages; then all of them
 * read all of these words, over and over for "reads=N" times. The first page is
 * for their barriers. A word that is not the round's is a stale one.
 */
#include "virtio.h"

#define PAGE	4096ul
#define PATTERN 0x9e3779b97f4a7c15ul

const char guest_name[] = "shm";

struct control {
	uint64_t guests;  /* that have come */
	uint64_t arrived; /* at barriers, in total */
};

static volatile struct control *control;
static uint64_t guests, pages, passed;

static uint64_t add(volatile uint64_t *at, uint64_t by)
{
	__asm__ volatile("lock xaddq %0, %1"
			 : "+r"(by), "+m"(*at)
			 :
			 : "memory");
	return by;
}

/* All have come here @passed times. */
static void barrier(void)
{
	passed++;
	(void)add(&control->arrived, 1);
	while (control->arrived < passed * guests)
		__asm__ volatile("pause" : : : "memory");
}

static void write_round(uint64_t base, uint64_t round)
{
	for (uint64_t i = 1; i <= pages; i++)
		write64(base + i * PAGE + 8 * (i % 512), round * PATTERN + i);
}

static void read_round(uint64_t base, uint64_t round)
{
	for (uint64_t i = 1; i <= pages; i++) {
		uint64_t v = read64(base + i * PAGE + 8 * (i % 512));

		REQUIRE(v == round * PATTERN + i,
			"round %lu: page %lu reads %lx", round, i, v);
	}
}

void main(const struct hvm_start_info *info)
{
	const char *line = (const char *)info->cmdline;
	uint64_t rounds = number_of(line, "rounds=");
	uint64_t reads = number_of(line, "reads="), base, me;

	guests = number_of(line, "guests=");
	pages = number_of(line, "pages=");
	REQUIRE(virtio_find(0, VIRTIO_PMEM) < VIRTIO_SLOTS, "no pmem device");
	base = read64(virtio_bar + VIRTIO_DEVICE);
	REQUIRE(read64(virtio_bar + VIRTIO_DEVICE + 8) > pages * PAGE,
		"%lx bytes", read64(virtio_bar + VIRTIO_DEVICE + 8));
	control = (volatile struct control *)base;
	me = add(&control->guests, 1);
	for (uint64_t r = 1; r <= rounds; r++) {
		barrier();
		if (r % guests == me)
			write_round(base, r);
		barrier();
		for (uint64_t i = 0; i < reads; i++)
			read_round(base, r);
	}
	barrier();
	print("guest %lu has seen %lu rounds\n", me, rounds);
}
