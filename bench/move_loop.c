/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bare loop that bench-move compares with: a child that has touched PAGES
 * shared pages of a memfd on node FROM is moved to node TO by move_pages(2),
 * BATCH pages a call, and nothing else. Prints pages that are on TO, and
 * nanoseconds of the loop.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/clock.h"
#include "numa/bind.h"

#define BATCH 512u

static uint64_t move_all(pid_t pid, char *p, size_t nr, int to)
{
	static int nodes[BATCH], status[BATCH];
	static void *pages[BATCH];
	uint64_t there = 0;

	for (size_t i = 0; i < BATCH; i++)
		nodes[i] = to;
	for (size_t at = 0; at < nr; at += BATCH) {
		size_t n = nr - at < BATCH ? nr - at : BATCH;

		for (size_t i = 0; i < n; i++)
			pages[i] = p + (at + i) * PAGE_BYTES;
		if (syscall(SYS_move_pages, pid, n, pages, nodes, status,
			    MPOL_MF_MOVE) < 0)
			return 0;
		for (size_t i = 0; i < n; i++)
			there += status[i] == to;
	}
	return there;
}

int main(int argc, char **argv)
{
	size_t nr = argc == 4 ? strtoul(argv[1], NULL, 10) : 0;
	int from = nr ? atoi(argv[2]) : 0, to = nr ? atoi(argv[3]) : 0;
	int fd = memfd_create("bench", MFD_CLOEXEC);
	uint64_t start, ns, there;
	pid_t pid;
	char *p;

	if (!nr || fd < 0 || ftruncate(fd, (off_t)(nr * PAGE_BYTES)) < 0)
		return EXIT_FAILURE;
	p = mmap(NULL, nr * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 0);
	if (p == MAP_FAILED || node_bind_memory(p, nr * PAGE_BYTES, from, true))
		return EXIT_FAILURE;
	pid = fork();
	if (pid == 0) {
		memset(p, 1, nr * PAGE_BYTES);
		(void)raise(SIGSTOP);
		_exit(0);
	}
	if (waitpid(pid, NULL, WUNTRACED) != pid)
		return EXIT_FAILURE;
	start = clock_now_ns();
	there = move_all(pid, p, nr, to);
	ns = clock_now_ns() - start;
	(void)kill(pid, SIGKILL);
	printf("%llu %llu\n", (unsigned long long)there,
	       (unsigned long long)ns);
	return there ? EXIT_SUCCESS : EXIT_FAILURE;
}
