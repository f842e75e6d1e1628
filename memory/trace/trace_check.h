/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may be in a trace: one set of rules for its writer and its reader, which
 * takes files from anywhere.
 */
#ifndef DISCO_MEMORY_TRACE_CHECK_H
#define DISCO_MEMORY_TRACE_CHECK_H

#include "memory/trace/trace.h"

/* Each returns NULL, or what is wrong, in a few words. */
const char *trace_info_wrong(const struct trace_info *i);
const char *trace_access_wrong(const struct trace_info *i,
			       const struct access_record *r);
const char *trace_event_wrong(const struct trace_info *i,
			      const struct trace_event *e);

#endif
