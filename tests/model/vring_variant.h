/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vnet/ring.c many times in one program, as tests/model/channel_variant.h has
 * numa/channel.c; with rings of 2 slots.
 */
#ifndef TESTS_MODEL_VRING_VARIANT_H
#define TESTS_MODEL_VRING_VARIANT_H

#define VNET_RING_SLOTS 2u

#ifdef MODEL_VARIANT
#include "tests/model/variant.h"
#define vnet_tx_init	  MODEL_NAME(vnet_tx_init)
#define vnet_rx_init	  MODEL_NAME(vnet_rx_init)
#define vnet_tx_look	  MODEL_NAME(vnet_tx_look)
#define vnet_tx_put	  MODEL_NAME(vnet_tx_put)
#define vnet_tx_publish	  MODEL_NAME(vnet_tx_publish)
#define vnet_tx_must_wake MODEL_NAME(vnet_tx_must_wake)
#define vnet_tx_want	  MODEL_NAME(vnet_tx_want)
#define vnet_tx_rest	  MODEL_NAME(vnet_tx_rest)
#define vnet_rx_look	  MODEL_NAME(vnet_rx_look)
#define vnet_rx_get	  MODEL_NAME(vnet_rx_get)
#define vnet_rx_publish	  MODEL_NAME(vnet_rx_publish)
#define vnet_rx_must_wake MODEL_NAME(vnet_rx_must_wake)
#define vnet_fence	  MODEL_NAME(vnet_fence)
#define vnet_wake	  MODEL_NAME(vnet_wake)
#define vnet_set_sleep	  MODEL_NAME(vnet_set_sleep)
#endif

#include "vnet/ring.h"

struct vring_variant {
	void (*tx_init)(struct vnet_tx *tx, struct vnet_line *line,
			vnet_slot *slots, const struct vnet_head *peer,
			uint32_t own_gen, uint32_t peer_gen);
	void (*rx_init)(struct vnet_rx *rx, struct vnet_head *own,
			const struct vnet_line *line, const vnet_slot *slots,
			uint32_t own_gen, uint32_t peer_gen);
	int (*tx_look)(struct vnet_tx *tx);
	void (*tx_put)(struct vnet_tx *tx, uint64_t desc);
	bool (*tx_publish)(struct vnet_tx *tx);
	bool (*tx_must_wake)(struct vnet_tx *tx,
			     const _Atomic(uint64_t) *sleep);
	int (*tx_want)(struct vnet_tx *tx);
	bool (*tx_rest)(struct vnet_tx *tx);
	int (*rx_look)(struct vnet_rx *rx);
	uint64_t (*rx_get)(const struct vnet_rx *rx, uint32_t i);
	bool (*rx_publish)(struct vnet_rx *rx);
	bool (*rx_must_wake)(struct vnet_rx *rx);
	void (*fence)(void);
	void (*wake)(int fd);
	void (*set_sleep)(_Atomic(uint64_t) *word, uint64_t value);
};

#define MODEL_TABLE                                                            \
	extern const struct vring_variant MODEL_NAME(vring);                   \
	const struct vring_variant MODEL_NAME(vring) = {                       \
		vnet_tx_init, vnet_rx_init,    vnet_tx_look,                   \
		vnet_tx_put,  vnet_tx_publish, vnet_tx_must_wake,              \
		vnet_tx_want, vnet_tx_rest,    vnet_rx_look,                   \
		vnet_rx_get,  vnet_rx_publish, vnet_rx_must_wake,              \
		vnet_fence,   vnet_wake,       vnet_set_sleep,                 \
	};

#endif
