/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/virtio/virtio_console.h"

#include <string.h>

#define QUEUE_RX 0
#define QUEUE_TX 1
#define CHUNK	 512u

#define F_MULTIPORT (1ull << 1)

/* What is sent before others have their turn: a vCPU may be waiting for it. */
#define SERVE_BYTES 65536u

static struct virtio_console *vcon_from_dev(struct virtio_dev *v)
{
	return container_of(v, struct virtio_console, v);
}

/*
 * Send what is left of @c, but not much more than @most bytes; @most counts
 * down. Return: SERVED_ALL of the chain, SERVED_SOME of it, or SERVED_WAIT: the
 * console is full, vcon_port_drained() goes on.
 */
static enum virtio_served send_chain(struct virtio_console *vc,
				     const struct vq_chain *c, size_t *most)
{
	uint8_t buf[CHUNK];
	size_t n, taken;

	while (*most) {
		n = iov_read(c->iov, c->nr_out, vc->sent, buf, sizeof(buf));
		if (n == 0)
			return SERVED_ALL;
		taken = console_put(vc->console, &vc->port, buf, n);
		vc->sent += taken;
		*most -= min_u64(*most, taken);
		if (taken < n)
			return SERVED_WAIT;
	}
	return vc->sent < c->out_bytes ? SERVED_SOME : SERVED_ALL;
}

static enum virtio_served serve_tx(struct virtio_console *vc)
{
	size_t most = SERVE_BYTES;
	struct vq_chain c;

	for (unsigned budget = VQ_MAX_SIZE; budget; budget--) {
		enum virtio_served sent;

		if (!virtio_pop(&vc->v, QUEUE_TX, &c))
			return SERVED_ALL;
		sent = send_chain(vc, &c, &most);
		if (sent != SERVED_ALL) {
			vq_unpop(&vc->v.queues[QUEUE_TX].vq);
			return sent;
		}
		vc->sent = 0;
		virtio_push(&vc->v, QUEUE_TX, c.head, 0);
	}
	return SERVED_SOME;
}

static enum virtio_served vcon_serve(struct virtio_dev *v, unsigned queue)
{
	struct virtio_console *vc = vcon_from_dev(v);

	if (queue == QUEUE_TX)
		return serve_tx(vc);
	if (queue != QUEUE_RX)
		return console_ports_serve(&vc->ports, queue);
	/* New receive buffers: whoever waits to type may go on. */
	console_want_input(vc->console);
	return SERVED_WAIT;
}

static void vcon_reset(struct virtio_dev *v)
{
	struct virtio_console *vc = vcon_from_dev(v);

	vc->sent = 0;
	console_ports_reset(&vc->ports);
}

/* All but the console's own. */
#define OTHER_QUEUES                                                           \
	(((1u << PORT_QUEUES) - 1) & ~(1u << QUEUE_RX | 1u << QUEUE_TX))

_Static_assert(PORT_QUEUES <= VIRTIO_MAX_QUEUES, "a place a queue");

static const struct virtio_ops console_ops = {
	.type = 3,
	.class_code = 0x078000,
	.nr_queues = PORT_QUEUES,
	/*
	 * Linux sends 16 bytes at a time and spins until they are taken, and
	 * does so with messages on the control queue.
	 */
	.in_exit = 1u << QUEUE_TX | 1u << PORT_QUEUE_CONTROL_RX |
		   1u << PORT_QUEUE_CONTROL_TX,
	.seldom = OTHER_QUEUES,
	.few = OTHER_QUEUES,
	/*
	 * Linux takes one per queue, or else two: the console's ports share
	 * one, as they do with other hypervisors.
	 */
	.nr_vectors = 3,
	.serve = vcon_serve,
	.reset = vcon_reset,
};

/* --- console side, I/O thread --- */

static size_t vcon_port_room(struct console_port *p)
{
	struct virtio_console *vc =
		container_of(p, struct virtio_console, port);
	struct vq *q = &vc->v.queues[QUEUE_RX].vq;
	struct vq_chain c;
	size_t room = 0;

	(void)pthread_mutex_lock(&vc->v.lock);
	if (!(vc->v.status & VIRTIO_STATUS_DRIVER_OK)) {
		room = 0; /* the queues are served when it is set */
	} else if (virtio_pop(&vc->v, QUEUE_RX, &c)) {
		room = c.in_bytes;
		vq_unpop(q);
	} else if (vq_arm(q)) {
		/* A buffer came meanwhile: look again. */
		console_want_input(vc->console);
	}
	(void)pthread_mutex_unlock(&vc->v.lock);
	return room;
}

static void vcon_port_input(struct console_port *p, const uint8_t *buf,
			    size_t len)
{
	struct virtio_console *vc =
		container_of(p, struct virtio_console, port);
	struct vq_chain c;
	size_t n;

	(void)pthread_mutex_lock(&vc->v.lock);
	while (len && virtio_pop(&vc->v, QUEUE_RX, &c)) {
		n = iov_write(c.iov + c.nr_out, c.nr_in, 0, buf, len);
		virtio_push(&vc->v, QUEUE_RX, c.head, (uint32_t)n);
		if (n == 0)
			break; /* a buffer without room: the guest's loss */
		buf += n;
		len -= n;
	}
	(void)pthread_mutex_unlock(&vc->v.lock);
}

static void vcon_port_drained(struct console_port *p)
{
	virtio_serve(&container_of(p, struct virtio_console, port)->v,
		     QUEUE_TX);
}

int virtio_console_init(struct virtio_console *vc, struct dev_host *host,
			struct console *c)
{
	/* 5.3.4: no SIZE; max_nr_ports at 4; no EMERG_WRITE. */
	static const uint8_t config[12] = { [4] = GUEST_NR_PORTS };
	int err;

	vc->console = c;
	vc->port = (struct console_port){ .room = vcon_port_room,
					  .input = vcon_port_input,
					  .drained = vcon_port_drained,
					  .leaves = CONSOLE_BURST_BYTES };
	console_add_port(c, &vc->port);
	err = virtio_init(&vc->v, host, &console_ops, F_MULTIPORT, config,
			  sizeof(config));
	return err ? err : console_ports_init(&vc->ports, &vc->v);
}

void virtio_console_destroy(struct virtio_console *vc)
{
	console_ports_destroy(&vc->ports);
	virtio_destroy(&vc->v);
}
