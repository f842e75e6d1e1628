/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libmicrohttpd, which the monitor alone loads. It comes with the libraries of
 * TLS, ten of the 26 that `disco` used to be linked with; loading these took most
 * of the time of a command such as `disco exec`.
 *
 * mhd.run() is MHD_run(), and so on.
 */
#ifndef DISCO_MONITOR_MHD_H
#define DISCO_MONITOR_MHD_H

#include <microhttpd.h>

#include "disco/diag.h"

#define MHD_CALLS(X)                                                           \
	X(add_connection)                                                      \
	X(add_response_header)                                                 \
	X(create_response_for_upgrade)                                         \
	X(create_response_from_buffer)                                         \
	X(destroy_response)                                                    \
	X(get_connection_info)                                                 \
	X(get_daemon_info)                                                     \
	X(get_reason_phrase_for)                                               \
	X(get_timeout)                                                         \
	X(lookup_connection_value)                                             \
	X(queue_response)                                                      \
	X(resume_connection)                                                   \
	X(run)                                                                 \
	X(start_daemon)                                                        \
	X(stop_daemon)                                                         \
	X(suspend_connection)                                                  \
	X(upgrade_action)

struct mhd_calls {
#define MHD_CALL_MEMBER(name) __typeof__(&MHD_##name) name;
	MHD_CALLS(MHD_CALL_MEMBER)
#undef MHD_CALL_MEMBER
};

extern struct mhd_calls mhd; /* [I] after mhd_load() */

/**
 * mhd_load() - load the library, once
 * @d: out on error: ST_HOST
 *
 * Return: 0; -ENOENT there is no library, or it lacks a function.
 */
MUST_CHECK int mhd_load(struct diag *d);

#endif
