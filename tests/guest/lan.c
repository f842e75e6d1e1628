/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A station of a network: gets its address by DHCP with Rapid Commit, and then
 * calls the others by broadcast until it has heard "peers=N" of them, and each
 * of them has heard all the others. "dead=N": it then waits until N of them send
 * nothing any more, although it goes on calling. Prints its address.
 *
 * "out=N": it asks the IPv4 address with the number N, outside of the network,
 * until it is answered; then it answers what comes to its port 5353, until that
 * is "bye".
 */
#include "virtio.h"

#define VIRTIO_NET  0x10411af4u
#define QUEUES	    2u
#define SLOTS	    8u
#define BUF	    2048u
#define HDR	    12u
#define RX	    0u
#define TX	    1u
#define ETH	    14u
#define UDP	    34u
#define APP	    42u
#define PORT	    7777u
#define KNOCK	    5353u
#define CALL_CYCLES (1ul << 20)
#define SILENT	    300u /* own calls, since another one's last */
#define STATIONS    256u

const char guest_name[] = "lan";

struct queue {
	struct virtio_desc desc[SLOTS];
	struct {
		uint16_t flags, idx, ring[SLOTS], event;
	} avail;
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[SLOTS];
		uint16_t event;
	} used __attribute__((aligned(4)));
	uint16_t seen;
} __attribute__((aligned(16)));

static struct queue queues[QUEUES];
static uint8_t bufs[SLOTS][BUF], out[BUF];
static uint8_t mac[6], ip[4];
/* By the last byte of the address: own calls at the last one heard; 0: none. */
static unsigned long heard[STATIONS];
static bool satisfied[STATIONS];
static unsigned nr_heard, nr_satisfied;
static unsigned long calls;

static void fence(void)
{
	__asm__ volatile("mfence" : : : "memory");
}

static uint64_t cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void fill(void *at, uint8_t v, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((volatile uint8_t *)at)[i] = v;
}

static void copy(void *to, const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}

