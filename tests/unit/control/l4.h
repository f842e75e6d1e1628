/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Headers of UDP and TCP as a guest's stack writes them, for tests of uplinks, and
 * sockets of the host. Checksums are left to be done. Source: RFC 768, RFC 9293.
 */
#ifndef DISCO_TESTS_CONTROL_L4_H
#define DISCO_TESTS_CONTROL_L4_H

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/must.h"
#include "vnet/frame.h"
#include "vnet/packet.h"

#define PROTO_TCP 6u
#define TCP_BYTES 20u
#define TCP_SEQ	  4u
#define TCP_FLAGS 13u
#define TCP_CSUM  16u
#define SYN	  2u
#define PSH	  8u
#define ACK	  16u

static inline void l4_put32(uint8_t *p, uint32_t v)
{
	vnet_put16(p, v >> 16);
	vnet_put16(p + 2, v & 0xffff);
}

static inline uint32_t l4_get32(const uint8_t *p)
{
	return (uint32_t)vnet_get16(p) << 16 | vnet_get16(p + 2);
}

/* A datagram at @u. Return: its bytes. */
static inline uint32_t l4_udp(uint8_t *u, unsigned sport, unsigned dport,
			      const char *text)
{
	uint32_t bytes = UDP_BYTES + (uint32_t)strlen(text);

	vnet_put16(u + UDP_SPORT, sport);
	vnet_put16(u + UDP_DPORT, dport);
	vnet_put16(u + UDP_LEN, bytes);
	vnet_put16(u + UDP_CSUM, 0);
	memcpy(u + UDP_BYTES, text, bytes - UDP_BYTES);
	return bytes;
}

/* A header without options at @t. */
static inline void l4_tcp(uint8_t *t, unsigned sport, unsigned dport,
			  uint32_t seq, uint32_t ack, unsigned flags)
{
	memset(t, 0, TCP_BYTES);
	vnet_put16(t, sport);
	vnet_put16(t + 2, dport);
	l4_put32(t + TCP_SEQ, seq);
	l4_put32(t + 8, ack);
	t[12] = TCP_BYTES / 4 << 4;
	t[TCP_FLAGS] = (uint8_t)flags;
	vnet_put16(t + 14, 60000);
}

/* A socket of the host that does not block; of a stream, one that listens. */
static inline int l4_socket(int type, const struct sockaddr *a, socklen_t len)
{
	int s = socket(a->sa_family, type | SOCK_NONBLOCK, 0), one = 1;

	must(s >= 0);
	must(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	must(bind(s, a, len) == 0);
	must(type != SOCK_STREAM || listen(s, 4) == 0);
	return s;
}

#endif
