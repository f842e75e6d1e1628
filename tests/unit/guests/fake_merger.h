/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fake worker (fake_worker.h) that merges pages as the real one does. It
 * fills its memory, and looks all the time whether it still has what it wrote.
 *
 *	cheat	 gives other pages than it said it has
 *	dies	 is asked to give some
 *	twins	 has only one content in all of its own pages
 *	restless writes what is there again, a few times a second
 */
#ifndef TESTS_FAKE_MERGER_H
#define TESTS_FAKE_MERGER_H

#include "disco/worker_spec.h"
#include "monitor/ipc/figures.h"

#define MERGER_EQUAL 300u /* pages that all have in common */
#define MERGER_OWN   100u /* and those after them, which differ */

/* The figure of its cache that counts what it has answered to control. */
#define MERGER_ANSWERS "hit_blocks"

/* For fake_worker_other. */
void fake_merger(const struct worker_spec *spec, struct figures *f);

#endif
