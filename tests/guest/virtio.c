/* SPDX-License-Identifier: BSD-2-Clause */
#include "virtio.h"

#define PORT_ADDRESS 0xcf8
#define PORT_DATA    0xcfc
#define CFG_COMMAND  0x04u
#define CFG_BAR0     0x10u
#define COMMAND_ON   0x06u /* memory, bus master */

#define NOTIFY_STRIDE 4
#define S_DRIVER      0x03
#define S_FEATURES_OK 0x0b
#define VERSION_1     1 /* bit 32 */
#define NO_INTERRUPT  1

struct virtio_desc virtio_desc[VIRTIO_QUEUE] __attribute__((aligned(16)));
uint64_t virtio_bar;

static struct {
	uint16_t flags, idx, ring[VIRTIO_QUEUE], event;
} avail __attribute__((aligned(16)));
static struct {
	uint16_t flags, idx;
	struct {
		uint32_t id, len;
	} ring[VIRTIO_QUEUE];
	uint16_t event;
} used __attribute__((aligned(16)));

static uint32_t config_read(unsigned slot, unsigned reg)
{
	outl(PORT_ADDRESS, 0x80000000u | slot << 11 | reg);
	return inl(PORT_DATA);
}

static void config_write(unsigned slot, unsigned reg, uint32_t v)
{
	outl(PORT_ADDRESS, 0x80000000u | slot << 11 | reg);
	outl(PORT_DATA, v);
}

unsigned virtio_find(unsigned slot, uint32_t id)
{
	while (slot < VIRTIO_SLOTS && config_read(slot, 0) != id)
		slot++;
	if (slot == VIRTIO_SLOTS)
		return slot;
	config_write(slot, CFG_COMMAND, COMMAND_ON);
	virtio_bar = config_read(slot, CFG_BAR0) & ~0xfu;
	return slot;
}

void virtio_start(unsigned queue)
{
	avail.idx = used.idx = 0;
	avail.flags = NO_INTERRUPT;
	write8(virtio_bar + VIRTIO_STATUS, 0);
	write8(virtio_bar + VIRTIO_STATUS, S_DRIVER);
	write32(virtio_bar + VIRTIO_FEATURE_SELECT, 1);
	write32(virtio_bar + VIRTIO_FEATURE, VERSION_1);
	write8(virtio_bar + VIRTIO_STATUS, S_FEATURES_OK);
	write16(virtio_bar + VIRTIO_QSELECT, (uint16_t)queue);
	write16(virtio_bar + VIRTIO_QSIZE, VIRTIO_QUEUE);
	write64(virtio_bar + VIRTIO_QDESC, (uint64_t)virtio_desc);
	write64(virtio_bar + VIRTIO_QAVAIL, (uint64_t)&avail);
	write64(virtio_bar + VIRTIO_QUSED, (uint64_t)&used);
	write16(virtio_bar + VIRTIO_QENABLE, 1);
	write8(virtio_bar + VIRTIO_STATUS, VIRTIO_DRIVER_OK);
	REQUIRE(read8(virtio_bar + VIRTIO_STATUS) == VIRTIO_DRIVER_OK,
		"status %x", read8(virtio_bar + VIRTIO_STATUS));
}

unsigned virtio_next(void)
{
	return avail.idx;
}

void virtio_ask(unsigned queue, unsigned head)
{
	uint16_t n = avail.idx;

	avail.ring[n % VIRTIO_QUEUE] = (uint16_t)head;
	__asm__ volatile("mfence" : : : "memory");
	*(volatile uint16_t *)&avail.idx = (uint16_t)(n + 1);
	write16(virtio_bar + VIRTIO_NOTIFY + queue * NOTIFY_STRIDE,
		(uint16_t)queue);
	while (*(volatile uint16_t *)&used.idx == n)
		__asm__ volatile("pause" : : : "memory");
}
