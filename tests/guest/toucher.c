/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Touches 2048 pages of RAM over and over, for ever: counts in each, and each has
 * to have the count of before. Says so now and then. With "sti" on its command
 * line interrupts are enabled, though none comes: so KVM may let the guest's CPU
 * rest while a page is absent (asynchronous page faults), as it does with a Linux
 * guest. With "still" it writes in the first round alone: then all such guests have
 * equal pages.
 */
#include "guest.h"

#define FIRST  (32ul << 20)
#define PAGES  2048ul
#define PAGE   4096ul
#define ROUNDS 64 /* between two lines */

const char guest_name[] = "toucher";

void main(const struct hvm_start_info *info)
{
	bool still = contains((const char *)info->cmdline, "still");
	bool sti = !still && contains((const char *)info->cmdline, "sti");

	print("ON %s\n", sti ? "sti" : "cli");
	if (sti)
		__asm__ volatile("sti");
	for (uint64_t round = 0;; round++) {
		if (round % ROUNDS == 0)
			print("round %lx\n", round);
		for (uint64_t i = 0; i < PAGES; i++) {
			uint64_t at = FIRST + i * PAGE, was = read64(at);

			uint64_t wrote = still ? round > 0 : round;

			REQUIRE(was == wrote * (i + 1), "page %lx has %lx", i,
				was);
			if (!still || !round)
				write64(at, (round + 1) * (i + 1));
		}
	}
}
