/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/restart/restart_rule.h"

bool restart_is_due(enum restart_policy policy, enum exit_status status)
{
	switch (policy) {
	case RESTART_ALWAYS:
		return true;
	case RESTART_ON_FAILURE:
		return status != ST_OK;
	case RESTART_NO:
		break;
	}
	return false;
}

uint64_t restart_delay(uint64_t last_ns, uint64_t ran_ns)
{
	if (ran_ns >= RESTART_CALM_NS)
		return 0;
	if (last_ns < RESTART_FIRST_NS)
		return RESTART_FIRST_NS;
	return min_u64(last_ns, RESTART_MAX_NS / 2) * 2;
}
