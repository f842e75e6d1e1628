/* SPDX-License-Identifier: BSD-2-Clause */
/* Both ends of a link between who decides about copies and their owner. */
#ifndef DISCO_TESTS_COPIES_ENDS_H
#define DISCO_TESTS_COPIES_ENDS_H

#include "memory/replica/copies_link.h"

/* Descriptors of the ends, for copies_link_open(), which owns them then. */
void copies_ends_make(int decider[COPIES_LINK_FDS], int owner[COPIES_LINK_FDS]);

#endif
