/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/net/net_control.h"

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

/* Return: ERR: there are not as many, and as many as before are in use. */
static enum ack net_control_pairs(const struct net_command *c, size_t data,
				  const struct net_control *n)
{
	unsigned pairs = c->data[0] | (unsigned)c->data[1] << 8;

	if (c->command != MQ_PAIRS_SET || data < 2 || pairs == 0 ||
	    pairs > n->max_pairs)
		return NET_ERR;
	*n->pairs = pairs;
	return NET_OK;
}

/*
 * OK for what needs no action, so that drivers that send it without being
 * offered it go on; ERR for what is not done (offloads, another address, and
 * all that is not known).
 */
static enum ack net_control_answer(const struct net_command *c, size_t data,
				   const struct net_control *n)
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
				       memcmp(c->data, n->mac, MAC_BYTES) == 0
			       ? NET_OK
			       : NET_ERR;
	case CLASS_MQ:
		return net_control_pairs(c, data, n);
	default:
		return NET_ERR;
	}
}

enum virtio_served net_control_serve(struct virtio_dev *v, unsigned queue,
				     const struct net_control *n,
				     struct vq_chain *scratch)
{
	for (unsigned budget = VQ_MAX_SIZE; budget; budget--) {
		struct net_command c = { 0 };
		uint8_t ack = NET_ERR;
		size_t bytes;

		if (!virtio_pop(v, queue, scratch))
			return SERVED_ALL;
		bytes = iov_read(scratch->iov, scratch->nr_out, 0, &c,
				 sizeof(c));
		if (bytes >= offsetof(struct net_command, data))
			ack = (uint8_t)net_control_answer(
				&c, bytes - offsetof(struct net_command, data),
				n);
		bytes = iov_write(scratch->iov + scratch->nr_out,
				  scratch->nr_in, 0, &ack, 1);
		virtio_push(v, queue, scratch->head, (uint32_t)bytes);
	}
	return SERVED_SOME;
}
