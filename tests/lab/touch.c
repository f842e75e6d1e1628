/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * touch - in a lab of lab/run --flash: pages of node 1 are read once by a CPU of
 * node 0, line by line, and then written by a CPU of node 1. The counters have
 * to say exactly that: of each page, one miss per line, by that node, of that
 * kind, and of the CPU that was used as many remote ones at least.
 *
 * Exit status: 0; 1 with a line for each count that is wrong; 77 no window.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/pagemap.h"
#include "numa/bind.h"
#include "numa/flash.h"
#include "tests/lab/run_on_node.h"

#define PAGES 64u
#define LINE  64u
#define HOME  1

static struct flash flash;
static volatile char *memory;
static uint64_t frames[PAGES];
static int wrong;

static void expect(const char *what, uint64_t have, uint64_t least,
		   uint64_t most)
{
	if (have >= least && have <= most)
		return;
	printf("%s: %" PRIu64 ", not %" PRIu64 " to %" PRIu64 "\n", what, have,
	       least, most);
	wrong = 1;
}

static void need(int status, const char *what)
{
	if (!status)
		return;
	fprintf(stderr, "touch: %s: %s\n", what, strerror(-status));
	exit(1);
}

static void find_frames(void)
{
	uint64_t entry, first = (uint64_t)(uintptr_t)memory / PAGE_BYTES;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	for (unsigned i = 0; i < PAGES; i++) {
		if (pread(fd, &entry, sizeof(entry),
			  (off_t)((first + i) * sizeof(entry))) !=
			    (ssize_t)sizeof(entry) ||
		    !(entry & PM_PRESENT))
			need(-errno, "pagemap");
		frames[i] = entry & ((1ull << 55) - 1);
		expect("home", (uint64_t)flash_node_of_frame(&flash, frames[i]),
		       HOME, HOME);
	}
	(void)close(fd);
}

/* Each line once; what @cpu has counted, and each page's counts. */
static void pass(int node, enum flash_rw rw, const char *what)
{
	unsigned cpu = run_on_node(&flash, node), lines = PAGE_BYTES / LINE;
	struct flash_counts c;
	char name[64];

	need(flash_reset(&flash), "reset");
	flash_on(&flash, true);
	for (unsigned i = 0; i < PAGES * lines; i++) {
		if (rw == FLASH_READ)
			(void)memory[i * LINE];
		else
			memory[i * LINE] = 1;
	}
	flash_on(&flash, false);
	(void)memory[0]; /* this CPU notices that it is off */
	flash_read_cpu(&flash, cpu, FLASH_NOW, &c);
	for (unsigned i = 0; i < PAGES; i++)
		for (unsigned n = 0; n < flash.nr_nodes; n++)
			for (unsigned kind = 0; kind < FLASH_NR_RW; kind++) {
				uint64_t want = (int)n == node && kind == rw
							? lines
							: 0;

				(void)snprintf(name, sizeof(name),
					       "%s: page %u, node %u, %s", what,
					       i, n, kind ? "write" : "read");
				expect(name,
				       flash_page(&flash, frames[i], n, kind),
				       want, want);
			}
	expect(what, c.misses[HOME][rw], PAGES * lines, 20 * PAGES * lines);
	expect("instructions", c.instructions, 2 * PAGES * lines, UINT64_MAX);
	printf("%s: cpu %d: %" PRIu64 " instructions, %" PRIu64
	       " accesses, misses at home %" PRIu64 " of %u\n",
	       what, flash_number_of_cpu(&flash, cpu), c.instructions,
	       c.accesses, c.misses[HOME][rw], PAGES * lines);
}

int main(void)
{
	struct diag d = { 0 };

	if (flash_open(&flash, NULL, &d)) {
		fprintf(stderr, "touch: %s\n", d.text);
		return 77;
	}
	need(flash_map_nodes(&flash, &d), "nodes");
	memory = mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		need(-errno, "mmap");
	need(node_bind_memory((void *)(uintptr_t)memory, PAGES * PAGE_BYTES,
			      HOME, true),
	     "node_bind_memory");
	for (unsigned i = 0; i < PAGES; i++)
		memory[i * PAGE_BYTES] = 1;
	find_frames();
	pass(0, FLASH_READ, "read from node 0");
	pass(1, FLASH_WRITE, "written from node 1");
	return wrong;
}
