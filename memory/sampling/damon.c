/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Paths are made from the root and the number of a kdamond: damon_put() and
 * damon_get_number() take what follows "ROOT/NUMBER/". Each kdamond has one
 * context with one target and one scheme, whose action, "stat", does nothing: the
 * regions that it has tried are all regions.
 */
#include "memory/sampling/damon.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "memory/sampling/sysfs_file.h"

#define DAMON_PATH	  512u
#define DAMON_FIRST_SLOTS 8u
#define CONTEXT		  "contexts/0/"
#define SIGN_FILE	  CONTEXT "monitoring_attrs/intervals/update_us"
#define REGIONS_DIR	  CONTEXT "schemes/0/tried_regions/"
#define MOST		  UINT32_MAX /* fits each field of an access pattern */

struct damon_slot {
	struct damon_target target; /* pid 0: free */
	bool on;
};

struct damon {
	char root[DAMON_PATH];
	struct damon_limits limits;
	int lock; /* nr_kdamonds, with its flock */
	unsigned nr;
	struct damon_slot slots[DAMON_MAX_SLOTS];
};

/* --- files ---------------------------------------------------------------- */

/* Return: false: it does not fit, and @path is "". */
static bool damon_path(char *path, const char *root, unsigned slot,
		       const char *name)
{
	int n = snprintf(path, DAMON_PATH, "%s/%u/%s", root, slot, name);

	if (n < 0 || (unsigned)n >= DAMON_PATH)
		*path = '\0';
	return *path;
}

static int damon_put(const char *root, unsigned slot, const char *name,
		     const char *text)
{
	char path[DAMON_PATH];

	return damon_path(path, root, slot, name) ? sysfs_put(path, text)
						  : -ENAMETOOLONG;
}

static int damon_put_number(const char *root, unsigned slot, const char *name,
			    uint64_t n)
{
	char path[DAMON_PATH];

	return damon_path(path, root, slot, name) ? sysfs_put_number(path, n)
						  : -ENAMETOOLONG;
}

static int damon_get_number(const char *root, unsigned slot, const char *name,
			    uint64_t *out)
{
	char path[DAMON_PATH];

	return damon_path(path, root, slot, name) ? sysfs_get_number(path, out)
						  : -ENAMETOOLONG;
}

static int damon_nr_path(char *path, const char *root)
{
	int n = snprintf(path, DAMON_PATH, "%s/nr_kdamonds", root);

	return n < 0 || (unsigned)n >= DAMON_PATH ? -ENAMETOOLONG : 0;
}

static int damon_put_nr(const char *root, unsigned nr)
{
	char path[DAMON_PATH];
	int err = damon_nr_path(path, root);

	return err ? err : sysfs_put_number(path, nr);
}

static int damon_get_nr(const char *root, uint64_t *nr)
{
	char path[DAMON_PATH];
	int err = damon_nr_path(path, root);

	return err ? err : sysfs_get_number(path, nr);
}

/* --- whose the list is ---------------------------------------------------- */

static bool damon_is_signed(const char *root, unsigned slot)
{
	uint64_t sign;

	return damon_get_number(root, slot, SIGN_FILE, &sign) == 0 &&
	       sign == DAMON_SIGN;
}

/* Each of them, and so the whole list, is of a monitor of Disco's. */
static bool damon_all_signed(const char *root, uint64_t nr)
{
	if (nr > DAMON_MAX_SLOTS)
		return false;
	for (unsigned i = 0; i < nr; i++)
		if (!damon_is_signed(root, i))
			return false;
	return true;
}

/* Those that were seen to be ours. One that runs holds the list: EBUSY. */
static void damon_turn_off(const char *root, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		/* EINVAL, EPERM: it does not run. */
		(void)!damon_put(root, i, "state", "off");
}

/* @nr: of them all, which are ours. */
static int damon_empty(const char *root, unsigned nr)
{
	damon_turn_off(root, nr);
	return damon_put_nr(root, 0);
}

/* A list of @nr, all signed. If that fails it is empty again. */
static int damon_make(const char *root, unsigned nr)
{
	int err = damon_put_nr(root, nr);

	if (err)
		return err;
	for (unsigned i = 0; !err && i < nr; i++) {
		err = damon_put_number(root, i, "contexts/nr_contexts", 1);
		if (!err)
			err = damon_put_number(root, i, SIGN_FILE, DAMON_SIGN);
	}
	if (err)
		(void)!damon_put_nr(root, 0);
	return err;
}

/* --- what the kernel offers ----------------------------------------------- */

