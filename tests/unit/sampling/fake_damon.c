/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/sampling/fake_damon.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/sampling/sysfs_file.h"

#define PATH_BYTES 512

char fake_root[64];
unsigned fake_writes;
const char *fake_offers;
bool fake_shows_regions, fake_is_busy;
const char *fake_refuses;
int fake_refusal;
struct fake_region fake_regions[8];
unsigned fake_nr_regions;

static void join(char *path, const char *at, const char *name)
{
	if (snprintf(path, PATH_BYTES, "%s/%s", at, name) >= PATH_BYTES)
		abort();
}

static void make_dir(const char *at, const char *name)
{
	char path[PATH_BYTES];

	join(path, at, name);
	(void)mkdir(path, 0700);
}

static int make_file(const char *at, const char *name, const char *text)
{
	char path[PATH_BYTES];
	FILE *f;

	join(path, at, name);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	(void)fprintf(f, "%s\n", text);
	return fclose(f) ? -errno : 0;
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_all(const char *at, const char *name)
{
	char path[PATH_BYTES];

	join(path, at, name);
	(void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* What a write to nr_contexts makes. */
static void make_context(const char *at)
{
	static const char *const dirs[] = { "0",
					    "0/monitoring_attrs",
					    "0/monitoring_attrs/intervals",
					    "0/monitoring_attrs/nr_regions",
					    "0/targets",
					    "0/schemes" };
	static const struct {
		const char *name, *text;
	} files[] = {
		{ "0/operations", "vaddr" },
		{ "0/monitoring_attrs/intervals/sample_us", "5000" },
		{ "0/monitoring_attrs/intervals/aggr_us", "100000" },
		{ "0/monitoring_attrs/intervals/update_us", "1000000" },
		{ "0/monitoring_attrs/nr_regions/min", "10" },
		{ "0/monitoring_attrs/nr_regions/max", "1000" },
		{ "0/targets/nr_targets", "0" },
		{ "0/schemes/nr_schemes", "0" },
	};

	remove_all(at, "0");
	for (unsigned i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		make_dir(at, dirs[i]);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		(void)make_file(at, files[i].name, files[i].text);
	(void)make_file(at, "0/avail_operations", fake_offers);
}

static void make_scheme(const char *at)
{
	static const char *const parts[] = { "sz", "nr_accesses", "age" };
	char name[64];

	make_dir(at, "0");
	make_dir(at, "0/access_pattern");
	(void)make_file(at, "0/action", "stat");
	for (unsigned i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "0/access_pattern/%s",
			       parts[i]);
		make_dir(at, name);
		(void)snprintf(name, sizeof(name), "0/access_pattern/%s/min",
			       parts[i]);
		(void)make_file(at, name, "0");
		(void)snprintf(name, sizeof(name), "0/access_pattern/%s/max",
			       parts[i]);
		(void)make_file(at, name, "0");
	}
	if (fake_shows_regions)
		make_dir(at, "0/tried_regions");
}

static int make_kdamonds(const char *text)
{
	char name[64];
	unsigned nr = 0;

	for (;; nr++) {
		(void)snprintf(name, sizeof(name), "%u/state", nr);
		if (strcmp(fake_damon_get(name), "on") == 0)
			return -EBUSY;
		if (!*fake_damon_get(name))
			break;
	}
	while (nr-- > 0) {
		(void)snprintf(name, sizeof(name), "%u", nr);
		remove_all(fake_root, name);
	}
	for (int i = 0; i < atoi(text); i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		make_dir(fake_root, name);
		(void)snprintf(name, sizeof(name), "%d/contexts", i);
		make_dir(fake_root, name);
		(void)snprintf(name, sizeof(name), "%d/contexts/nr_contexts",
			       i);
		(void)make_file(fake_root, name, "0");
		(void)snprintf(name, sizeof(name), "%d/state", i);
		(void)make_file(fake_root, name, "off");
		(void)snprintf(name, sizeof(name), "%d/pid", i);
		(void)make_file(fake_root, name, "-1");
	}
	return 0;
}

static void show_regions(const char *at)
{
	char name[64];

	remove_all(at, "contexts/0/schemes/0/tried_regions");
	make_dir(at, "contexts/0/schemes/0/tried_regions");
	for (unsigned i = 0; i < fake_nr_regions; i++) {
		const struct fake_region *r = &fake_regions[i];
		const struct {
			const char *name, *text;
		} files[] = { { "start", r->start },
			      { "end", r->end },
			      { "nr_accesses", r->accesses } };

		(void)snprintf(name, sizeof(name),
			       "contexts/0/schemes/0/tried_regions/%u", i);
		make_dir(at, name);
		for (unsigned f = 0; f < 3; f++) {
			(void)snprintf(
				name, sizeof(name),
				"contexts/0/schemes/0/tried_regions/%u/%s", i,
				files[f].name);
			if (files[f].text)
				(void)make_file(at, name, files[f].text);
		}
	}
}

static int change_state(const char *at, const char *text)
{
	char path[PATH_BYTES], line[SYSFS_LINE] = "";
	bool on;

	join(path, at, "state");
	(void)!sysfs_get(path, line);
	on = strcmp(line, "on") == 0;
	if (strcmp(text, "on") == 0)
		return fake_is_busy || on ? -EBUSY
					  : make_file(at, "state", text);
	if (!on)
		return -EINVAL;
	if (strcmp(text, "off") == 0)
		return make_file(at, "state", text);
	if (strcmp(text, "update_schemes_tried_regions") != 0)
		return -EINVAL;
	show_regions(at);
	return 0;
}

static bool ends_with(const char *path, const char *end)
{
	size_t len = strlen(path), n = strlen(end);

	return len >= n && strcmp(path + len - n, end) == 0;
}

static int put(const char *path, const char *text)
{
	char at[PATH_BYTES];
	char *slash;

	if (fake_refuses && ends_with(path, fake_refuses))
		return fake_refusal;
	if (access(path, F_OK) < 0)
		return -errno;
	if (snprintf(at, sizeof(at), "%s", path) >= PATH_BYTES)
		return -ENAMETOOLONG;
	slash = strrchr(at, '/');
	*slash = '\0';
	if (ends_with(path, "/nr_kdamonds")) {
		int err = make_kdamonds(text);

		if (err)
			return err;
	} else if (ends_with(path, "/state")) {
		return change_state(at, text);
	} else if (ends_with(path, "/nr_contexts")) {
		make_context(at);
	} else if (ends_with(path, "/nr_targets")) {
		make_dir(at, "0");
		make_dir(at, "0/regions");
		(void)make_file(at, "0/pid_target", "0");
		(void)make_file(at, "0/regions/nr_regions", "0");
	} else if (ends_with(path, "/regions/nr_regions")) {
		make_dir(at, "0");
		(void)make_file(at, "0/start", "0");
		(void)make_file(at, "0/end", "0");
	} else if (ends_with(path, "/nr_schemes")) {
		make_scheme(at);
	}
	return make_file(at, slash + 1, text);
}

int sysfs_put(const char *path, const char *text)
{
	fake_writes++;
	return put(path, text);
}

int sysfs_put_number(const char *path, uint64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	return sysfs_put(path, text);
}

int fake_damon_put(const char *name, const char *text)
{
	char path[PATH_BYTES];

	join(path, fake_root, name);
	return put(path, text);
}

const char *fake_damon_get(const char *name)
{
	static char line[SYSFS_LINE];
	char path[PATH_BYTES];

	join(path, fake_root, name);
	return sysfs_get(path, line) ? "" : line;
}

int fake_damon_create(void)
{
	/* Memory: there are thousands of files. */
	(void)strcpy(fake_root, "/dev/shm/disco-damon-XXXXXX");
	if (!mkdtemp(fake_root))
		return -errno;
	fake_writes = fake_nr_regions = 0;
	fake_offers = "vaddr\nfvaddr\npaddr";
	fake_shows_regions = true;
	fake_is_busy = false;
	fake_refuses = NULL;
	return make_file(fake_root, "nr_kdamonds", "0");
}

void fake_damon_destroy(void)
{
	(void)nftw(fake_root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
