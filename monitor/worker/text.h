/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's own text and read-only data: which node they are on, and how
 * they are replaced by a copy on another node while the program runs.
 */
#ifndef DISCO_MONITOR_WORKER_TEXT_H
#define DISCO_MONITOR_WORKER_TEXT_H

#include "disco/base.h"

/* Find the segments. Context: before the other functions, once. */
void text_init(void);

/**
 * text_pages() - where the text is
 * @node:  a node's number
 * @pages: out, pages of text and read-only data that are mapped
 * @local: out, those of them that are on @node
 */
void text_pages(nodeid_t node, uint64_t *pages, uint64_t *local);

/**
 * text_check() - is a file the program that runs?
 * @fd: readable; not owned
 *
 * A monitor that took over may be of a newer build than the worker.
 * Return: 0; -ESTALE it is another one; -errno of fstat() and mmap().
 */
MUST_CHECK int text_check(int fd);

/**
 * text_remap() - map a copy of the program over the text
 * @fd: text_check() said 0; not owned, not needed afterwards
 *
 * Return: 0; -errno of mmap(): a part of the text may be mapped anew already.
 */
MUST_CHECK int text_remap(int fd);

#endif
