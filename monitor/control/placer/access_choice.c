/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/placer/access_choice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "memory/sampling/damon.h"
#include "memory/sampling/dirty_log.h"
#include "memory/sampling/page_idle.h"
#include "memory/sampling/page_traps.h"
#include "monitor/ipc/fds.h"

/* The reader of a killed monitor needs a moment to end. */
#define LOCK_TRIES 60u
#define LOCK_NS	   50000000l

/* A source that has a budget. */
struct budgeted {
	const char *name;
	uint32_t rate, most, cpu, how;
	/* Sets .source, and .fd if it has one. Return: as access_choose(). */
	int (*take)(struct access_choice *c, struct diag *d);
};

void access_choice_init(struct access_choice *c, int flash)
{
	*c = (struct access_choice){ .source = AGENT_SOURCE_FLASH,
				     .fd = flash };
}

/* --- what each needs ------------------------------------------------------ */

static int choice_take_faults(struct access_choice *c, struct diag *d)
{
	int err = page_traps_probe();

	if (err)
		return diag_fail(
			d, ST_HOST, ENODEV,
			"--access-source=faults: userfaultfd of shared "
			"memory: %s; see 'disco doctor'",
			strerror(-err));
	c->source = AGENT_SOURCE_FAULTS;
	return 0;
}

/* Another monitor may be ending right now. */
static int choice_probe_damon(struct diag *d)
{
	const struct timespec pause = { 0, LOCK_NS };
	int err = damon_probe(DAMON_ROOT, d);

	for (unsigned i = 0; err == -EAGAIN && i < LOCK_TRIES; i++) {
		(void)nanosleep(&pause, NULL);
		err = damon_probe(DAMON_ROOT, d);
	}
	return err;
}

/* These two: @why is without the option's name. */
static int choice_set_damon(struct access_choice *c, struct diag *why)
{
	int err = choice_probe_damon(why);

	if (!err)
		c->source = AGENT_SOURCE_DAMON;
	return err;
}

static int choice_set_idle(struct access_choice *c, struct diag *why)
{
	int fd = page_idle_open(PAGE_IDLE_PATH, why);

	if (fd < 0)
		return fd;
	fds_drop(&c->fd);
	c->fd = fd;
	c->source = AGENT_SOURCE_IDLE;
	return 0;
}

static int choice_take_damon(struct access_choice *c, struct diag *d)
{
	struct diag why = { 0 };

	return choice_set_damon(c, &why)
		       ? diag_fail(d, ST_HOST, ENODEV,
				   "--access-source=damon: %s", why.text)
		       : 0;
}

static int choice_take_idle(struct access_choice *c, struct diag *d)
{
	struct diag why = { 0 };

	return choice_set_idle(c, &why)
		       ? diag_fail(d, ST_HOST, ENODEV,
				   "--access-source=page_idle: %s", why.text)
		       : 0;
}

/* The better of the two that there is: DAMON costs less per page. */
static int choice_take_bits(struct access_choice *c, struct diag *d)
{
	struct diag damon = { 0 }, idle = { 0 };

	return choice_set_damon(c, &damon) && choice_set_idle(c, &idle)
		       ? diag_fail(d, ST_HOST, ENODEV,
				   "--access-source=abits: %s; %s", damon.text,
				   idle.text)
		       : 0;
}

static int choice_take_dirty(struct access_choice *c, struct diag *d)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int err = fd < 0 ? -errno : dirty_log_probe(fd);

	fds_drop(&fd);
	if (err)
		return diag_fail(d, ST_HOST, ENODEV,
				 "--access-source=dirty: KVM's dirty log: %s",
				 err == -EOPNOTSUPP ? "no manual protection "
						      "(Linux 5.8 has it)"
						    : strerror(-err));
	c->source = AGENT_SOURCE_DIRTY;
	return 0;
}

