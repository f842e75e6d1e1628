/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two bitmaps of pages by which two threads keep out of each other's way
 * (ram_copies.h): the owner of copies marks pages that it is going to protect,
 * the I/O thread marks those that it is going to change without a fault.
 *
 * ORDER. Each sets its own mark, and only then looks at the other's. Each of the
 * two has one fence in between, and one of these is first in the order of all:
 * the side with the later one sees the other side's mark. What the owner does in
 * between (it protects the page) is seen by an I/O thread that sees its mark too
 * early: then the owner sees the I/O thread's.
 *
 *	owner:  mark; protect; look: marked by the other -> take it back
 *	I/O:    mark; look: marked by the other -> write, which faults; change
 *
 * tests/unit/replica/test_marks_model.c has all interleavings of that.
 */
#ifndef DISCO_MEMORY_MARKS_H
#define DISCO_MEMORY_MARKS_H

#include <stdatomic.h>

#include "disco/base.h"

typedef _Atomic(uint64_t) marks_word; /* [A: its thread / the other one] */

/* Mark a page in the caller's own map. Context: the map's thread. */
void marks_set(marks_word *own, uint64_t page);

/* Is a page marked in the other thread's map? After marks_set(). */
bool marks_look(const marks_word *other, uint64_t page);

#endif
