/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vnet/pairs.c many times in one program, as tests/model/channel_variant.h has
 * numa/channel.c.
 */
#ifndef TESTS_MODEL_PAIRS_VARIANT_H
#define TESTS_MODEL_PAIRS_VARIANT_H

#ifdef MODEL_VARIANT
#include "tests/model/variant.h"
#define vnet_pair_begin	 MODEL_NAME(vnet_pair_begin)
#define vnet_pair_update MODEL_NAME(vnet_pair_update)
#define vnet_pair_end	 MODEL_NAME(vnet_pair_end)
#define vnet_pair_read	 MODEL_NAME(vnet_pair_read)
#endif

#include "vnet/pairs.h"

struct pairs_variant {
	void (*begin)(struct vnet_pair_row *row, uint64_t who,
		      const uint64_t counts[VNET_PAIR_WORDS]);
	void (*update)(struct vnet_pair_row *row,
		       const uint64_t counts[VNET_PAIR_WORDS]);
	void (*end)(struct vnet_pair_row *row);
	bool (*read)(const struct vnet_pair_row *row, uint64_t *who,
		     uint64_t counts[VNET_PAIR_WORDS]);
};

#define MODEL_TABLE                                                            \
	extern const struct pairs_variant MODEL_NAME(pairs);                   \
	const struct pairs_variant MODEL_NAME(pairs) = {                       \
		vnet_pair_begin,                                               \
		vnet_pair_update,                                              \
		vnet_pair_end,                                                 \
		vnet_pair_read,                                                \
	};

#endif
