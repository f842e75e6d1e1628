/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/replica/copies_ends.h"

#include "tests/unit/support.h"

void copies_ends_make(int decider[COPIES_LINK_FDS], int owner[COPIES_LINK_FDS])
{
	assert_int_equal(region_prepare_pair("decider", COPIES_LINK_BYTES,
					     NODE_AUTO,
					     &decider[COPIES_LINK_OWN],
					     &owner[COPIES_LINK_PEER]),
			 0);
	assert_int_equal(region_prepare_pair("owner", COPIES_LINK_BYTES,
					     NODE_AUTO, &owner[COPIES_LINK_OWN],
					     &decider[COPIES_LINK_PEER]),
			 0);
	assert_int_equal(chan_wake_create(&decider[COPIES_LINK_WAKE],
					  &owner[COPIES_LINK_WAKE]),
			 0);
}
