/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/move_map.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "numa/bind.h"

#define LINE_MAX_BYTES 4400 /* a path, and what is before it */

/* Memory of the kernel or of a device: no page of it can move. */
static bool is_special(const char *path)
{
	static const char *const special[] = { "[v", "anon_inode:", "/dev/" };

	for (size_t i = 0; i < ARRAY_SIZE(special); i++)
		if (strncmp(path, special[i], strlen(special[i])) == 0)
			return true;
	return false;
}

/* Of the worker alone, when nobody looks at its figures meanwhile. */
static bool is_shared_memory(const char *path)
{
	static const char *const names[] = { MOVE_RAM_NAME, MOVE_FIGURES_NAME };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncmp(path, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* Return: where the path begins; 0: no such line, or no range. */
static int read_line(const char *line, char perms[5], struct agent_range *r)
{
	uint64_t start, end;
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %n", &start,
		   &end, perms, &at) != 3 ||
	    end <= start || end > AGENT_MAX_PIECES)
		return 0;
	*r = (struct agent_range){ start, end - start };
	return at;
}

bool move_map_line(const char *line, uint32_t what, struct agent_range *out)
{
	struct agent_range range;
	char perms[5] = "";
	bool shared;
	int at = read_line(line, perms, &range);

	if (at == 0)
		return false;
	shared = perms[3] == 's';
	if (what == AGENT_FILE ? !(shared && is_shared_memory(line + at))
			       : (shared || is_special(line + at)))
		return false;
	*out = range;
	return true;
}

bool move_map_text(const char *line, const char *program,
		   struct agent_range *out)
{
	static const char memfd[] = "/memfd:";
	struct agent_range range;
	char perms[5] = "";
	int at = read_line(line, perms, &range);
	const char *name = line + at + strlen(memfd);
	size_t len = strlen(program);

	if (at == 0 || perms[1] != '-' || perms[3] != 'p' ||
	    strncmp(line + at, memfd, strlen(memfd)) != 0 ||
	    strncmp(name, program, len) != 0 || name[len] != ' ')
		return false;
	*out = range;
	return true;
}

FILE *move_map_open(pid_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	return fopen(path, "re");
}

static void find_texts(struct move_map_text *known, pid_t pid,
		       const char *program)
{
	FILE *maps = move_map_open(pid);
	char line[LINE_MAX_BYTES];

	*known = (struct move_map_text){ .pid = pid };
	while (maps && known->nr < MOVE_MAP_TEXTS &&
	       fgets(line, sizeof(line), maps))
		known->nr +=
			move_map_text(line, program, &known->ranges[known->nr]);
	if (maps)
		(void)fclose(maps);
}

void move_map_text_pages(struct move_map_text *known, pid_t pid,
			 const char *program, nodeid_t node, uint64_t *pages,
			 uint64_t *local)
{
	*pages = *local = 0;
	if (known->pid != pid || !known->nr)
		find_texts(known, pid, program);
	for (unsigned i = 0; i < known->nr; i++) {
		const struct agent_range *r = &known->ranges[i];
		uint64_t touched, here;

		if (node_pages_of(pid, (void *)(uintptr_t)r->start, r->bytes,
				  node, &touched, &here))
			continue;
		*pages += touched;
		*local += here;
	}
	/* Another process with this number: its text is elsewhere. */
	if (!*pages)
		known->nr = 0;
}

bool move_map_add(struct agent_req_pull *r, const struct agent_range *range,
		  uint64_t gap)
{
	struct agent_range *last = r->ranges + r->nr_ranges - 1;

	if (r->nr_ranges && range->start - (last->start + last->bytes) <= gap)
		last->bytes = range->start + range->bytes - last->start;
	else if (r->nr_ranges == AGENT_MAX_RANGES)
		return false;
	else
		r->ranges[r->nr_ranges++] = *range;
	return true;
}

int move_map_fill(struct agent_req_pull *r, FILE *maps, uint64_t from)
{
	uint64_t gap = r->what == AGENT_ANON ? MOVE_MAP_GAP : 0;
	char line[LINE_MAX_BYTES];
	struct agent_range range;

	r->nr_ranges = 0;
	while (fgets(line, sizeof(line), maps))
		if (move_map_line(line, r->what, &range) &&
		    range.start >= from && !move_map_add(r, &range, gap))
			return 1;
	if (ferror(maps))
		return -EIO;
	return r->nr_ranges ? 0 : -ENODATA;
}
