/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The built-in policies (include/disco/policy.h), and those words of a user that
 * choose one: "NAME[,key=value]...".
 */
#ifndef DISCO_MEMORY_PLACEMENT_POLICIES_H
#define DISCO_MEMORY_PLACEMENT_POLICIES_H

#include "disco/base.h"
#include "disco/diag.h"
#include "disco/policy.h"

extern const struct policy policy_first_touch, policy_interleave,
	policy_migrate, policy_replicate, policy_disco, policy_carrefour,
	policy_autonuma, policy_balanced;

#define POLICY_STANDARD "balanced"

/* A policy with its parameters. */
struct policy_choice {
	const struct policy *policy; /* NULL: none */
	uint64_t params[POLICY_MAX_PARAMS];
};

/*
 * The place() of policies that leave a page on the node that touches it first. Any
 * thread.
 */
uint8_t policy_place_first_touch(void *state, const struct policy_now *now,
				 uint64_t page, uint8_t node);

/* The built-in ones, by number; NULL past the last one. Any thread. */
const struct policy *policy_builtin(unsigned i);

/* NULL: no such one. Any thread. */
const struct policy *policy_find(const char *name);

/**
 * policy_parse() - a user's choice
 * @text: "NAME[,key=value]..."
 * @more: another policy that may be meant, by its name; NULL: none
 * @out:  untouched on error
 *
 * Context: any thread. Return: 0; -EINVAL with @d (ST_USAGE): no such policy or
 * key, or a value out of range.
 */
MUST_CHECK int policy_parse(const char *text, const struct policy *more,
			    struct policy_choice *out, struct diag *d);

/* Whether all that a policy of a plug-in says of itself can be. */
MUST_CHECK bool policy_is_sound(const struct policy *p);

/* A few words for the log; "?" for what is no reason. */
const char *policy_reason_text(unsigned reason);

/* Length of a period of a choice. */
uint64_t policy_period_ns(const struct policy_choice *c);

#endif