static const struct budgeted budgeted[] = {
	{ "faults", PLACER_FAULTS_RATE, PLACER_FAULTS_MOST, PLACER_FAULTS_CPU,
	  WORKER_SAMPLE_FAULTS, choice_take_faults },
	{ "abits", PLACER_BITS_RATE, PLACER_BITS_MOST, PLACER_FAULTS_CPU,
	  WORKER_SAMPLE_NONE, choice_take_bits },
	{ "damon", PLACER_BITS_RATE, PLACER_BITS_MOST, PLACER_FAULTS_CPU,
	  WORKER_SAMPLE_NONE, choice_take_damon },
	{ "page_idle", PLACER_BITS_RATE, PLACER_BITS_MOST, PLACER_FAULTS_CPU,
	  WORKER_SAMPLE_NONE, choice_take_idle },
	{ "dirty", PLACER_WRITES_RATE, PLACER_WRITES_MOST, PLACER_FAULTS_CPU,
	  WORKER_SAMPLE_WRITES, choice_take_dirty },
};

/* --- the option ----------------------------------------------------------- */

/* One ",key=number" of the source's; @at: moved past it. */
static bool choice_take_number(const char **at, const char *key,
			       unsigned long most, uint32_t *out)
{
	size_t len = strlen(key);
	unsigned long n;
	char *end;

	if (strncmp(*at, key, len) != 0 || (*at)[len] < '0' || (*at)[len] > '9')
		return false;
	n = strtoul(*at + len, &end, 10);
	if (n < 1 || n > most || (*end && *end != ','))
		return false;
	*out = (uint32_t)n;
	*at = end;
	return true;
}

/* @at: what follows the name. */
static int choice_take_budgeted(struct access_choice *c,
				const struct budgeted *b, const char *name,
				const char *at, struct diag *d)
{
	struct worker_req_sample sample = { .rate = b->rate,
					    .share = b->cpu,
					    .how = b->how };
	struct access_choice next = *c;
	int err;

	/* A comma is passed only with what follows it. */
	while (choice_take_number(&at, ",rate=", b->most, &sample.rate) ||
	       choice_take_number(&at, ",cpu=", SAMPLER_MAX_SHARE,
				  &sample.share))
		;
	if (*at)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "--access-source=%s: '%s' takes "
				 "rate=PAGES (1 to %u per second) and "
				 "cpu=PERMILLE (1 to %u)",
				 name, b->name, b->most, SAMPLER_MAX_SHARE);
	err = b->take(&next, d);
	if (err)
		return err;
	next.sample = sample;
	if (next.source != AGENT_SOURCE_IDLE) {
		/* The message to agents has a descriptor, of no use then. */
		fds_drop(&next.fd);
		next.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	*c = next;
	return c->fd < 0 ? diag_fail(d, ST_HOST, errno, "/dev/null: %s",
				     strerror(errno))
			 : 0;
}

int access_choose(struct access_choice *c, const char *name, struct diag *d)
{
	if (strcmp(name, "off") == 0) {
		fds_drop(&c->fd);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(budgeted); i++) {
		size_t len = strlen(budgeted[i].name);

		if (strncmp(name, budgeted[i].name, len) == 0 &&
		    (!name[len] || name[len] == ','))
			return choice_take_budgeted(c, &budgeted[i], name,
						    name + len, d);
	}
	if (strcmp(name, "auto") == 0 ||
	    (strcmp(name, "flash") == 0 && c->fd >= 0))
		return 0;
	if (strcmp(name, "flash") == 0)
		return diag_fail(d, ST_HOST, ENODEV,
				 "--access-source=flash: no counters on this "
				 "machine; they are there in a lab of lab/run "
				 "--flash");
	return diag_fail(d, ST_USAGE, EINVAL,
			 "--access-source=%s: must be auto, flash, faults, "
			 "abits, damon, page_idle, dirty or off",
			 name);
}

const char *access_choice_name(const struct access_choice *c)
{
	static const char *const names[] = {
		[AGENT_SOURCE_FLASH] = "flash",
		[AGENT_SOURCE_FAULTS] = "faults",
		[AGENT_SOURCE_DAMON] = "damon",
		[AGENT_SOURCE_IDLE] = "page_idle",
		[AGENT_SOURCE_DIRTY] = "dirty",
	};

	return c->fd < 0 ? NULL : names[c->source];
}
