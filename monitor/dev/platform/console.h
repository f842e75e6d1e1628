/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The byte stream between a guest's console devices (serial port, virtio
 * console) and the socket that the control process reads.
 *
 * Output: any thread of a device appends to one bounded buffer. The I/O thread
 * sends the buffer in batches: a line at once, a part of one CONSOLE_FLUSH_NS
 * after its first byte, but neither less than PACE_NS after the last batch;
 * FLUSH_BYTES at once. A reader cannot see the difference, and a guest that
 * writes many short lines wakes the I/O thread 50 times a second, and not once
 * per line.
 * Each device handles a full buffer itself: the serial port
 * shows "transmitter busy", the virtio console leaves the chain in the queue.
 * So a slow reader slows down its own guest and loses nothing.
 *
 * When the reader has gone and another one may come (console_keep()), the guest
 * is not slowed down: the buffer keeps the last bytes, and older ones are lost.
 *
 * Input goes to the device that wrote last (at first to the serial port).
 *
 * Locking: @lock covers the buffer and the focus. It is a leaf lock and is
 * never held across a call into a device. Device locks may be held when it is
 * taken.
 */
#ifndef DISCO_MONITOR_CONSOLE_H
#define DISCO_MONITOR_CONSOLE_H

#include <pthread.h>

#include "monitor/dev/platform/dev_host.h"
#include "monitor/dev/platform/panic_line.h"

#define CONSOLE_OUT_BYTES   65536u
#define CONSOLE_BURST_BYTES 16u /* see leaves */
#define CONSOLE_FLUSH_NS    2000000

/* A device on the console. Calls are made by the I/O thread without a lock. */
struct console_port {
	/* Number of bytes that the device can take now. */
	size_t (*room)(struct console_port *p);
	void (*input)(struct console_port *p, const uint8_t *buf, size_t len);
	/* Output that was refused may be tried again now. */
	void (*drained)(struct console_port *p);
	/*
	 * Bytes of the buffer that this port leaves free: what the serial port
	 * may send once it has said that there is room, whatever other ports
	 * send meanwhile.
	 */
	uint32_t leaves;	 /* [I] */
	struct panic_line panic; /* [L:console] what the guest writes here */
};

#define CONSOLE_MAX_PORTS 2

struct console {
	struct dev_host *host; /* [I] */
	struct io_watch sock, timer, wake;
	struct console_port *ports[CONSOLE_MAX_PORTS]; /* [I after start] */
	unsigned nr_ports;			       /* [I after start] */
	uint32_t events; /* I/O thread: epoll events that sock waits for */
	bool eof;	 /* I/O thread: there will be no more input */
	/*
	 * [I after start] A port has written the line of a kernel's panic, with
	 * this reason. May be NULL. Context: I/O thread.
	 */
	void (*panic_seen)(void *arg, const char *text);
	void *panic_arg;
	bool keep;	      /* I/O thread: another reader may come */
	pthread_mutex_t lock; /* below */
	struct console_port *focus;
	bool armed;	  /* timer or wake-up under way */
	bool woken;	  /* wake-up under way */
	uint64_t sent_ns; /* when bytes were sent last */
	uint64_t written; /* bytes that devices wrote, in total */
	bool panicked;	  /* panic_seen() is to be called */
	char panic_text[PANIC_TEXT_BYTES];
	bool refused; /* output was refused: call drained() later */
	/*
	 * No reader: the buffer drops its oldest bytes. The I/O thread sets and
	 * clears it.
	 */
	bool away;
	uint32_t head, tail; /* free running */
	uint8_t out[CONSOLE_OUT_BYTES];
};

/* @fd: stream socket, made non-blocking, not owned. Return: 0; -errno. */
MUST_CHECK int console_init(struct console *c, struct dev_host *host, int fd);
void console_destroy(struct console *c);
/* The first port has the focus. Context: before the first vCPU runs. */
void console_add_port(struct console *c, struct console_port *p);

/* Append output. Return: number of bytes taken. Context: any thread. */
size_t console_put(struct console *c, struct console_port *p,
		   const uint8_t *buf, size_t len);
/*
 * Would console_put() take @bytes now? If not, drained() is called when it may
 * be tried again. Context: any thread.
 */
MUST_CHECK bool console_has_room(struct console *c, size_t bytes);

/* The port with the focus can take input again. Context: any thread. */
void console_want_input(struct console *c);

/* Bytes that the guest has written so far. Context: any thread. */
uint64_t console_written(struct console *c);

/*
 * The reader may be followed by another one. From now on, when the reader goes,
 * the console waits for the next reader instead of discarding output for good.
 * Context: I/O thread.
 */
void console_keep(struct console *c);

/*
 * There is no reader for now, and the descriptor may be replaced. Context: I/O
 * thread.
 */
void console_detach(struct console *c);

/* There is a reader again, at the same descriptor. Context: I/O thread. */
void console_attach(struct console *c);

/*
 * Send the buffered output, for at most @ms milliseconds. Context: I/O thread.
 */
void console_flush(struct console *c, int ms);

#endif