static int damon_fail(struct diag *d, const char *root, int err)
{
	const char *what = err == -ENOENT ? "this kernel has none "
					    "(CONFIG_DAMON_SYSFS)"
			   : err == -EACCES || err == -EPERM ? "for root alone"
			   : err == -EBADMSG ? "not what DAMON's files say"
					     : strerror(-err);

	return diag_fail(d, ST_HOST, -err, "DAMON, %s: %s", root, what);
}

/* Return: the descriptor of nr_kdamonds, locked. */
static int damon_lock(const char *root, struct diag *d)
{
	char path[DAMON_PATH];
	int fd, err = damon_nr_path(path, root);

	if (err)
		return damon_fail(d, root, err);
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return damon_fail(d, root, -errno);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	err = -errno;
	(void)close(fd);
	if (err == -EWOULDBLOCK)
		return diag_fail(
			d, ST_HOST, EAGAIN,
			"DAMON, %s: another monitor of Disco's uses it", root);
	return damon_fail(d, root, err);
}

/* Is @word one of the lines of a file? There are few. */
static bool damon_offers(const char *root, unsigned slot, const char *word)
{
	char path[DAMON_PATH], text[SYSFS_LINE] = "";
	char *save, *at;
	ssize_t n;
	int fd;

	if (!damon_path(path, root, slot, CONTEXT "avail_operations"))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	for (at = strtok_r(text, " \n", &save); at;
	     at = strtok_r(NULL, " \n", &save))
		if (strcmp(at, word) == 0)
			return true;
	return false;
}

/* Of the list's first, which is ours and has a context. */
static int damon_check(const char *root, struct diag *d)
{
	char path[DAMON_PATH];
	int err;

	if (!damon_offers(root, 0, "fvaddr"))
		return diag_fail(d, ST_HOST, ENOTSUP,
				 "DAMON, %s: this kernel's cannot look at a "
				 "process (CONFIG_DAMON_VADDR)",
				 root);
	err = damon_put_number(root, 0, CONTEXT "schemes/nr_schemes", 1);
	if (err)
		return damon_fail(d, root, err);
	if (damon_path(path, root, 0, CONTEXT "schemes/0/tried_regions") &&
	    access(path, F_OK) == 0)
		return 0;
	return diag_fail(d, ST_HOST, ENOTSUP,
			 "DAMON, %s: this kernel's does not show its regions "
			 "(Linux 6.2 does)",
			 root);
}

/* Whose the list is. @nr: out, of ours that are there. */
static int damon_claim(const char *root, unsigned *nr, struct diag *d)
{
	uint64_t there = 0;
	int err = damon_get_nr(root, &there);

	if (err)
		return damon_fail(d, root, err);
	if (!damon_all_signed(root, there))
		return diag_fail(d, ST_HOST, EBUSY,
				 "DAMON, %s: somebody else has %" PRIu64
				 " kdamond%s there, which are left alone",
				 root, there, there == 1 ? "" : "s");
	*nr = (unsigned)there;
	return 0;
}

int damon_probe(const char *root, struct diag *d)
{
	int lock = damon_lock(root, d), err;
	unsigned nr = 0;

	if (lock < 0)
		return lock;
	err = damon_claim(root, &nr, d);
	/* What a killed monitor has left shows by itself that all is there. */
	if (!err && !nr) {
		err = damon_make(root, 1);
		if (err) {
			err = damon_fail(d, root, err);
		} else {
			err = damon_check(root, d);
			(void)!damon_put_nr(root, 0);
		}
	}
	(void)close(lock);
	return err;
}

unsigned damon_tidy(const char *root)
{
	struct diag d = { 0 };
	int lock = damon_lock(root, &d);
	unsigned nr = 0;

	if (lock < 0)
		return 0;
	if (damon_claim(root, &nr, &d) || !nr || damon_empty(root, nr))
		nr = 0;
	(void)close(lock);
	return nr;
}

/* --- all of it ------------------------------------------------------------ */

static int damon_take(struct damon *d, unsigned *left, struct diag *diag)
{
	unsigned nr = 0;
	int err = damon_claim(d->root, &nr, diag);

	if (err)
		return err;
	if (left)
		*left = nr;
	err = nr ? damon_empty(d->root, nr) : 0;
	if (!err)
		err = damon_make(d->root, DAMON_FIRST_SLOTS);
	if (err)
		return damon_fail(diag, d->root, err);
	d->nr = DAMON_FIRST_SLOTS;
	return damon_check(d->root, diag);
}

int damon_open(struct damon **out, const char *root,
	       const struct damon_limits *limits, unsigned *left,
	       struct diag *diag)
{
	struct damon *d = calloc(1, sizeof(*d));
	int err;

