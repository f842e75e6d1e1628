/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/launch/launch.h"
#include "monitor/control/launch/plan.h"
#include "monitor/control/run/report.h"
#include "monitor/control/run/supervise.h"
#include "monitor/control/launch/descriptors.h"

struct run {
	const struct run_config *cfg;
	struct launch launch;
	struct vm_watch *vms; /* cfg->nr_vms */
	struct nets *nets;
	struct net_ports *ports; /* cfg->nr_vms */
	struct segments *segments;
	struct segment_uses *uses; /* cfg->nr_vms */
	bool lost;		   /* output of a console, which was said */
};

/* Guests would run for nothing; who wants that gives /dev/null. */
static int run_check_output(struct diag *d)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY)
		return 0;
	return diag_fail(d, ST_HOST, EBADF,
			 "standard output is closed or cannot be written to, "
			 "so the guests' consoles would be lost; give one, or "
			 "'>/dev/null' for none");
}

/* Who started it in the foreground waits for its end. */
static int run_check_restart(const struct run_config *cfg, struct diag *d)
{
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		if (cfg->vms[i].restart != RESTART_NO)
			return diag_fail(d, ST_CONFIG, EINVAL,
					 "%s: only the monitor starts a VM "
					 "again: add --detach, or leave out "
					 "'restart'",
					 cfg->vms[i].name);
	return 0;
}

static int run_allocate(struct run *r, struct diag *d)
{
	r->vms = calloc(r->cfg->nr_vms, sizeof(*r->vms));
	r->ports = calloc(r->cfg->nr_vms, sizeof(*r->ports));
	r->uses = calloc(r->cfg->nr_vms, sizeof(*r->uses));
	if (!r->vms || !r->ports || !r->uses || nets_create(&r->nets) ||
	    segments_create(&r->segments))
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	for (unsigned i = 0; i < r->cfg->nr_vms; i++)
		r->vms[i].worker = WORKER_NONE;
	return 0;
}

/* First of all, as it checks the configuration only. */
static int run_reserve(struct run *r, struct diag *d)
{
	int err = 0;

	for (unsigned i = 0; !err && i < r->cfg->nr_vms; i++)
		err = nets_reserve(r->nets, &r->cfg->vms[i], r->ports[i].of, d);
	return err;
}

static int run_prepare(struct run *r, struct diag *d)
{
	int err = launch_prepare(&r->launch, r->cfg, NULL, NULL, NULL, d);

	for (unsigned i = 0; !err && i < r->cfg->nr_vms; i++)
		err = segments_reserve(r->segments, &r->cfg->vms[i],
				       &r->uses[i], d);
	return err;
}

static void run_destroy(struct run *r)
{
	for (unsigned i = 0; r->vms && i < r->cfg->nr_vms; i++)
		worker_destroy(&r->vms[i].worker);
	for (unsigned i = 0; r->ports && i < r->cfg->nr_vms; i++)
		nets_release(r->ports[i].of);
	nets_destroy(r->nets);
	for (unsigned i = 0; r->uses && i < r->cfg->nr_vms; i++)
		segments_release(&r->uses[i]);
	segments_destroy(r->segments);
	launch_destroy(&r->launch);
	free(r->ports);
	free(r->uses);
	free(r->vms);
}

static int run_start(struct run *r, struct diag *d)
{
	for (unsigned i = 0; i < r->cfg->nr_vms; i++) {
		struct vm_watch *vm = &r->vms[i];
		int err = launch_spawn(&r->launch, i, -1, r->ports[i].of,
				       r->uses[i].of, &vm->worker, d);

		if (err < 0)
			return err;
		vm->name = r->cfg->vms[i].name;
		vm->node = r->launch.nodes[i];
		plan_wide(&r->cfg->vms[i], &vm->nodes);
	}
	launch_release(&r->launch);
	/* Workers have them, so they end with the last of these. */
	for (unsigned i = 0; i < r->cfg->nr_vms; i++)
		segments_release(&r->uses[i]);
	return 0;
}

static int run_supervise(struct run *r, struct diag *d)
{
	const struct supervise_options opts = { .mark = r->cfg->mark,
						.end_line = r->cfg->summary,
						.nets = r->nets,
						.ports = r->ports,
						.lost = &r->lost };

	return supervise(r->vms, r->cfg->nr_vms, &opts, d);
}

static enum exit_status first_failure(const struct run *r)
{
	for (unsigned i = 0; i < r->cfg->nr_vms; i++) {
		if (r->vms[i].figures.status != ST_OK)
			return r->vms[i].figures.status;
	}
	return ST_OK;
}

/* Return: 0; -errno with @d filled. */
static int run_report(const struct run *r, struct diag *d)
{
	unsigned nr = r->cfg->nr_vms;

	if (r->cfg->summary) {
		report_summary(r->vms, nr, stdout);
		/* The report may go there, too. */
		(void)fflush(stdout);
	}
	return r->cfg->report ? report_write(r->vms, nr, r->cfg->report, d) : 0;
}

/*
 * A guest's status is worth more than one of ours, which is only printed then.
 * Return: an exit status; -errno with @d filled.
 */
static int run_result(const struct run *r, struct diag *d)
{
	struct diag ours = { .status = ST_OK };
	enum exit_status status = first_failure(r);
	int err = run_report(r, &ours);

	if (status == ST_OK && err) {
		*d = ours;
		return err;
	}
	if (err)
		(void)fprintf(stderr, "disco: %s\n", ours.text);
	return status == ST_OK && r->lost ? ST_HOST : (int)status;
}

int run_vms(const struct run_config *cfg, struct diag *d)
{
	static int (*const steps[])(struct run * r, struct diag * d) = {
		run_allocate, run_reserve, run_prepare, run_start, run_supervise
	};
	struct run *r;
	int err = run_check_output(d);

	if (!err)
		err = run_check_restart(cfg, d);
	if (err < 0)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	r->cfg = cfg;
	descriptors_allow();
	for (size_t i = 0; i < ARRAY_SIZE(steps) && !err; i++)
		err = steps[i](r, d);
	if (!err)
		err = run_result(r, d);
	run_destroy(r);
	free(r);
	return err;
}
