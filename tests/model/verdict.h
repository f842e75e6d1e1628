/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a test makes of an exploration (model.h): the text as it is has no
 * violation, and each planted bug leads to one.
 */
#ifndef TESTS_MODEL_VERDICT_H
#define TESTS_MODEL_VERDICT_H

#include "tests/model/model.h"
#include "tests/unit/support.h"

static inline void model_is_right(const struct model_result *r)
{
	if (r->violation)
		fail_msg("%s", r->violation);
}

/* @nr, @bug: which variant was explored. */
static inline void model_has_found(size_t nr, const char *bug,
				   const struct model_result *r)
{
	print_message("# bug %zu, %s: %s after %llu states\n", nr, bug,
		      r->violation ? r->violation : "NOT FOUND",
		      (unsigned long long)r->nr_states);
	assert_non_null(r->violation);
}

#endif
