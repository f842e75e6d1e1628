/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a report: each prints HTML to @out. */
#ifndef DISCO_MONITOR_STUDY_REPORT_H
#define DISCO_MONITOR_STUDY_REPORT_H

#include "monitor/control/study/heat.h"
#include "monitor/control/study/study.h"

/* Policies in a picture; all of them are in the table. */
#define REPORT_LINES 8u

/* The page's head, with its style, and its end. */
void report_begin(FILE *out, const char *title);
void report_end(FILE *out);

/* @text with what HTML takes for its own replaced. */
void report_text(FILE *out, const char *text);

/* A number with three digits and k, M or G. Return: @buf. */
const char *report_number(double v, char buf[16]);

/*
 * The axis of time below a picture, from @left to @right and at @bottom, in the
 * units of the picture, with room for two lines of text below it.
 */
void report_time_axis(FILE *out, double left, double right, double bottom,
		      double seconds);

/* Pictures, each a figure with its legend and a caption. */
void report_heat(FILE *out, const struct heat *h);
void report_owners(FILE *out, const struct heat *h, uint32_t nr_nodes);
void report_times(FILE *out, const struct study *s,
		  const struct study_trace *t);
void report_local(FILE *out, const struct study *s,
		  const struct study_trace *t);
void report_moves(FILE *out, const struct study *s,
		  const struct study_trace *t);
void report_copies(FILE *out, const struct study *s,
		   const struct study_trace *t);

#endif
