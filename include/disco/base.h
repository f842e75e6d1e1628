/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Definitions that every room uses: attributes, arithmetic that does not
 * overflow silently, and the address types. gpa_t and gfn_t are structs, so
 * that the compiler refuses to mix them up.
 */
#ifndef DISCO_BASE_H
#define DISCO_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK    __attribute__((warn_unused_result))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define PAGE_BYTES 4096u
#define KIB(n)	   ((uint64_t)(n) << 10)
#define MIB(n)	   ((uint64_t)(n) << 20)
#define GIB(n)	   ((uint64_t)(n) << 30)

/* Round @v down to a multiple of @align, in bytes; @align is a power of two. */
static inline uint64_t align_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

/*
 * Round @v up to a multiple of @align, a power of two. The result wraps to 0
 * for the last @align - 1 values of @v; callers check the range first.
 */
static inline uint64_t align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

/* True when [off, off + len) lies inside [0, size); no overflow possible. */
static inline bool range_fits(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Guest physical address, in bytes. (The paper calls it "physical".) */
typedef struct {
	uint64_t v;
} gpa_t;

/* A guest page frame number: gpa / PAGE_BYTES. */
typedef struct {
	uint64_t v;
} gfn_t;

static inline gpa_t gpa(uint64_t v)
{
	return (gpa_t){ v };
}

static inline gpa_t gpa_add(gpa_t a, uint64_t bytes)
{
	return (gpa_t){ a.v + bytes };
}

static inline gfn_t gpa_to_gfn(gpa_t a)
{
	return (gfn_t){ a.v / PAGE_BYTES };
}

/* A NUMA node's number, as the operating system counts the nodes. */
typedef int nodeid_t;
#define NODE_AUTO ((nodeid_t)-1)
#define MAX_NODES 64

#endif
