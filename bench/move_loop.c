/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bare loop that bench-move compares with: the guest memory of worker PID
 * that is on node FROM is moved to node TO by move_pages(2), BATCH pages a
 * call, and nothing else. Prints pages that are on TO then, and nanoseconds
 * of the loop.
 */
#include <errno.h>
#include <numaif.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/workers/move_map.h"

#define BATCH	  512u
#define MAX_PAGES (1u << 20)

static void *pages[MAX_PAGES];
static int nodes[BATCH], status[BATCH];

/* @to: NODE_AUTO asks where they are. Return: 0 or -errno. */
static int call(pid_t pid, size_t at, size_t n, int to)
{
	for (size_t i = 0; i < n; i++)
		nodes[i] = to;
	if (move_pages(pid, n, pages + at, to < 0 ? NULL : nodes, status,
		       MPOL_MF_MOVE) < 0)
		return -errno;
	return 0;
}

static size_t batch(size_t at, size_t nr)
{
	return nr - at < BATCH ? nr - at : BATCH;
}

/*
 * Every page that an agent pulls first: guest memory, and a few of figures.
 * Return: how many; 0: no such worker.
 */
static size_t list(pid_t pid)
{
	FILE *maps = move_map_open(pid);
	struct agent_range r;
	char line[512];
	size_t nr = 0;

	while (maps && fgets(line, sizeof(line), maps)) {
		if (!move_map_line(line, AGENT_FILE, &r))
			continue;
		for (uint64_t i = 0; i < r.bytes && nr < MAX_PAGES;
		     i += PAGE_BYTES)
			pages[nr++] = (void *)(uintptr_t)(r.start + i);
	}
	if (maps)
		(void)fclose(maps);
	return nr;
}

/* Those that are on @node, or -errno. Keeps them and forgets the others. */
static int on_node(pid_t pid, size_t *nr, int node)
{
	size_t kept = 0;

	for (size_t at = 0, n; at < *nr; at += n) {
		int err;

		n = batch(at, *nr);
		err = call(pid, at, n, NODE_AUTO);
		if (err)
			return err;
		for (size_t i = 0; i < n; i++)
			if (status[i] == node)
				pages[kept++] = pages[at + i];
	}
	*nr = kept;
	return 0;
}

int main(int argc, char **argv)
{
	pid_t pid = argc == 4 ? atoi(argv[1]) : 0;
	int from = pid ? atoi(argv[2]) : 0, to = pid ? atoi(argv[3]) : 0;
	size_t nr = pid > 0 ? list(pid) : 0;
	int err = nr ? on_node(pid, &nr, from) : -ESRCH;
	uint64_t start, ns;

	start = clock_now_ns();
	for (size_t at = 0; !err && at < nr; at += BATCH)
		err = call(pid, at, batch(at, nr), to);
	ns = clock_now_ns() - start;
	if (!err)
		err = on_node(pid, &nr, to);
	if (err) {
		(void)fprintf(stderr, "move_loop: pid %d: %s\n", pid,
			      strerror(-err));
		return EXIT_FAILURE;
	}
	printf("%zu %llu\n", nr, (unsigned long long)ns);
	return nr ? EXIT_SUCCESS : EXIT_FAILURE;
}
