/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * numa/channel.c many times in one program, each with names of its own:
 * tests/model/mutate puts this in front of its text (MODEL_VARIANT defined)
 * and MODEL_TABLE behind it. A test includes it without.
 */
#ifndef TESTS_MODEL_CHANNEL_VARIANT_H
#define TESTS_MODEL_CHANNEL_VARIANT_H

#ifdef MODEL_VARIANT
#include "tests/model/variant.h"
#define chan_ring_bytes	 MODEL_NAME(chan_ring_bytes)
#define chan_tx_init	 MODEL_NAME(chan_tx_init)
#define chan_rx_init	 MODEL_NAME(chan_rx_init)
#define chan_wake_create MODEL_NAME(chan_wake_create)
#define chan_try_send	 MODEL_NAME(chan_try_send)
#define chan_tx_depth	 MODEL_NAME(chan_tx_depth)
#define chan_try_recv	 MODEL_NAME(chan_try_recv)
#define chan_sleep_begin MODEL_NAME(chan_sleep_begin)
#define chan_sleep_end	 MODEL_NAME(chan_sleep_end)
#endif

#include "numa/channel.h"

struct channel_variant {
	int (*tx_init)(struct chan_tx *tx, struct chan_shape shape,
		       struct chan_ring *own, const struct chan_reader *peer,
		       int wake_fd);
	int (*rx_init)(struct chan_rx *rx, struct chan_shape shape,
		       struct chan_reader *own, const struct chan_ring *ring,
		       int wake_fd);
	int (*try_send)(struct chan_tx *tx, const void *msg);
	int (*try_recv)(struct chan_rx *rx, void *msg);
	int (*sleep_begin)(struct chan_rx *rx);
	void (*sleep_end)(struct chan_rx *rx);
};

#define MODEL_TABLE                                                            \
	extern const struct channel_variant MODEL_NAME(channel);               \
	const struct channel_variant MODEL_NAME(channel) = {                   \
		chan_tx_init,  chan_rx_init,	 chan_try_send,                \
		chan_try_recv, chan_sleep_begin, chan_sleep_end,               \
	};

#endif
