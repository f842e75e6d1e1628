/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether and when a VM that has ended is started again. Pure functions.
 */
#ifndef DISCO_MONITOR_RESTART_RULE_H
#define DISCO_MONITOR_RESTART_RULE_H

#include "disco/config.h"
#include "disco/exit_status.h"

#define RESTART_FIRST_NS 1000000000ull	/* the first delay of a VM that fails */
#define RESTART_MAX_NS	 60000000000ull /* and the longest one */
#define RESTART_CALM_NS	 60000000000ull /* a VM that ran for so long works */

/*
 * Does a VM that ended with @status, without the operator's doing, start again?
 * ALWAYS: yes. ON_FAILURE: unless it powered off; a guest that asks for a reset
 * is one that does not want to end. NO: never.
 */
bool restart_is_due(enum restart_policy policy, enum exit_status status);

/**
 * restart_delay() - how long to wait before a start
 * @last_ns: delay before the start that has just ended; 0: there was none
 * @ran_ns:  how long the VM ran after it; 0: it did not start
 *
 * A VM that ran for RESTART_CALM_NS is started at once: a guest that reboots
 * does not wait. Others wait twice as long as the last time, from RESTART_FIRST_NS
 * to RESTART_MAX_NS, so that a VM that ends at once does not keep the host busy.
 */
uint64_t restart_delay(uint64_t last_ns, uint64_t ran_ns);

#endif
