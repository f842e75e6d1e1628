/* SPDX-License-Identifier: BSD-2-Clause */
/* As tests/model/channel_variant.h, for memory/lease.c. */
#ifndef TESTS_MODEL_LEASE_VARIANT_H
#define TESTS_MODEL_LEASE_VARIANT_H

#ifdef MODEL_VARIANT
#include "tests/model/variant.h"
#define lease_map_bytes MODEL_NAME(lease_map_bytes)
#define presence_test	MODEL_NAME(presence_test)
#define lease_take	MODEL_NAME(lease_take)
#define lease_drop	MODEL_NAME(lease_drop)
#define presence_set	MODEL_NAME(presence_set)
#define presence_evict	MODEL_NAME(presence_evict)
#endif

#include "memory/lease.h"

struct lease_variant {
	bool (*test)(const lease_word *map, uint64_t block);
	unsigned (*take)(lease_word *lease, const lease_word *presence,
			 uint64_t first, unsigned nr);
	void (*drop)(lease_word *lease, uint64_t first, unsigned nr);
	void (*set)(lease_word *presence, uint64_t first, unsigned nr);
	bool (*evict)(lease_word *presence, const lease_word *const *leases,
		      unsigned nr_leases, uint64_t block);
};

#define MODEL_TABLE                                                            \
	extern const struct lease_variant MODEL_NAME(lease);                   \
	const struct lease_variant MODEL_NAME(lease) = {                       \
		presence_test, lease_take,     lease_drop,                     \
		presence_set,  presence_evict,                                 \
	};

#endif
