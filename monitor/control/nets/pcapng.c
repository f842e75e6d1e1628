/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/nets/pcapng.h"

#include <string.h>

enum block {
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
	BLOCK_SECTION = 0x0a0d0d0a,
};

enum {
	OPTION_END = 0,
	IF_NAME = 2,
	IF_TSRESOL = 9,
	PACKET_FLAGS = 2,
	PACKET_LOST = 4,
	STATS_RECEIVED = 4,
	STATS_LOST = 5,
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
#define ETHERNET	 1u
#define BODY_MAX	 160u /* of a block, without the packet's bytes */

/* The body of a block, as far as it is made; 32-bit words in host order. */
struct body {
	uint8_t bytes[BODY_MAX];
	uint32_t len;
};

static void body_put(struct body *b, const void *from, uint32_t bytes)
{
	memcpy(b->bytes + b->len, from, bytes);
	b->len += bytes;
	while (b->len % 4)
		b->bytes[b->len++] = 0;
}

static void body_put32(struct body *b, uint32_t v)
{
	body_put(b, &v, sizeof(v));
}

static void body_put_time(struct body *b, uint64_t ns)
{
	body_put32(b, (uint32_t)(ns >> 32));
	body_put32(b, (uint32_t)ns);
}

static void body_option(struct body *b, uint16_t code, const void *value,
			uint16_t bytes)
{
	const uint16_t head[2] = { code, bytes };

	body_put(b, head, sizeof(head));
	body_put(b, value, bytes);
}

/* @middle: @bytes between what is fixed and the options; padded to words. */
static void block_write(FILE *out, enum block type, const struct body *fixed,
			const void *middle, uint32_t bytes,
			const struct body *options)
{
	static const uint8_t zero[4];
	uint32_t pad = -bytes % 4;
	uint32_t all = 12 + fixed->len + bytes + pad + options->len;
	const uint32_t head[2] = { type, all };

	(void)fwrite(head, sizeof(head), 1, out);
	(void)fwrite(fixed->bytes, 1, fixed->len, out);
	(void)fwrite(middle, 1, bytes, out);
	(void)fwrite(zero, 1, pad, out);
	(void)fwrite(options->bytes, 1, options->len, out);
	(void)fwrite(&all, sizeof(all), 1, out);
}

void pcapng_begin(FILE *out)
{
	const uint16_t version[2] = { 1, 0 };
	const uint64_t unknown = UINT64_MAX; /* length of the section */
	struct body b = { .len = 0 }, none = { .len = 0 };

	body_put32(&b, BYTE_ORDER_MAGIC);
	body_put(&b, version, sizeof(version));
	body_put(&b, &unknown, sizeof(unknown));
	block_write(out, BLOCK_SECTION, &b, "", 0, &none);
}

void pcapng_interface(FILE *out, const char *name, uint32_t snap_bytes)
{
	const uint16_t link[2] = { ETHERNET, 0 };
	const uint8_t nanoseconds = 9;
	struct body b = { .len = 0 }, o = { .len = 0 };
	size_t n = strnlen(name, 63);

	body_put(&b, link, sizeof(link));
	body_put32(&b, snap_bytes);
	body_option(&o, IF_NAME, name, (uint16_t)n);
	body_option(&o, IF_TSRESOL, &nanoseconds, 1);
	body_option(&o, OPTION_END, "", 0);
	block_write(out, BLOCK_INTERFACE, &b, "", 0, &o);
}

void pcapng_packet(FILE *out, const struct pcapng_packet *p)
{
	const uint32_t flags = p->outbound ? 2 : 1;
	struct body b = { .len = 0 }, o = { .len = 0 };

	body_put32(&b, p->interface);
	body_put_time(&b, p->time_ns);
	body_put32(&b, p->cut);
	body_put32(&b, p->len);
	body_option(&o, PACKET_FLAGS, &flags, sizeof(flags));
	if (p->lost)
		body_option(&o, PACKET_LOST, &p->lost, sizeof(p->lost));
	body_option(&o, OPTION_END, "", 0);
	block_write(out, BLOCK_PACKET, &b, p->bytes, p->cut, &o);
}

void pcapng_statistics(FILE *out, uint32_t interface, uint64_t time_ns,
		       uint64_t received, uint64_t lost)
{
	struct body b = { .len = 0 }, o = { .len = 0 };

	body_put32(&b, interface);
	body_put_time(&b, time_ns);
	body_option(&o, STATS_RECEIVED, &received, sizeof(received));
	body_option(&o, STATS_LOST, &lost, sizeof(lost));
	body_option(&o, OPTION_END, "", 0);
	block_write(out, BLOCK_STATISTICS, &b, "", 0, &o);
}