	if (!d || strlen(root) >= sizeof(d->root)) {
		free(d);
		return damon_fail(diag, root, -ENOMEM);
	}
	memcpy(d->root, root, strlen(root) + 1);
	d->limits = *limits;
	d->lock = damon_lock(root, diag);
	err = d->lock < 0 ? d->lock : damon_take(d, left, diag);
	if (err) {
		damon_close(d);
		return err;
	}
	*out = d;
	return 0;
}

/* Nobody has taken the list since it was made. */
static bool damon_is_ours(const struct damon *d)
{
	uint64_t nr;

	return damon_get_nr(d->root, &nr) == 0 && nr == d->nr &&
	       damon_all_signed(d->root, nr);
}

void damon_close(struct damon *d)
{
	if (!d)
		return;
	if (d->nr && damon_is_ours(d))
		(void)!damon_empty(d->root, d->nr);
	if (d->lock >= 0)
		(void)close(d->lock);
	free(d);
}

/* --- one kdamond ---------------------------------------------------------- */

struct damon_value {
	const char *name;
	uint64_t number;
};

static int damon_put_all(const struct damon *d, unsigned slot,
			 const struct damon_value *v, unsigned nr)
{
	int err = 0;

	for (unsigned i = 0; !err && i < nr; i++)
		err = damon_put_number(d->root, slot, v[i].name, v[i].number);
	return err;
}

/* All but its state. The sign stays. */
static int damon_configure(const struct damon *d, unsigned slot)
{
	const struct damon_target *t = &d->slots[slot].target;
	const struct damon_value attrs[] = {
		{ CONTEXT "monitoring_attrs/intervals/sample_us",
		  d->limits.sample_us },
		{ CONTEXT "monitoring_attrs/intervals/aggr_us",
		  (uint64_t)d->limits.sample_us * DAMON_SAMPLES },
		{ CONTEXT "monitoring_attrs/nr_regions/max",
		  d->limits.regions },
		{ CONTEXT "monitoring_attrs/nr_regions/min",
		  DAMON_MIN_REGIONS },
		{ CONTEXT "targets/nr_targets", 1 },
		{ CONTEXT "targets/0/pid_target", (uint64_t)t->pid },
		{ CONTEXT "targets/0/regions/nr_regions", 1 },
		{ CONTEXT "targets/0/regions/0/start", t->start },
		{ CONTEXT "targets/0/regions/0/end", t->start + t->bytes },
		{ CONTEXT "schemes/nr_schemes", 1 },
		{ CONTEXT "schemes/0/access_pattern/sz/min", 0 },
		{ CONTEXT "schemes/0/access_pattern/sz/max", UINT64_MAX },
		{ CONTEXT "schemes/0/access_pattern/nr_accesses/min", 0 },
		{ CONTEXT "schemes/0/access_pattern/nr_accesses/max", MOST },
		{ CONTEXT "schemes/0/access_pattern/age/min", 0 },
		{ CONTEXT "schemes/0/access_pattern/age/max", MOST },
	};
	int err = damon_put(d->root, slot, CONTEXT "operations", "fvaddr");

	if (!err)
		err = damon_put_all(d, slot, attrs, ARRAY_SIZE(attrs));
	if (!err)
		err = damon_put(d->root, slot, CONTEXT "schemes/0/action",
				"stat");
	return err;
}

static int damon_turn_on(struct damon *d, unsigned slot)
{
	int err = damon_configure(d, slot);

	if (!err)
		err = damon_put(d->root, slot, "state", "on");
	d->slots[slot].on = !err;
	return err;
}

/* A longer list: that takes all away, so those that ran are started anew. */
static int damon_grow(struct damon *d)
{
	unsigned nr = d->nr * 2;
	int err;

	if (nr > DAMON_MAX_SLOTS)
		return -ENOSPC;
	err = damon_empty(d->root, d->nr);
	if (!err)
		err = damon_make(d->root, nr);
	if (err)
		return err;
	d->nr = nr;
	for (unsigned i = 0; i < nr; i++)
		if (d->slots[i].on)
			/* Whose process has ended meanwhile is read no more. */
			(void)!damon_turn_on(d, i);
	return 0;
}

static bool damon_target_is_sound(const struct damon_target *t)
{
	return t->pid > 0 && t->bytes &&
	       !((t->start | t->bytes) % PAGE_BYTES) &&
	       t->start <= UINT64_MAX - t->bytes;
}

