/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/disk_locks.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/worker_spec.h"

#define LOOK_NS 1000000 /* between two looks at the locks */

/*
 * A line is "lock: 1: OFDLCK  ADVISORY  READ -1 fd:01:1234 FIRST LAST".
 * Return: the byte of a description's own; 0: it has none.
 */
static uint64_t line_id(const char *line)
{
	unsigned long long first, last;

	if (sscanf(line, "lock: %*d: OFDLCK %*s READ %*d %*s %llu %llu", &first,
		   &last) != 2 ||
	    first < DISK_LOCK_ID || first != last)
		return 0;
	return first;
}

/* Return: 0, *id 0 if the file has no lock of ours; -1: no such descriptor. */
static int lock_id_of(pid_t pid, int number, uint64_t *id)
{
	char path[64], *line = NULL;
	size_t size = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid,
		       number);
	f = fopen(path, "re");
	if (!f)
		return -1;
	*id = 0;
	while (!*id && getline(&line, &size, f) > 0)
		*id = line_id(line);
	free(line);
	(void)fclose(f);
	return 0;
}

void disk_locks_open(struct disk_locks *l, pid_t pid, int first)
{
	uint64_t id = 0;

	l->nr = 0;
	for (int i = first; i < first + WORKER_MAX_DISK_FDS; i++) {
		char path[64];
		int fd;

		if (l->nr == DISK_LOCKS_MAX || lock_id_of(pid, i, &id))
			return;
		if (!id)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid,
			       i);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			continue;
		l->list[l->nr].fd = fd;
		l->list[l->nr++].at = id;
	}
}

bool disk_locks_held(const struct disk_locks *l)
{
	for (unsigned i = 0; i < l->nr; i++) {
		struct flock fl = { .l_type = F_WRLCK,
				    .l_whence = SEEK_SET,
				    .l_start = (off_t)l->list[i].at,
				    .l_len = 1 };

		if (fcntl(l->list[i].fd, F_OFD_GETLK, &fl) == 0 &&
		    fl.l_type != F_UNLCK)
			return true;
	}
	return false;
}

bool disk_locks_wait(const struct disk_locks *l, uint64_t limit_ns)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t end = clock_now_ns() + limit_ns;

	while (disk_locks_held(l)) {
		if (clock_now_ns() >= end)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

void disk_locks_close(struct disk_locks *l)
{
	while (l && l->nr)
		(void)close(l->list[--l->nr].fd);
}
