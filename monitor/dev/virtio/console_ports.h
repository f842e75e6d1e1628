/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ports of a virtio console besides the console itself
 * (disco/guest_ports.h), and the control queues.
 *
 * A port is a byte stream between a program in the guest and a socket, which
 * control provides when it needs the port. Nothing is buffered here:
 * 1. Bytes are taken from the guest only when the socket takes them, and from
 *    the socket only when the guest has room for them and a program has the
 *    port open. Linux discards what arrives at a port that nobody has open.
 * 2. Without a socket nothing is taken: a guest that writes waits.
 * 3. A turn moves at most PORT_TURN_BYTES per port, so ports do not keep the I/O
 *    thread from other work, however much a guest or control writes.
 *
 * Life of a stream (all ports but the agent's):
 *
 *	free	 the guest has it closed; a socket may be attached
 *	open	 a program of the guest has opened it
 *	closing	 the guest has closed it; what it wrote is being sent
 *
 * After the last byte the socket is closed, which is the end of file for its
 * reader, and the port is free. The agent's port keeps its socket while agents
 * come and go.
 *
 * The end of file of the socket of an input stream is passed to the guest, as
 * "the host has closed the port". For the next program the host opens it again.
 * One that opened the port before its kernel had handled that message would read
 * an end of file, so the port is closing until then: a driver returns the buffer
 * of a message when it has handled it, so all are handled when it has returned as
 * many as it had offered at most.
 *
 * What is sent to the guest over the control queue is not queued: a port has one
 * bit per message that the guest has not got yet. So messages need no memory,
 * whatever the guest does.
 *
 * Locking: the device's lock covers everything but @sock and @events, which
 * belong to the I/O thread. Source: virtio 1.2, section 5.3.
 */
#ifndef DISCO_MONITOR_CONSOLE_PORTS_H
#define DISCO_MONITOR_CONSOLE_PORTS_H

#include "disco/guest_ports.h"
#include "monitor/dev/virtio/virtio_pci.h"

#define PORT_TURN_BYTES 65536u

/* Queues: two of the console, two for control, two of each further port. */
#define PORT_QUEUE_CONTROL_RX 2u
#define PORT_QUEUE_CONTROL_TX 3u
#define PORT_QUEUES	      (2u * (GUEST_NR_PORTS + 1))

struct console_ports;

struct guest_port {
	struct console_ports *set; /* [I] */
	struct io_watch sock;	   /* fd -1: none */
	uint32_t events;	   /* that sock waits for */
	bool ended;		   /* the socket of an input stream has ended */
	bool full;		   /* the socket takes no more for now */
	bool guest_open;	   /* a program has it open */
	bool settling;	/* closing, and only waits for the guest's kernel */
	bool closing;	/* see above */
	bool host_open; /* what the guest is told */
	bool tell_add, tell_kind, tell_open; /* not told yet */
	size_t sent; /* bytes sent of the chain at the head of its queue */
};

struct console_ports {
	struct virtio_dev *v; /* [I] */
	struct guest_port ports[GUEST_NR_PORTS];
	struct io_watch work; /* wakes the I/O thread: closing ports */
	uint16_t most;	      /* control buffers that the guest has offered */
	/*
	 * [I after start] The set of ports that are open or closing has changed:
	 * bit n is port n. May be NULL. Context: lock held, any thread.
	 */
	void (*changed)(void *arg, uint64_t ports);
	void *changed_arg;
};

/* @v: initialised, outlives @s. Return: 0; -errno of eventfd or of the watch. */
MUST_CHECK int console_ports_init(struct console_ports *s,
				  struct virtio_dev *v);
/* NULL, all-zero and half-built are accepted. Closes the sockets. */
void console_ports_destroy(struct console_ports *s);

/* Serve a queue from PORT_QUEUE_CONTROL_RX on. Context: of virtio_ops.serve. */
enum virtio_served console_ports_serve(struct console_ports *s, unsigned queue);

/* The driver reset the device. Context: of virtio_ops.reset. */
void console_ports_reset(struct console_ports *s);

/**
 * console_ports_attach() - connect a port with a socket
 * @port: GUEST_PORT_AGENT .. GUEST_NR_PORTS - 1; anything else closes @fd
 * @fd:   stream socket, owned by the port from now on; takes the place of an
 *        earlier one, which is closed
 *
 * Context: I/O thread, lock not held.
 */
void console_ports_attach(struct console_ports *s, uint32_t port, int fd);

#endif
