/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 9293 for TCP; which flags belong to which segment: Linux does the same. */
#include "vnet/segment.h"

#include <string.h>

#include "vnet/packet.h"

#define TCP_SEQ	  4
#define TCP_OFF	  12
#define TCP_FLAGS 13
#define TCP_CSUM  16
#define TCP_BYTES 20u
#define TCP_FIN	  0x01u
#define TCP_PSH	  0x08u
#define TCP_CWR	  0x80u
#define PROTO_TCP 6u
#define IP4_ID	  4

bool vnet_segments_begin(struct vnet_segments *s, const struct vnet_hdr *h,
			 const uint8_t *frame, uint32_t bytes)
{
	struct vnet_segments v = { .frame = frame,
				   .bytes = bytes,
				   .tcp = h->csum_start,
				   .size = h->gso_size };
	const uint8_t *ip = frame + VNET_ETH_BYTES;
	unsigned type = h->gso_type & ~VNET_GSO_ECN, want;

	v.ip6 = type == VNET_GSO_TCPV6;
	want = v.ip6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4;
	if (h->csum_offset != TCP_CSUM || v.tcp + TCP_BYTES > bytes ||
	    vnet_get16(frame + ETH_TYPE) != want)
		return false;
	/* Extension headers of IPv6 are copied with the others. */
	if (v.ip6 ? v.tcp < VNET_ETH_BYTES + IP6_BYTES
		  : v.tcp != VNET_ETH_BYTES + (ip[0] & 15u) * 4u ||
			    v.tcp < VNET_ETH_BYTES + IP4_BYTES)
		return false;
	v.head = v.tcp + (frame[v.tcp + TCP_OFF] >> 4) * 4u;
	if (v.head < v.tcp + TCP_BYTES || v.head >= bytes ||
	    v.size < VNET_SEGMENT_LEAST || v.head + v.size > VNET_SEGMENT_MAX)
		return false;
	*s = v;
	return true;
}

static uint32_t segment_get32(const uint8_t *p)
{
	return (uint32_t)vnet_get16(p) << 16 | vnet_get16(p + 2);
}

static void segment_put32(uint8_t *p, uint32_t v)
{
	vnet_put16(p, v >> 16);
	vnet_put16(p + 2, v & 0xffff);
}

/* The lengths and checksum of the IP header. @payload: what follows Ethernet. */
static void finish_ip(const struct vnet_segments *s, uint8_t *ip,
		      uint32_t payload)
{
	if (s->ip6) {
		vnet_put16(ip + IP6_LEN, payload - IP6_BYTES);
		return;
	}
	vnet_put16(ip + IP4_LEN, payload);
	vnet_put16(ip + IP4_ID, vnet_get16(ip + IP4_ID) + s->at / s->size);
	vnet_put16(ip + IP4_CSUM, 0);
	vnet_put16(ip + IP4_CSUM, vnet_csum_fold(vnet_csum_add(
					  0, ip, s->tcp - VNET_ETH_BYTES)));
}

static void finish_tcp(const struct vnet_segments *s, uint8_t *out,
		       uint32_t bytes, bool last)
{
	uint8_t *tcp = out + s->tcp, *ip = out + VNET_ETH_BYTES;
	uint32_t len = bytes - s->tcp, sum = PROTO_TCP + len;

	segment_put32(tcp + TCP_SEQ, segment_get32(tcp + TCP_SEQ) + s->at);
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (s->at)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	vnet_put16(tcp + TCP_CSUM, 0);
	/* Source and destination are next to each other. */
	sum = s->ip6 ? vnet_csum_add(sum, ip + IP6_SRC, 32)
		     : vnet_csum_add(sum, ip + IP4_SRC, 8);
	vnet_put16(tcp + TCP_CSUM,
		   vnet_csum_fold(vnet_csum_add(sum, tcp, len)));
}

uint32_t vnet_segments_next(const struct vnet_segments *s, uint8_t *out)
{
	uint32_t left = s->bytes - s->head - s->at;
	uint32_t part = (uint32_t)min_u64(left, s->size);
	uint32_t bytes = s->head + part;

	memcpy(out, s->frame, s->head);
	memcpy(out + s->head, s->frame + s->head + s->at, part);
	finish_ip(s, out + VNET_ETH_BYTES, bytes - VNET_ETH_BYTES);
	finish_tcp(s, out, bytes, part == left);
	return bytes;
}

void vnet_segments_advance(struct vnet_segments *s)
{
	s->at += s->size;
	if (!vnet_segments_left(s))
		*s = (struct vnet_segments){ .frame = NULL };
}