static void put16(uint8_t *at, unsigned v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static unsigned number(const char *text, const char *key, size_t len)
{
	unsigned n = 0;

	for (; *text; text++)
		if (same(text, key, len))
			for (text += len; *text >= '0' && *text <= '9'; text++)
				n = n * 10 + (unsigned)(*text - '0');
	return n;
}

/* --- the device --- */

static void offer(unsigned n, unsigned head)
{
	struct queue *q = &queues[n];

	q->avail.ring[q->avail.idx % SLOTS] = (uint16_t)head;
	fence();
	*(volatile uint16_t *)&q->avail.idx = (uint16_t)(q->avail.idx + 1);
	fence();
	write16(virtio_bar + VIRTIO_NOTIFY + n * 4, (uint16_t)n);
}

static void start_queue(unsigned n)
{
	struct queue *q = &queues[n];

	q->avail.flags = 1; /* no interrupts */
	write16(virtio_bar + VIRTIO_QSELECT, (uint16_t)n);
	write16(virtio_bar + VIRTIO_QSIZE, SLOTS);
	write64(virtio_bar + VIRTIO_QDESC, (uint64_t)q->desc);
	write64(virtio_bar + VIRTIO_QAVAIL, (uint64_t)&q->avail);
	write64(virtio_bar + VIRTIO_QUSED, (uint64_t)&q->used);
	write16(virtio_bar + VIRTIO_QENABLE, 1);
}

static void start(void)
{
	REQUIRE(virtio_find(0, VIRTIO_NET) < VIRTIO_SLOTS, "no network");
	write8(virtio_bar + VIRTIO_STATUS, 0);
	write8(virtio_bar + VIRTIO_STATUS, 3);
	write32(virtio_bar + VIRTIO_FEATURE_SELECT, 0);
	write32(virtio_bar + VIRTIO_FEATURE,
		1u << 5 | 1u << 16); /* MAC, STATUS */
	write32(virtio_bar + VIRTIO_FEATURE_SELECT, 1);
	write32(virtio_bar + VIRTIO_FEATURE, 1); /* VERSION_1 */
	write8(virtio_bar + VIRTIO_STATUS, 0x0b);
	for (unsigned i = 0; i < QUEUES; i++)
		start_queue(i);
	write8(virtio_bar + VIRTIO_STATUS, VIRTIO_DRIVER_OK);
	REQUIRE(read8(virtio_bar + VIRTIO_STATUS) == VIRTIO_DRIVER_OK,
		"status %x", read8(virtio_bar + VIRTIO_STATUS));
	for (unsigned i = 0; i < sizeof(mac); i++)
		mac[i] = read8(virtio_bar + VIRTIO_DEVICE + i);
	for (unsigned i = 0; i < SLOTS; i++) {
		queues[RX].desc[i] =
			(struct virtio_desc){ (uint64_t)bufs[i], BUF, 2, 0 };
		offer(RX, i);
	}
}

/* Return: a frame, behind its header, until frame_done(); NULL: none. */
static const uint8_t *frame_next(void)
{
	struct queue *q = &queues[RX];

	if (*(volatile uint16_t *)&q->used.idx == q->seen)
		return NULL;
	fence();
	return bufs[q->used.ring[q->seen % SLOTS].id] + HDR;
}

static void frame_done(void)
{
	struct queue *q = &queues[RX];

	offer(RX, q->used.ring[q->seen++ % SLOTS].id);
}

/*
 * Send @bytes of UDP data that are in @out, and wait until they are sent: by the
 * router of the network, which has its first address; @dst NULL: to all.
 */
static void send(const uint8_t *dst, unsigned sport, unsigned dport,
		 unsigned bytes)
{
	struct queue *q = &queues[TX];
	uint8_t *f = out + HDR;
	uint16_t n = q->avail.idx;
	uint32_t sum = 0;

	fill(out, 0, HDR + APP);
	fill(f, 0xff, 6);
	if (dst) {
		copy(f, mac, 5);
		f[5] = 1;
	}
	copy(f + 6, mac, 6);
	put16(f + 12, 0x0800);
	f[ETH] = 0x45;
	put16(f + ETH + 2, 28 + bytes);
	f[ETH + 8] = 64;
	f[ETH + 9] = 17;
	copy(f + ETH + 12, ip, 4);
	fill(f + ETH + 16, 0xff, 4);
	if (dst)
		copy(f + ETH + 16, dst, 4);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)f[ETH + i] << 8 | f[ETH + i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	put16(f + ETH + 10, (uint16_t) ~(sum + (sum >> 16)));
	put16(f + UDP, sport);
	put16(f + UDP + 2, dport);
	put16(f + UDP + 4, 8 + bytes);
	q->desc[0] =
		(struct virtio_desc){ (uint64_t)out, HDR + APP + bytes, 0, 0 };
	offer(TX, 0);
	while (*(volatile uint16_t *)&q->used.idx == n)
		__asm__ volatile("pause" : : : "memory");
}

static void broadcast(unsigned sport, unsigned dport, unsigned bytes)
{
	send(NULL, sport, dport, bytes);
}

/* --- the station --- */

static void get_address(void)
{
	static const uint8_t magic[] = {
		99, 130, 83, 99, 53, 1, 1, 80, 0, 255
	};
	uint8_t *b = out + HDR + APP;
	const uint8_t *f;

	fill(b, 0, 240);
	b[0] = 1;
	b[1] = 1;
	b[2] = 6;
	copy(b + 28, mac, 6);
	copy(b + 236, magic, sizeof(magic));
	broadcast(68, 67, 246);
	for (;;) {
		while (!(f = frame_next()))
			__asm__ volatile("pause" : : : "memory");
		if (f[UDP + 3] == 68 && f[UDP + 2] == 0 && f[APP] == 2)
			break;
		frame_done(); /* another one calls already */
	}
	REQUIRE(f[APP + 240] == 53 && f[APP + 242] == 5,
		"option %u is %u, no acknowledgement", f[APP + 240],
		f[APP + 242]);
	copy(ip, f + APP + 16, 4);
	REQUIRE(mac[2] == ip[0] && mac[5] == ip[3],
		"the MAC address is not made of the address");
	frame_done();
	print("address %u.%u.%u.%u\n", ip[0], ip[1], ip[2], ip[3]);
}

static void hear(const uint8_t *f)
{
	uint8_t who = f[ETH + 15];

	if (f[UDP + 2] != PORT >> 8 || f[UDP + 3] != (PORT & 0xff))
		return;
	REQUIRE(who != ip[3], "heard itself");
	REQUIRE(same(f + APP, "call", 4), "a frame is not as it was sent");
	nr_heard += heard[who] == 0;
	heard[who] = calls;
	if (f[APP + 4] && !satisfied[who]) {
		satisfied[who] = true;
		nr_satisfied++;
	}
}

static void listen_and_call(unsigned peers)
{
	uint64_t until = cycles() + CALL_CYCLES;
	const uint8_t *f;

	while (cycles() < until) {
		f = frame_next();
		if (!f)
			continue;
		hear(f);
		frame_done();
	}
	calls++;
	copy(out + HDR + APP, "call", 4);
	out[HDR + APP + 4] = nr_heard >= peers;
	broadcast(PORT, PORT, 5);
}

static unsigned nr_silent(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < STATIONS; i++)
		n += heard[i] && heard[i] + SILENT < calls;
	return n;
}

