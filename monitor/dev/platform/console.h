/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The byte stream between a guest's console devices (serial port, virtio
 * console) and the socket the control process reads.
 *
 * Output: any device's thread appends to one bounded buffer; the I/O thread
 * sends it in batches (at a newline, at FLUSH_BYTES, or FLUSH_NS after the
 * first byte). A full buffer is the device's business: the serial port shows
 * "transmitter busy", virtio console leaves the chain in the queue. So a
 * reader that is slow slows its own guest and loses nothing.
 *
 * When the reader went away and another may come (console_keep()), nobody is
 * slowed: the buffer keeps the last bytes, older ones are lost.
 *
 * Input goes to the device that wrote last (the serial port at first).
 *
 * Locking: @lock covers the buffer and focus; leaf lock, never held across a
 * call into a device. Device locks may be held when it is taken.
 */
#ifndef DISCO_MONITOR_CONSOLE_H
#define DISCO_MONITOR_CONSOLE_H

#include <pthread.h>

#include "monitor/dev/platform/dev_host.h"

#define CONSOLE_OUT_BYTES 65536u

/* A device on the console; all called on the I/O thread, no lock held. */
struct console_port {
	/* Bytes the device can take now. */
	size_t (*room)(struct console_port *p);
	void (*input)(struct console_port *p, const uint8_t *buf, size_t len);
	/* Output that was refused may be tried again. */
	void (*drained)(struct console_port *p);
};

#define CONSOLE_MAX_PORTS 2

struct console {
	struct dev_host *host; /* [I] */
	struct io_watch sock, timer, wake;
	struct console_port *ports[CONSOLE_MAX_PORTS]; /* [I after start] */
	unsigned nr_ports;			       /* [I after start] */
	uint32_t events;      /* I/O thread: what sock waits for */
	bool eof;	      /* I/O thread: nobody types any more */
	bool keep;	      /* I/O thread: another reader may come */
	pthread_mutex_t lock; /* below */
	struct console_port *focus;
	bool armed;	     /* timer or wake-up under way */
	bool refused;	     /* somebody was told the buffer is full */
	bool away;	     /* no reader: old bytes make room for new ones;
			      * set and cleared by the I/O thread */
	uint32_t head, tail; /* free running */
	uint8_t out[CONSOLE_OUT_BYTES];
};

/* @fd: stream socket, made non-blocking, not owned. Return: 0 or -errno. */
MUST_CHECK int console_init(struct console *c, struct dev_host *host, int fd);
void console_destroy(struct console *c);
/* First port added has the focus. Before the first vCPU runs. */
void console_add_port(struct console *c, struct console_port *p);

/* Append; returns the bytes taken. Context: any thread. */
size_t console_put(struct console *c, struct console_port *p,
		   const uint8_t *buf, size_t len);
/* Would @bytes be taken now? No: drained() is called when it may be tried
 * again. Context: any thread. */
MUST_CHECK bool console_has_room(struct console *c, size_t bytes);

/* The port with the focus can take input again. Context: any thread. */
void console_want_input(struct console *c);

/*
 * The reader may be followed by another: from now on its end makes the console
 * wait for one, instead of discarding output for good. Context: I/O thread.
 */
void console_keep(struct console *c);

/* No reader for now. The descriptor may be replaced. Context: I/O thread. */
void console_detach(struct console *c);

/* A reader again, at the same descriptor number. Context: I/O thread. */
void console_attach(struct console *c);

/* Send what is buffered, at most @ms milliseconds. Context: I/O thread. */
void console_flush(struct console *c, int ms);

#endif
