/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/net_control.h"

#include <string.h>

#define MAC_BYTES 6u

enum ack { NET_OK = 0, NET_ERR = 1 };

enum net_class {
	CLASS_RX = 0,
	CLASS_MAC = 1,
	CLASS_VLAN = 2,
	CLASS_ANNOUNCE = 3,
	CLASS_MQ = 4,
};

enum { MAC_TABLE_SET = 0, MAC_ADDR_SET = 1, MQ_PAIRS_SET = 0 };

/* Class and command, and as much of what follows as any answer depends on. */
struct net_command {
	uint8_t class, command;
	uint8_t data[MAC_BYTES];
};

/*
 * OK for what needs no action, so that drivers that send it without being
 * offered it go on; ERR for what is not done (offloads, several queues, another
 * address, and all that is not known).
 */
static enum ack net_control_answer(const struct net_command *c, size_t data,
				   const uint8_t *mac)
{
	switch (c->class) {
	case CLASS_RX:
	case CLASS_VLAN:
	case CLASS_ANNOUNCE:
		return NET_OK;
	case CLASS_MAC:
		if (c->command == MAC_TABLE_SET)
			return NET_OK;
		return c->command == MAC_ADDR_SET && data >= MAC_BYTES &&
				       memcmp(c->data, mac, MAC_BYTES) == 0
			       ? NET_OK
			       : NET_ERR;
	case CLASS_MQ:
		return c->command == MQ_PAIRS_SET && data >= 2 &&
				       c->data[0] == 1 && c->data[1] == 0
			       ? NET_OK
			       : NET_ERR;
	default:
		return NET_ERR;
	}
}

enum virtio_served net_control_serve(struct virtio_dev *v, unsigned queue,
				     const uint8_t *mac,
				     struct vq_chain *scratch)
{
	for (unsigned budget = VQ_MAX_SIZE; budget; budget--) {
		struct net_command c = { 0 };
		uint8_t ack = NET_ERR;
		size_t n;

		if (!virtio_pop(v, queue, scratch))
			return SERVED_ALL;
		n = iov_read(scratch->iov, scratch->nr_out, 0, &c, sizeof(c));
		if (n >= offsetof(struct net_command, data))
			ack = (uint8_t)net_control_answer(
				&c, n - offsetof(struct net_command, data),
				mac);
		n = iov_write(scratch->iov + scratch->nr_out, scratch->nr_in, 0,
			      &ack, 1);
		virtio_push(v, queue, scratch->head, (uint32_t)n);
	}
	return SERVED_SOME;
}
