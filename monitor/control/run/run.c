/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/run/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/launch/launch.h"
#include "monitor/control/run/report.h"
#include "monitor/control/run/supervise.h"

struct run {
	const struct run_config *cfg;
	struct launch launch;
	struct vm_watch *vms; /* cfg->nr_vms */
};

/* A descriptor below 3 that we opened ourselves would end up in a guest. */
int run_hold_standard_fds(struct diag *d)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (open("/dev/null", O_RDWR) != fd)
			return diag_fail(d, ST_HOST, EBADF,
					 "descriptor %d is closed and "
					 "/dev/null cannot take its place",
					 fd);
	}
	return 0;
}

static int run_allocate(struct run *r, struct diag *d)
{
	r->vms = calloc(r->cfg->nr_vms, sizeof(*r->vms));
	if (!r->vms)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	for (unsigned i = 0; i < r->cfg->nr_vms; i++)
		r->vms[i].worker = WORKER_NONE;
	return 0;
}

static int run_prepare(struct run *r, struct diag *d)
{
	return launch_prepare(&r->launch, r->cfg, NULL, NULL, NULL, d);
}

static void run_destroy(struct run *r)
{
	for (unsigned i = 0; r->vms && i < r->cfg->nr_vms; i++)
		worker_destroy(&r->vms[i].worker);
	launch_destroy(&r->launch);
	free(r->vms);
}

static int run_start(struct run *r, struct diag *d)
{
	for (unsigned i = 0; i < r->cfg->nr_vms; i++) {
		struct vm_watch *vm = &r->vms[i];
		int err = launch_spawn(&r->launch, i, -1, &vm->worker, d);

		if (err < 0)
			return err;
		vm->name = r->cfg->vms[i].name;
		vm->node = r->launch.nodes[i];
	}
	launch_release(&r->launch);
	return 0;
}

static int run_supervise(struct run *r, struct diag *d)
{
	const struct supervise_options opts = { .mark = r->cfg->mark,
						.end_line = r->cfg->summary };

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

static void run_report(const struct run *r)
{
	struct diag d = { .status = ST_OK };
	unsigned nr = r->cfg->nr_vms;

	if (r->cfg->summary)
		report_summary(r->vms, nr, stdout);
	if (r->cfg->report && report_write(r->vms, nr, r->cfg->report, &d) < 0)
		(void)fprintf(stderr, "disco: %s\n", d.text);
}

int run_vms(const struct run_config *cfg, struct diag *d)
{
	static int (*const steps[])(struct run * r, struct diag * d) = {
		run_allocate, run_prepare, run_start, run_supervise
	};
	struct run *r;
	int err = run_hold_standard_fds(d);

	if (err < 0)
		return err;
	r = calloc(1, sizeof(*r));
	if (!r)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	r->cfg = cfg;
	launch_allow_descriptors();
	for (size_t i = 0; i < ARRAY_SIZE(steps) && !err; i++)
		err = steps[i](r, d);
	if (!err) {
		run_report(r);
		err = (int)first_failure(r);
	}
	run_destroy(r);
	free(r);
	return err;
}
