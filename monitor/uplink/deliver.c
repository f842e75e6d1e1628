/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/uplink/deliver.h"

#include <string.h>

static bool knocks_have(const struct knocks *s, const struct knock *k)
{
	for (unsigned i = 0; i < KNOCKS; i++)
		if (memcmp(&s->of[i], k, sizeof(*k)) == 0)
			return true;
	return false;
}

bool knocks_answer(const struct knocks *s, unsigned proto, const uint8_t *l4,
		   uint32_t len, const uint8_t *guest_ip, size_t ip_bytes)
{
	struct knock k = { .host_port = 0 };

	if (proto == PROTO_TCP && len >= TCP_BYTES)
		return (l4[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) != TCP_SYN;
	if (proto != PROTO_UDP || len < UDP_BYTES)
		return false;
	memcpy(k.guest_ip, guest_ip, ip_bytes);
	k.guest_port = vnet_get16(l4 + UDP_SPORT);
	k.host_port = vnet_get16(l4 + UDP_DPORT);
	return knocks_have(s, &k);
}

void knocks_note(struct knocks *s, const uint8_t *l4, const uint8_t *guest_ip,
		 size_t ip_bytes)
{
	struct knock k = { .host_port = 0 };

	memcpy(k.guest_ip, guest_ip, ip_bytes);
	k.host_port = vnet_get16(l4 + UDP_SPORT);
	k.guest_port = vnet_get16(l4 + UDP_DPORT);
	if (!knocks_have(s, &k))
		s->of[s->next++ % KNOCKS] = k;
}

bool deliver(struct vnet_port *p, struct vnet_peer *to, const uint8_t *frame,
	     uint32_t len)
{
	struct vnet_buf b;

	if (!to || vnet_port_room(p, to, len)) {
		vnet_port_drop(p, to);
		return false;
	}
	vnet_port_begin(p, len, &b);
	memcpy(b.bytes, frame, len);
	memcpy(b.bytes + ETH_DST, to->station.mac, VNET_MAC_BYTES);
	memcpy(b.bytes + ETH_SRC, p->station.mac, VNET_MAC_BYTES);
	vnet_port_send(p, &b, to, len, false);
	return true;
}
