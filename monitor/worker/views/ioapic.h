/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The I/O interrupt controller of a guest with several views. Within KVM, each
 * view would have one, of which a guest would program some and some not. This
 * one exists once; it sends messages (MSI) to the views.
 *
 * Edge-triggered: an interrupt is sent when a line rises and its pin is not
 * masked. All lines of the platform are edge-triggered (dsdt.asl). A pin that a
 * guest programs as level-triggered is served in the same way, and once more
 * when it is unmasked while its line is high: KVM does not report the end of
 * interrupts here.
 *
 * Source: Intel 82093AA datasheet (290566), section 3.
 */
#ifndef DISCO_MONITOR_VIEWS_IOAPIC_H
#define DISCO_MONITOR_VIEWS_IOAPIC_H

#include <pthread.h>

#include "disco/base.h"
#include "monitor/dev/platform/bus.h"

#define IOAPIC_NR_PINS 24u

struct ioapic {
	pthread_mutex_t lock;
	/* [L:lock] */
	uint8_t select; /* register that the window shows */
	uint8_t id;
	uint32_t lines; /* a bit per pin: high */
	uint64_t pins[IOAPIC_NR_PINS];
	/* [I] Send a message. Context: with the lock; must not block. */
	void (*send)(void *arg, uint64_t address, uint32_t data);
	void *arg; /* [I] */
};

/* All pins masked, as after a reset. */
void ioapic_init(struct ioapic *io,
		 void (*send)(void *arg, uint64_t address, uint32_t data),
		 void *arg);
void ioapic_destroy(struct ioapic *io);

/*
 * Put it on @mmio, where the layout has it. Context: before a vCPU runs.
 * Return: as io_bus_add().
 */
MUST_CHECK int ioapic_add(struct ioapic *io, struct io_bus *mmio);

/* A line changes; others than the pins' are ignored. Context: any thread. */
void ioapic_line(struct ioapic *io, uint32_t pin, bool high);

#endif
