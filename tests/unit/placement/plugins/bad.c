/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects that are no policies; which, the Makefile's -D says. */
#include "disco/policy.h"

#ifdef BAD_CLOCK
extern long clock(void);
#endif

static uint8_t bad_place(void *state, const struct policy_now *now,
			 uint64_t page, uint8_t node)
{
	(void)state;
	(void)now;
	(void)page;
#ifdef BAD_CLOCK
	return (uint8_t)(node + clock());
#else
	return node;
#endif
}

static void bad_page(void *state, const struct policy_now *now,
		     const struct policy_page *p, struct policy_decision *out)
{
	(void)state;
	(void)now;
	(void)p;
	(void)out;
}

#ifdef BAD_CONSTRUCTOR
static volatile int begun;

__attribute__((constructor)) static void bad_begin(void)
{
	begun = 1;
}
#endif

#ifdef BAD_NAME
#define disco_policy another_policy
#endif

__attribute__((visibility("default"))) extern const struct policy disco_policy;
const struct policy disco_policy = {
#ifdef BAD_ABI
	.abi = POLICY_ABI - 1,
#else
	.abi = POLICY_ABI,
#endif
#ifdef BAD_SOUND
	.name = "Not A Name",
#else
	.name = "bad",
#endif
	.help = "not to be loaded",
	.place = bad_place,
	.page = bad_page,
#ifdef BAD_PAY
	/* An address that is nobody's. */
	.pay = (uint64_t(*)(void *, const struct policy_now *, uint8_t, uint8_t,
			    uint64_t))(uintptr_t)64,
#endif
};
