/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's own text and read-only data: which node they are on, and how
 * they are replaced by a copy on another node while the program runs.
 */
#ifndef DISCO_MONITOR_WORKER_TEXT_H
#define DISCO_MONITOR_WORKER_TEXT_H

#include "disco/base.h"

/* Find the segments. Context: once, before the other functions. */
void text_init(void);

/**
 * text_pages() - count the pages of text and read-only data
 * @node:  a node's number
 * @pages: out, number of pages that are mapped
 * @local: out, those of them that are on @node
 *
 * Context: any thread.
 */
void text_pages(nodeid_t node, uint64_t *pages, uint64_t *local);

/**
 * text_check() - check that a file is the program that runs
 * @fd: readable; not owned
 *
 * A monitor that took the VM over may be of a newer build than the worker.
 * Context: any thread. Return: 0; -ESTALE it is another program; -errno of fstat() and mmap().
 */
MUST_CHECK int text_check(int fd);

/**
 * text_remap() - map a copy of the program over the text
 * @fd: accepted by text_check(); not owned, not used after the call
 *
 * Context: I/O thread, while the vCPUs are parked. Return: 0; -errno of mmap(),
 * and a part of the text may be mapped anew already.
 */
MUST_CHECK int text_remap(int fd);

#endif
