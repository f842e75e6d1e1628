/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/move_map.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

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

bool move_map_line(const char *line, uint32_t what, struct agent_range *out)
{
	uint64_t start, end;
	char perms[5] = "";
	bool shared, ram;
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %n", &start,
		   &end, perms, &at) != 3 ||
	    at == 0 || end <= start || end > AGENT_MAX_PIECES)
		return false;
	shared = perms[3] == 's';
	ram = strncmp(line + at, MOVE_RAM_NAME, strlen(MOVE_RAM_NAME)) == 0;
	if (what == AGENT_FILE ? !(ram && shared)
			       : (shared || is_special(line + at)))
		return false;
	*out = (struct agent_range){ start, end - start };
	return true;
}

void move_map_add(struct agent_request *r, const struct agent_range *range)
{
	struct agent_range *last = r->ranges + r->nr_ranges - 1;

	if (r->nr_ranges && (last->start + last->bytes == range->start ||
			     r->nr_ranges == AGENT_MAX_RANGES))
		last->bytes = range->start + range->bytes - last->start;
	else
		r->ranges[r->nr_ranges++] = *range;
}

int move_map_fill(struct agent_request *r, FILE *maps)
{
	char line[LINE_MAX_BYTES];
	struct agent_range range;

	r->nr_ranges = 0;
	while (fgets(line, sizeof(line), maps))
		if (move_map_line(line, r->what, &range))
			move_map_add(r, &range);
	if (ferror(maps))
		return -EIO;
	return r->nr_ranges ? 0 : -ENODATA;
}
