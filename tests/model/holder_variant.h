/* SPDX-License-Identifier: BSD-2-Clause */
/* memory/replica/holder.c many times in one program: see channel_variant.h. */
#ifndef TESTS_MODEL_HOLDER_VARIANT_H
#define TESTS_MODEL_HOLDER_VARIANT_H

#ifdef MODEL_VARIANT
#include "tests/model/variant.h"
#define holder_init	 MODEL_NAME(holder_init)
#define holder_receive	 MODEL_NAME(holder_receive)
#define holder_fault	 MODEL_NAME(holder_fault)
#define holder_unlink	 MODEL_NAME(holder_unlink)
#define holder_allow_all MODEL_NAME(holder_allow_all)
#endif

#include "memory/replica/holder.h"

struct holder_variant {
	void (*init)(struct holder *h, uint32_t nr_pages,
		     const struct holder_ops *ops, void *arg, uint64_t *shown,
		     uint64_t *waiting);
	int (*receive)(struct holder *h, const struct replica_msg *m);
	int (*fault)(struct holder *h, uint64_t page);
	int (*unlink)(struct holder *h);
};

#ifdef MODEL_VARIANT
#define MODEL_TABLE                                                            \
	extern const struct holder_variant MODEL_NAME(holder);                 \
	const struct holder_variant MODEL_NAME(holder) = {                     \
		holder_init, holder_receive, holder_fault, holder_unlink       \
	};
#endif

#endif
