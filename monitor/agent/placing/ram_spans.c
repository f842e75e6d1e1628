/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/placing/ram_spans.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disco/agent_proto.h"

#define RAM_PATH "/memfd:" AGENT_RAM_NAME
#define OVER_RAM "/memfd:disco-" /* of a cache, a boot image */

/* Whether @path names this memory: what may follow is " (deleted)". */
static bool ram_span_is_of(const char *path, const char *name)
{
	size_t len = strlen(name);

	return strncmp(path, name, len) == 0 &&
	       (path[len] == '\0' || path[len] == ' ');
}

/*
 * A mapping of RAM, or one over it: private, and next to @below (NULL: there is
 * none). A line of which only the beginning is there is as one that is whole.
 */
static bool ram_span_of_line(const char *line, uint64_t ram_pages,
			     const struct ram_span *below, struct ram_span *out)
{
	uint64_t start, end, offset, page;
	bool shared;
	char perms[5] = "";
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n",
		   &start, &end, perms, &offset, &at) != 4 ||
	    at == 0)
		return false;
	if (start >= end || end > AGENT_MAX_PIECES ||
	    (start | end | offset) % PAGE_BYTES)
		return false;
	shared = perms[3] == 's';
	if (shared && !ram_span_is_of(line + at, RAM_PATH))
		return false;
	if (!shared &&
	    (strncmp(line + at, OVER_RAM, strlen(OVER_RAM)) != 0 || !below ||
	     below->start + below->pages * PAGE_BYTES != start))
		return false;
	page = shared ? offset / PAGE_BYTES : below->page + below->pages;
	if (page >= ram_pages)
		return false;
	*out = (struct ram_span){
		.start = start,
		.page = page,
		.pages = min_u64((end - start) / PAGE_BYTES, ram_pages - page),
		.own = shared ? AGENT_FILE : AGENT_ANON,
	};
	return true;
}

int ram_spans_read(int maps, uint64_t ram_pages, struct ram_span *out,
		   unsigned max)
{
	static char text[32768]; /* longer than any line: of one that is cut */
	size_t have = 0;
	unsigned nr = 0;
	ssize_t got;

	if (lseek(maps, 0, SEEK_SET) < 0)
		return -errno;
	while ((got = read(maps, text + have, sizeof(text) - 1 - have)) > 0) {
		char *line = text, *end;

		have += (size_t)got;
		text[have] = '\0';
		while ((end = memchr(line, '\n',
				     have - (size_t)(line - text)))) {
			*end = '\0';
			if (nr < max &&
			    ram_span_of_line(line, ram_pages,
					     nr ? &out[nr - 1] : NULL,
					     &out[nr]))
				nr++;
			line = end + 1;
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
		if (have == sizeof(text) - 1)
			have = 0; /* no line of the kernel's */
	}
	return got < 0 ? -errno : (int)nr;
}

unsigned ram_spans_group(const struct ram_span *spans, unsigned nr,
			 unsigned first)
{
	uint64_t base = spans[first].start - spans[first].page * PAGE_BYTES;
	unsigned i = first + 1;

	while (i < nr && spans[i].start - spans[i].page * PAGE_BYTES == base)
		i++;
	return i;
}

/* Return: the first one that begins beyond a page. */
static unsigned ram_spans_after(const struct ram_span *spans, unsigned nr,
				uint64_t page)
{
	unsigned low = 0, high = nr;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (spans[middle].page <= page)
			low = middle + 1;
		else
			high = middle;
	}
	return high;
}

unsigned ram_spans_beyond(const struct ram_span *spans, unsigned nr,
			  uint64_t page)
{
	unsigned i = ram_spans_after(spans, nr, page);

	return i && page - spans[i - 1].page < spans[i - 1].pages ? i - 1 : i;
}

const struct ram_span *ram_spans_find(const struct ram_span *spans, unsigned nr,
				      uint64_t page)
{
	unsigned high = ram_spans_after(spans, nr, page);

	if (!high || page - spans[high - 1].page >= spans[high - 1].pages)
		return NULL;
	return &spans[high - 1];
}

uint64_t ram_spans_address(const struct ram_span *spans, unsigned nr,
			   uint64_t page)
{
	const struct ram_span *s = ram_spans_find(spans, nr, page);

	return s ? ram_span_at(s, page) : 0;
}
