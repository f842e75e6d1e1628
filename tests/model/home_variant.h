/* SPDX-License-Identifier: BSD-2-Clause */
/* memory/replica/home.c many times in one program: see channel_variant.h. */
#ifndef TESTS_MODEL_HOME_VARIANT_H
#define TESTS_MODEL_HOME_VARIANT_H

#ifdef MODEL_VARIANT
#include "tests/model/variant.h"
#define home_init      MODEL_NAME(home_init)
#define home_add       MODEL_NAME(home_add)
#define home_remove    MODEL_NAME(home_remove)
#define home_complete  MODEL_NAME(home_complete)
#define home_receive   MODEL_NAME(home_receive)
#define home_replicate MODEL_NAME(home_replicate)
#define home_collapse  MODEL_NAME(home_collapse)
#define home_touch     MODEL_NAME(home_touch)
#define home_turn      MODEL_NAME(home_turn)
#define home_is_plain  MODEL_NAME(home_is_plain)
#endif

#include "memory/replica/home.h"

struct home_variant {
	void (*init)(struct home *h, const struct home_config *c,
		     const struct home_ops *ops, void *arg,
		     struct home_page *pages);
	void (*add)(struct home *h, unsigned holder, unsigned node,
		    uint64_t now_ns);
	void (*remove)(struct home *h, unsigned holder);
	void (*complete)(struct home *h);
	int (*receive)(struct home *h, unsigned holder,
		       const struct replica_msg *m, uint64_t now_ns);
	int (*replicate)(struct home *h, uint32_t page, uint64_t nodes,
			 uint64_t now_ns);
	uint64_t (*turn)(struct home *h, uint64_t now_ns);
	bool (*is_plain)(const struct home *h);
};

#ifdef MODEL_VARIANT
#define MODEL_TABLE                                                            \
	extern const struct home_variant MODEL_NAME(home);                     \
	const struct home_variant MODEL_NAME(home) = {                         \
		home_init,    home_add,	      home_remove, home_complete,      \
		home_receive, home_replicate, home_turn,   home_is_plain       \
	};
#endif

#endif