int damon_start(struct damon *d, const struct damon_target *t, unsigned *slot)
{
	unsigned i = 0;
	int err;

	if (!damon_target_is_sound(t))
		return -EINVAL;
	if (!damon_is_ours(d))
		return -ESTALE;
	while (i < d->nr && d->slots[i].target.pid)
		i++;
	err = i < d->nr ? 0 : damon_grow(d);
	if (err)
		return err;
	d->slots[i].target = *t;
	err = damon_turn_on(d, i);
	if (err)
		d->slots[i] = (struct damon_slot){ 0 };
	else
		*slot = i;
	return err;
}

static bool damon_has(const struct damon *d, unsigned slot)
{
	return slot < d->nr && d->slots[slot].target.pid;
}

void damon_stop(struct damon *d, unsigned slot)
{
	if (!damon_has(d, slot))
		return;
	if (damon_is_signed(d->root, slot))
		(void)!damon_put(d->root, slot, "state", "off");
	d->slots[slot] = (struct damon_slot){ 0 };
}

int damon_pause(struct damon *d, unsigned slot, bool on)
{
	if (!damon_has(d, slot) || !damon_is_signed(d->root, slot))
		return -ESTALE;
	if (!on)
		return d->slots[slot].on ? 0 : damon_turn_on(d, slot);
	d->slots[slot].on = false;
	return damon_put(d->root, slot, "state", "off");
}

/* --- its regions ---------------------------------------------------------- */

/* Return: 0; -ENOENT there is none of that number; -EBADMSG; -errno. */
static int damon_read_region(const struct damon *d, unsigned slot, unsigned i,
			     uint64_t *start, uint64_t *end, uint64_t *accesses)
{
	struct {
		const char *name;
		uint64_t *out;
	} const fields[] = { { "start", start },
			     { "end", end },
			     { "nr_accesses", accesses } };
	char name[96];
	int err = 0;

	for (unsigned f = 0; !err && f < ARRAY_SIZE(fields); f++) {
		(void)snprintf(name, sizeof(name), REGIONS_DIR "%u/%s", i,
			       fields[f].name);
		err = damon_get_number(d->root, slot, name, fields[f].out);
		/* The first is missing: the list ends. A later one: it is cut. */
		if (err == -ENOENT && f)
			err = -EBADMSG;
	}
	return err;
}

static bool damon_region_is_sound(const struct damon_target *t, uint64_t start,
				  uint64_t end, uint64_t accesses)
{
	return start < end && !((start | end) % PAGE_BYTES) &&
	       start >= t->start && end <= t->start + t->bytes &&
	       accesses <= DAMON_SAMPLES;
}

static int damon_read_all(const struct damon *d, unsigned slot,
			  struct damon_region *out, unsigned max,
			  uint64_t *strange)
{
	uint64_t start, end, accesses, last = 0;
	unsigned nr = 0;
	int err = 0;

	/* Not more than there can be, whatever the kernel lists. */
	for (unsigned i = 0; nr < max && i < DAMON_MAX_REGIONS; i++) {
		err = damon_read_region(d, slot, i, &start, &end, &accesses);
		if (err)
			break;
		if (!damon_region_is_sound(&d->slots[slot].target, start, end,
					   accesses) ||
		    start < last) {
			++*strange;
			continue;
		}
		last = end;
		out[nr++] = (struct damon_region){ start, end - start,
						   (uint32_t)accesses };
	}
	return err && err != -ENOENT ? err : (int)nr;
}

int damon_read(struct damon *d, unsigned slot, struct damon_region *out,
	       unsigned max, uint64_t *strange)
{
	char path[DAMON_PATH], line[SYSFS_LINE];
	int err;

	if (!damon_has(d, slot) || !damon_is_signed(d->root, slot))
		return -ESTALE;
	if (!damon_path(path, d->root, slot, "state"))
		return -ENAMETOOLONG;
	err = sysfs_get(path, line);
	if (err)
		return err;
	if (strcmp(line, "on") != 0)
		return -ESRCH;
	err = sysfs_put(path, "update_schemes_tried_regions");
	/* EINVAL, EPERM: it has ended in this moment. */
	if (err)
		return err == -EINVAL || err == -EPERM ? -ESRCH : err;
	return damon_read_all(d, slot, out, max, strange);
}

uint64_t damon_spent_ns(const struct damon *d, unsigned slot)
{
	char path[64], line[SYSFS_LINE];
	uint64_t pid;

	if (!damon_has(d, slot) ||
	    damon_get_number(d->root, slot, "pid", &pid) || pid > INT32_MAX)
		return 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	if (sysfs_get(path, line))
		return 0;
	return strtoull(line, NULL, 10);
}
