/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every access to memory that processes share goes through these operations,
 * one word per access, so that a test can interpose itself between the
 * algorithm and the memory.
 *
 * Normally they are the C11 operations and two system calls. With DISCO_MODEL
 * defined, each is a function that the test provides (tests/model).
 */
#ifndef DISCO_NUMA_ATOMIC_OPS_H
#define DISCO_NUMA_ATOMIC_OPS_H

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "disco/base.h"

#ifdef DISCO_MODEL

/* For 4-byte words too: the file is compiled without -Wconversion. */
uint64_t model_load(const void *p, memory_order order);
void model_store(const void *p, uint64_t v, memory_order order);
void model_fence(memory_order order);
/* The copies are not atomic: the test looks for races in them. */
void model_copy_in(void *shared, const void *from, size_t bytes);
void model_copy_out(void *to, const void *shared, size_t bytes);
/* Whole words; they are 0 from then on. */
void model_discard(void *shared, size_t bytes);
void model_wake(int fd);
void model_drain(int fd);

#define shared_load(p, order)	     model_load(p, order)
#define shared_store(p, v, order)    model_store(p, v, order)
#define shared_fence(order)	     model_fence(order)
#define shared_copy_in(to, from, n)  model_copy_in(to, from, n)
#define shared_copy_out(to, from, n) model_copy_out(to, from, n)
#define shared_discard(p, n)	     model_discard(p, n)
#define shared_wake(fd)		     model_wake(fd)
#define shared_drain(fd)	     model_drain(fd)

#else

#define shared_load(p, order)	     atomic_load_explicit(p, order)
#define shared_store(p, v, order)    atomic_store_explicit(p, v, order)
#define shared_fence(order)	     atomic_thread_fence(order)
#define shared_copy_in(to, from, n)  memcpy(to, from, n)
#define shared_copy_out(to, from, n) memcpy(to, from, n)

/*
 * Give whole pages of a region that may be punched (numa/region.h) back to the
 * kernel, through its writer's mapping: they read as zeroes in every process, and
 * are allocated again when they are touched. Where the kernel refuses it, they
 * stay as they are.
 */
static inline void shared_discard(void *p, size_t bytes)
{
	(void)madvise(p, bytes, MADV_REMOVE);
}

/*
 * Never blocks, whatever the peer did to the socket, and raises no signal. A
 * full socket needs no further byte, since the peer's poll() returns anyway.
 */
static inline void shared_wake(int fd)
{
	(void)!send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/*
 * Takes at most 64 of the waiting bytes, without blocking. A byte that stays
 * causes one spurious wake-up later.
 */
static inline void shared_drain(int fd)
{
	char bytes[64];

	(void)!recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
}

#endif
#endif
