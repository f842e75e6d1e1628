/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DAMON's files in a temporary directory. sysfs_put() and sysfs_put_number() of this
 * helper stand in for the product's: they do to the tree what the kernel does to
 * sysfs (directories that come and go with numbers, states, regions), and refuse what
 * it refuses. Reading is the product's.
 *
 * Source: Linux mm/damon/sysfs.c, and the tree of a Linux 6.18.
 */
#ifndef DISCO_TESTS_FAKE_DAMON_H
#define DISCO_TESTS_FAKE_DAMON_H

#include <stdbool.h>
#include <stdint.h>

struct fake_region {
	const char *start, *end, *accesses; /* text; NULL: no such file */
};

extern char fake_root[64];	 /* of the tree: .../kdamonds */
extern unsigned fake_writes;	 /* so far */
extern const char *fake_offers;	 /* lines of avail_operations */
extern bool fake_shows_regions;	 /* Linux 6.2 */
extern bool fake_is_busy;	 /* "on" is refused: EBUSY */
extern const char *fake_refuses; /* end of a path that is refused; NULL */
extern int fake_refusal;	 /* with this, negative */
extern struct fake_region fake_regions[8];
extern unsigned fake_nr_regions;

/* Return: 0; -errno. */
int fake_damon_create(void);
void fake_damon_destroy(void);

/* As a writer, without counting. */
int fake_damon_put(const char *name, const char *text);

/* First line of a file of the tree; "": there is none. */
const char *fake_damon_get(const char *name);

#endif
