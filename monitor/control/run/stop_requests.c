/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/run/stop_requests.h"

enum stop_step stop_requests_add(struct stop_requests *r, bool typed,
				 uint64_t now_ns)
{
	if (r->nr && !typed && now_ns < r->last_ns + STOP_SAME_NS)
		return STOP_STEP_NONE;
	r->last_ns = now_ns;
	r->nr += r->nr < STOP_STEP_KILL;
	return (enum stop_step)r->nr;
}
