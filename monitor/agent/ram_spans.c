/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/agent/ram_spans.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disco/agent_proto.h"

#define RAM_PATH "/memfd:" AGENT_RAM_NAME

/* A line of which only the beginning is there is as one that is whole. */
static bool ram_span_of_line(const char *line, uint64_t ram_pages,
			     struct ram_span *out)
{
	uint64_t start, end, offset;
	char perms[5] = "";
	const char *path;
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n",
		   &start, &end, perms, &offset, &at) != 4 ||
	    at == 0 || perms[3] != 's')
		return false;
	path = line + at;
	if (strncmp(path, RAM_PATH, strlen(RAM_PATH)) != 0)
		return false;
	path += strlen(RAM_PATH);
	if (*path != '\0' && *path != ' ')
		return false;
	if (start >= end || end > AGENT_MAX_PIECES ||
	    (start | end | offset) % PAGE_BYTES)
		return false;
	*out = (struct ram_span){ .start = start,
				  .page = offset / PAGE_BYTES,
				  .pages = (end - start) / PAGE_BYTES };
	if (out->page >= ram_pages)
		return false;
	out->pages = min_u64(out->pages, ram_pages - out->page);
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
			    ram_span_of_line(line, ram_pages, &out[nr]))
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

uint64_t ram_spans_address(const struct ram_span *spans, unsigned nr,
			   uint64_t page)
{
	for (unsigned i = 0; i < nr; i++)
		if (page >= spans[i].page &&
		    page - spans[i].page < spans[i].pages)
			return spans[i].start +
			       (page - spans[i].page) * PAGE_BYTES;
	return 0;
}
