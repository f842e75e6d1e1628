/* SPDX-License-Identifier: BSD-2-Clause */
/* What control sees of a segment (disco/segment_figures.h). */
#ifndef DISCO_MONITOR_AGENT_SEGMENT_FIGURES_H
#define DISCO_MONITOR_AGENT_SEGMENT_FIGURES_H

struct segment_home;

/*
 * Look up on which node the segment's pages are, and which views hold copies.
 * Bounded: larger segments are looked at in parts, and counts are of a part.
 */
void segment_figures_count(struct segment_home *g);

/* Publish the counts of the decisions. */
void segment_figures_publish(struct segment_home *g);

#endif
