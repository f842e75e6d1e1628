/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lines of `disco top`. Two columns are there only if a VM has copies of pages
 * for its views: pages that have some now, and how many lost theirs by a write.
 */
#ifndef DISCO_MONITOR_TOP_H
#define DISCO_MONITOR_TOP_H

#include <jansson.h>

#include "disco/base.h"

#define TOP_LINE 256u /* bytes of a line's text, or more than it needs */

/* Of a VM, since the last look; 0: not known. */
struct top_rates {
	double cpu_percent, exits_per_s;
};

/* Has one of @vms, "vms" of GET /v1/stats, copies? */
bool top_has_copies(const json_t *vms);

void top_title(bool copies, char out[TOP_LINE]);

/* @vm: an element of "vms". What it does not have is shown as "-" or 0. */
void top_vm(const json_t *vm, const struct top_rates *r, bool copies,
	    char out[TOP_LINE]);

#endif
