/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DAMON's records as damo writes them (`damo record`; `--output_type json` or the
 * standard, which is that compressed by zlib): a list of records, one for each
 * target, with snapshots, with regions. A region says that of each of its pages
 * as many samples as nr_accesses found it accessed; it becomes one access per
 * page of that weight, at the end of the snapshot. Regions of more than
 * REGION_PAGES are cut into that many parts of one access each.
 *
 * Which CPU it was DAMON does not know: these accesses have no node, and are
 * good for heat maps alone.
 */
#include <jansson.h>
#include <stdlib.h>
#include <zlib.h>

#include "memory/import/import_internal.h"

#define FILE_MOST    MIB(256)
#define TEXT_MOST    GIB(1)
#define REGION_PAGES 4096u

/* Numbers may be texts, with commas and a unit. */
static bool import_damo_number(json_t *v, uint64_t *out)
{
	const char *text = json_string_value(v);
	uint64_t n = 0;

	if (json_is_object(v))
		return import_damo_number(json_object_get(v, "samples"), out);
	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		*out = (uint64_t)json_integer_value(v);
		return true;
	}
	if (!text || *text < '0' || *text > '9')
		return false;
	for (; (*text >= '0' && *text <= '9') || *text == ','; text++) {
		if (*text == ',')
			continue;
		if (n > (UINT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	*out = n;
	return !*text || strcmp(text, " ns") == 0 || strcmp(text, " B") == 0;
}

static int import_damo_region(struct import_run *im, json_t *region,
			      uint64_t time_ns, struct diag *d)
{
	struct access_record r = { .time_ns = time_ns,
				   .vcpu = ACCESS_NO_VCPU,
				   .node = ACCESS_NO_NODE,
				   .home = ACCESS_NO_NODE,
				   .kind = POLICY_UNKNOWN,
				   .class = ACCESS_BIT };
	uint64_t start, end, samples, step;
	int err = 0;

	if (!import_damo_number(json_object_get(region, "start"), &start) ||
	    !import_damo_number(json_object_get(region, "end"), &end) ||
	    !import_damo_number(json_object_get(region, "nr_accesses"),
				&samples) ||
	    start > end || end > 1ull << 57)
		return import_bad(im, d,
				  "a region without start, end or "
				  "nr_accesses");
	if (!samples)
		return 0;
	r.weight = (uint32_t)min_u64(samples, UINT32_MAX);
	step = max_u64((end - start) / REGION_PAGES, PAGE_BYTES);
	for (; !err && start < end; start += step) {
		r.page = start;
		err = import_add(im, &r, d);
	}
	return err;
}

static int import_damo_snapshot(struct import_run *im, json_t *snapshot,
				struct diag *d)
{
	json_t *regions = json_object_get(snapshot, "regions"), *region;
	uint64_t time_ns;
	size_t i;
	int err;

	if (!import_damo_number(json_object_get(snapshot, "end_time"),
				&time_ns) ||
	    !json_is_array(regions))
		return import_bad(im, d,
				  "a snapshot without end_time or "
				  "regions");
	json_array_foreach(regions, i, region)
	{
		err = import_damo_region(im, region, time_ns, d);
		if (err)
			return err;
	}
	return 0;
}

static int import_damo_records(struct import_run *im, json_t *root,
			       struct diag *d)
{
	json_t *record, *snapshots, *snapshot;
	size_t i, k;
	int err;

	if (!json_is_array(root))
		return import_bad(im, d, "no list of records");
	json_array_foreach(root, i, record)
	{
		snapshots = json_object_get(record, "snapshots");
		if (!json_is_array(snapshots))
			return import_bad(im, d, "a record without snapshots");
		json_array_foreach(snapshots, k, snapshot)
		{
			err = import_damo_snapshot(im, snapshot, d);
			if (err)
				return err;
		}
	}
	return 0;
}

/* All of a file. Return: malloc'ed; NULL. */
static char *import_damo_all(FILE *f, size_t *bytes)
{
	size_t room = MIB(1), have = 0;
	char *all = malloc(room), *more;

	while (all) {
		have += fread(all + have, 1, room - have, f);
		if (have < room)
			break;
		room *= 2;
		if (room > FILE_MOST) {
			free(all);
			return NULL;
		}
		more = realloc(all, room);
		if (!more)
			free(all);
		all = more;
	}
	*bytes = have;
	return all;
}

/* What is no JSON may be compressed. Return: malloc'ed; NULL. */
static char *import_damo_unpack(char *packed, size_t *bytes)
{
	z_stream z = { .next_in = (Bytef *)packed, .avail_in = (uInt)*bytes };
	size_t room = MIB(4);
	char *text = NULL, *more;
	int ret = Z_OK;

	if (inflateInit(&z) != Z_OK)
		return NULL;
	while (ret == Z_OK && room <= TEXT_MOST) {
		more = realloc(text, room);
		if (!more)
			break;
		text = more;
		z.next_out = (Bytef *)text + z.total_out;
		z.avail_out = (uInt)(room - z.total_out);
		ret = inflate(&z, Z_NO_FLUSH);
		/* It is full: there may be more. */
		if (ret == Z_OK && z.avail_out)
			ret = Z_BUF_ERROR;
		room *= 2;
	}
	*bytes = z.total_out;
	(void)inflateEnd(&z);
	if (ret == Z_STREAM_END)
		return text;
	free(text);
	return NULL;
}

static int import_damo_read(struct import_run *im, FILE *f, struct diag *d)
{
	json_error_t why = { .line = 0 };
	char wrong[256];
	json_t *root;
	size_t bytes;
	char *text = import_damo_all(f, &bytes);
	int err;

	if (!text)
		return import_bad(im, d, "it is too large for memory");
	/* 0x78 is zlib's; JSON does not begin with 'x'. */
	if (bytes && text[0] == 'x') {
		char *packed = text;

		text = import_damo_unpack(packed, &bytes);
		free(packed);
		if (!text)
			return import_bad(im, d, "damaged zlib data");
	}
	root = json_loadb(text, bytes, 0, &why);
	free(text);
	if (!root) {
		(void)snprintf(wrong, sizeof(wrong),
			       "no JSON, nor compressed JSON: line %d: %s",
			       why.line, why.text);
		return import_bad(im, d, wrong);
	}
	err = import_damo_records(im, root, d);
	json_decref(root);
	return err;
}

const struct import_kind import_damo = { .name = "damo",
					 .pages = false,
					 .read = import_damo_read };
