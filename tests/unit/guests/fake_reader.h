/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A fake worker that reads its disk 0 through the buffer cache that control
 * and an agent give it, at random places, and compares with the file. Figures
 * as those of a real worker, but for those of references, by which tests see what
 * control has sent: FIGURES_REFS_SENT is whether its own disk has a number,
 * _RECEIVED how many foreign images it has, _DROPPED how many ports share memory
 * with it, _MERGED how many blocks it has found in foreign images.
 */
#ifndef TESTS_FAKE_READER_H
#define TESTS_FAKE_READER_H

#include "disco/worker_spec.h"
#include "monitor/ipc/figures.h"

/*
 * For fake_worker_other: workers named "reader..."; never ends. One named
 * "scribbler" writes nonsense into its region of the link once it has one.
 */
void fake_reader(const struct worker_spec *spec, struct figures *f);

/* What they read: random bytes, the last block not whole. */
#define READER_IMAGE_BLOCKS 500u
#define READER_IMAGE_BYTES  (READER_IMAGE_BLOCKS * PAGE_BYTES - 1536u)

/* Make an image. @path: as mkstemp(3) takes it, and makes it. */
bool fake_reader_image(char *path);

#endif
