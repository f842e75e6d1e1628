/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 16550A serial port. Source: PC16550D data sheet (National, 1995), chapter 8.
 */
#ifndef DISCO_MONITOR_SERIAL_H
#define DISCO_MONITOR_SERIAL_H

#include "monitor/dev/platform/bus.h"
#include "monitor/dev/platform/console.h"

#define SERIAL_PORTS	  8u
#define SERIAL_FIFO_BYTES 64u

struct serial {
	struct console_port port;
	struct console *console; /* [I] */
	struct dev_host *host;	 /* [I] */
	uint32_t gsi;		 /* [I] */
	pthread_mutex_t lock;	 /* below */
	uint8_t ier, lcr, mcr, scr, fcr;
	uint16_t divisor;
	bool thr_pending; /* IIR has not reported "transmitter empty" yet */
	bool overrun;
	bool line;	     /* level of the interrupt line */
	uint32_t head, tail; /* receive FIFO, free running */
	uint8_t rx[SERIAL_FIFO_BYTES];
};

void serial_init(struct serial *s, struct dev_host *host, struct console *c,
		 uint32_t gsi);
void serial_destroy(struct serial *s);

/* Handles SERIAL_PORTS ports of the I/O bus; ctx is a struct serial. */
extern const struct io_ops serial_ops;

#endif
