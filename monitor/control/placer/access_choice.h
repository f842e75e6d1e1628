/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which source of accesses a monitor takes: --access-source. What a source needs of
 * this machine is found out by the same probes as `disco doctor` uses.
 *
 * Context: control process, before agents are created.
 */
#ifndef DISCO_MONITOR_ACCESS_CHOICE_H
#define DISCO_MONITOR_ACCESS_CHOICE_H

#include "disco/agent_proto.h"
#include "disco/diag.h"
#include "disco/worker_proto.h"

#define PLACER_FAULTS_RATE   1000u  /* pages per second and VM */
#define PLACER_FAULTS_MOST   10000u /* as fast as traps can be set */
#define PLACER_FAULTS_CPU    10u    /* permille of a CPU */
#define PLACER_BITS_RATE     10000u /* nobody waits for a look */
#define PLACER_BITS_MOST     100000u
#define PLACER_WRITES_RATE   1000u
#define PLACER_WRITES_MOST   100000u
#define PLACER_DAMON_REGIONS 100u /* of a VM */

struct access_choice {
	enum agent_source source;
	/* For agents; no source uses it but flash and page_idle. -1: no source */
	int fd;
	struct worker_req_sample sample; /* the budget; .how: of workers */
};

/* The source that costs nothing, if there is one. @flash: descriptor, owned; -1 */
void access_choice_init(struct access_choice *c, int flash);

/**
 * access_choose() - another source than that
 * @c:	  of access_choice_init(); changed on success
 * @name: see placer_choose_source()
 * @d:	  out on error: one line
 *
 * Return: as placer_choose_source().
 */
MUST_CHECK int access_choose(struct access_choice *c, const char *name,
			     struct diag *d);

/* "flash", "faults", "damon", "page_idle", "dirty"; NULL: there is none. */
const char *access_choice_name(const struct access_choice *c);

#endif
