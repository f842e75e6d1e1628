/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of the worker that is its alone and not the guest's.
 *
 * /proc/self/smaps has that, too, but for each mapping the kernel walks all of
 * its pages, those of guest RAM included, and keeps mmap_lock meanwhile: a
 * guest of 32 GiB would wait half a second for it at each page fault. So the
 * pages of all other mappings are counted here, by pagemap.
 */
#ifndef DISCO_MONITOR_PRIVATE_H
#define DISCO_MONITOR_PRIVATE_H

#include "memory/guest_ram.h"

/**
 * private_count() - count the pages that this process alone maps
 * @maps, @pagemap: descriptors of /proc/self/maps, whose offset is moved, and
 *                  of /proc/self/pagemap
 * @ram:            mappings in it, in its views and in its windows do not count
 *
 * It takes some microseconds for each mapping, of which overlays make many
 * (pmap_budget()), and for each 2 MiB of memory that is not the guest's.
 *
 * Context: any thread but one that others wait for.
 * Return:  bytes; 0: not known.
 */
uint64_t private_count(int maps, int pagemap, const struct ram_view *ram);

#endif
