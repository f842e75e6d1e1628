/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A file that processes map and share: of one machine, or of guests with a file
 * system on one segment (DAX). For programs that are compiled in a guest by tcc,
 * whose Debian 12 version has no <stdatomic.h>: what several processes change is
 * volatile, and added to by one locked instruction.
 */
#ifndef BENCH_GUEST_SHARED_H
#define BENCH_GUEST_SHARED_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHARED_PAGE   4096u
#define SHARED_WAIT_S 280 /* for other processes; less than a console's time */

/* Return: what it was before. Orders all accesses, as each lock prefix does. */
static inline unsigned long shared_add(volatile unsigned long *at,
				       unsigned long n)
{
	__asm__ __volatile__("lock; xaddq %0, %1"
			     : "+r"(n), "+m"(*at)
			     :
			     : "memory");
	return n;
}

/* SplitMix64. */
static inline unsigned long shared_mix(unsigned long x)
{
	x += 0x9e3779b97f4a7c15ul;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ul;
	x = (x ^ x >> 27) * 0x94d049bb133111ebul;
	return x ^ x >> 31;
}

/*
 * Make a file of zeroes. They are written, so that its blocks are there for good:
 * no other machine that has mounted the file system may see them change.
 * Return: 0; -1: errno says why.
 */
static inline int shared_make(const char *path, size_t bytes)
{
	static const char zeroes[65536];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0666);

	if (fd < 0)
		return -1;
	for (size_t n = 0; n < bytes;) {
		size_t most = bytes - n < sizeof(zeroes) ? bytes - n
							 : sizeof(zeroes);
		ssize_t got = write(fd, zeroes, most);

		if (got <= 0) {
			close(fd);
			return -1;
		}
		n += (size_t)got;
	}
	return close(fd);
}

/* Map all of a file. Return: NULL: errno says why. */
static inline void *shared_map(const char *path, int writes, size_t *bytes)
{
	int fd = open(path, writes ? O_RDWR : O_RDONLY);
	struct stat st;
	void *at;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) || st.st_size < SHARED_PAGE) {
		close(fd);
		return NULL;
	}
	*bytes = (size_t)st.st_size;
	at = mmap(NULL, *bytes, writes ? PROT_READ | PROT_WRITE : PROT_READ,
		  MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

/*
 * All of @nr processes have come @times times: each of them adds 1 each time.
 * Sleeps between looks, as to spin would be work that is measured.
 * Return: 0; -1: the others are late.
 */
static inline int shared_meet(volatile unsigned long *count, unsigned nr,
			      unsigned times)
{
	unsigned long want = (unsigned long)nr * times;
	const struct timespec rest = { 0, 1000000 };
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	shared_add(count, 1);
	while (*count < want) {
		nanosleep(&rest, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > SHARED_WAIT_S)
			return -1;
	}
	return 0;
}

/*
 * Run work(arg, i) in a process each, i from 0 to @nr - 1.
 * Return: whether all of them have returned 0.
 */
static inline int shared_fork(unsigned nr, int (*work)(void *arg, unsigned i),
			      void *arg)
{
	int good = 1, status;

	fflush(stdout);
	for (unsigned i = 0; i < nr; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(work(arg, i) ? 1 : 0);
		good = good && pid > 0;
	}
	while (wait(&status) > 0)
		good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return good;
}

#endif