/* Wait for CALL_CYCLES at most. Return: a datagram to a port, or NULL. */
static const uint8_t *datagram(unsigned port)
{
	uint64_t until = cycles() + CALL_CYCLES;
	const uint8_t *f;

	while (cycles() < until) {
		f = frame_next();
		if (!f)
			continue;
		if (f[ETH + 9] == 17 && f[UDP + 2] == port >> 8 &&
		    f[UDP + 3] == (port & 0xff))
			return f;
		frame_done();
	}
	return NULL;
}

/* Until one says "bye": what is sent last is lost when we end. */
static void answer_knocks(void)
{
	const uint8_t *f;
	uint8_t who[4];
	unsigned port;
	bool bye = false;

	while (!bye) {
		f = datagram(KNOCK);
		if (!f)
			continue;
		copy(who, f + ETH + 12, 4);
		port = (unsigned)f[UDP] << 8 | f[UDP + 1];
		bye = same(f + APP, "bye", 3);
		frame_done();
		copy(out + HDR + APP, "here", 4);
		send(who, KNOCK, port, 4);
	}
}

static void go_out(unsigned n)
{
	const uint8_t dst[4] = { (uint8_t)(n >> 24), (uint8_t)(n >> 16),
				 (uint8_t)(n >> 8), (uint8_t)n };
	const uint8_t *f;

	do {
		copy(out + HDR + APP, "ask", 3);
		send(dst, PORT, PORT, 3);
		f = datagram(PORT);
	} while (!f);
	REQUIRE(same(f + APP, "answer", 6) && same(f + ETH + 12, dst, 4),
		"a datagram is not as it was sent");
	frame_done();
	print("answered\n");
	answer_knocks();
}

void main(const struct hvm_start_info *info)
{
	const char *text = (const char *)(uintptr_t)info->cmdline;
	unsigned peers = number(text, "peers=", 6);
	unsigned dead = number(text, "dead=", 5);

	start();
	get_address();
	if (number(text, "out=", 4)) {
		go_out(number(text, "out=", 4));
		return;
	}
	calls = 1;
	while (nr_satisfied < peers)
		listen_and_call(peers);
	print("heard %u\n", nr_heard);
	/* The last ones to hear us may not have, yet. */
	for (unsigned i = 0; i < 100 || nr_silent() < dead; i++)
		listen_and_call(peers);
	if (dead)
		print("%u are silent\n", nr_silent());
	REQUIRE(!(read8(virtio_bar + VIRTIO_STATUS) & VIRTIO_NEEDS_RESET),
		"the device is dead");
}
