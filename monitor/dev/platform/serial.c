/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/platform/serial.h"

enum serial_reg { RBR_THR_DLL, IER_DLM, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

#define TX_FIFO_BYTES CONSOLE_BURST_BYTES
#define IER_RX	      0x01u
#define IER_THR	      0x02u
#define IIR_NONE      0x01u
#define IIR_THR	      0x02u
#define IIR_RX	      0x04u
#define IIR_FIFO      0xc0u
#define FCR_ENABLE    0x01u
#define FCR_CLEAR_RX  0x02u
#define LCR_DLAB      0x80u
#define MCR_LOOP      0x10u
#define LSR_DATA      0x01u
#define LSR_OVERRUN   0x02u
#define LSR_THR	      0x20u
#define LSR_IDLE      0x40u
#define MSR_READY     0xb0u /* DCD, DSR, CTS */

static uint32_t rx_used(const struct serial *s)
{
	return s->head - s->tail;
}

static bool rx_pending(const struct serial *s)
{
	return (s->ier & IER_RX) && rx_used(s);
}

static bool thr_pending(const struct serial *s)
{
	return (s->ier & IER_THR) && s->thr_pending;
}

/* The line is edge triggered (DSDT): low first, so each cause is an edge. */
static void update_line(struct serial *s, bool new_cause)
{
	bool level = rx_pending(s) || thr_pending(s);

	if (s->line && (!level || new_cause)) {
		s->host->ops->irq_line(s->host, s->gsi, false);
		s->line = false;
	}
	if (level && !s->line) {
		s->host->ops->irq_line(s->host, s->gsi, true);
		s->line = true;
	}
}

static void rx_put(struct serial *s, uint8_t byte)
{
	if (rx_used(s) == SERIAL_FIFO_BYTES) {
		s->overrun = true;
		return;
	}
	s->rx[s->head++ % SERIAL_FIFO_BYTES] = byte;
}

static uint8_t rx_get(struct serial *s)
{
	uint8_t byte = 0;

	if (rx_used(s))
		byte = s->rx[s->tail++ % SERIAL_FIFO_BYTES];
	if (!rx_used(s) && !(s->mcr & MCR_LOOP))
		console_want_input(s->console);
	return byte;
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t id = s->fcr & FCR_ENABLE ? IIR_FIFO : 0;

	if (rx_pending(s))
		return id | IIR_RX;
	if (thr_pending(s)) {
		s->thr_pending = false;
		return id | IIR_THR;
	}
	return id | IIR_NONE;
}

static uint8_t read_lsr(struct serial *s)
{
	uint8_t v = rx_used(s) ? LSR_DATA : 0;

	if (console_has_room(s->console, TX_FIFO_BYTES))
		v |= LSR_THR | LSR_IDLE;
	if (s->overrun)
		v |= LSR_OVERRUN;
	s->overrun = false;
	return v;
}

/* In loopback the modem outputs come back as modem inputs (8.6.7). */
static uint8_t read_msr(const struct serial *s)
{
	uint8_t m = s->mcr;

	if (!(m & MCR_LOOP))
		return MSR_READY;
	return (uint8_t)((m & 2) << 3 | (m & 1) << 5 | (m & 4) << 4 |
			 (m & 8) << 4);
}

static uint8_t read_reg(struct serial *s, enum serial_reg reg)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (reg) {
	case RBR_THR_DLL:
		return dlab ? (uint8_t)s->divisor : rx_get(s);
	case IER_DLM:
		return dlab ? (uint8_t)(s->divisor >> 8) : s->ier;
	case IIR_FCR:
		return read_iir(s);
	case LCR:
		return s->lcr;
	case MCR:
		return s->mcr;
	case LSR:
		return read_lsr(s);
	case MSR:
		return read_msr(s);
	default:
		return s->scr;
	}
}

static void serial_transmit(struct serial *s, uint8_t byte)
{
	if (s->mcr & MCR_LOOP)
		rx_put(s, byte);
	else
		(void)console_put(s->console, &s->port, &byte, 1);
	/* A driver may write a whole FIFO when told "empty": room for that. */
	s->thr_pending = console_has_room(s->console, TX_FIFO_BYTES);
}

static void write_ier(struct serial *s, uint8_t v)
{
	/* Enabling the transmitter interrupt when it is empty raises it. */
	if (!(s->ier & IER_THR) && (v & IER_THR))
		s->thr_pending = console_has_room(s->console, TX_FIFO_BYTES);
	s->ier = v & 0x0f;
}

static void write_reg(struct serial *s, enum serial_reg reg, uint8_t v)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (reg) {
	case RBR_THR_DLL:
		if (dlab)
			s->divisor = (uint16_t)((s->divisor & 0xff00) | v);
		else
			serial_transmit(s, v);
		break;
	case IER_DLM:
		if (dlab)
			s->divisor = (uint16_t)((s->divisor & 0xff) | v << 8);
		else
			write_ier(s, v);
		break;
	case IIR_FCR:
		s->fcr = v;
		if (v & FCR_CLEAR_RX)
			s->tail = s->head;
		break;
	case LCR:
		s->lcr = v;
		break;
	case MCR:
		if ((s->mcr & MCR_LOOP) && !(v & MCR_LOOP))
			console_want_input(s->console);
		s->mcr = v & 0x1f;
		break;
	case SCR:
		s->scr = v;
		break;
	default:
		break; /* LSR and MSR are read-only */
	}
}

static uint64_t io_read(void *ctx, uint64_t off, unsigned len)
{
	struct serial *s = ctx;
	uint64_t v;

	if (len != 1)
		return io_ones(len);
	(void)pthread_mutex_lock(&s->lock);
	v = read_reg(s, (enum serial_reg)off);
	update_line(s, false);
	(void)pthread_mutex_unlock(&s->lock);
	return v;
}

static void io_write(void *ctx, uint64_t off, unsigned len, uint64_t value)
{
	struct serial *s = ctx;

	if (len != 1)
		return;
	(void)pthread_mutex_lock(&s->lock);
	write_reg(s, (enum serial_reg)off, (uint8_t)value);
	update_line(s, off == RBR_THR_DLL || off == IER_DLM);
	(void)pthread_mutex_unlock(&s->lock);
}

const struct io_ops serial_ops = { io_read, io_write };

/* --- console side, I/O thread --- */

static size_t serial_port_room(struct console_port *p)
{
	struct serial *s = container_of(p, struct serial, port);
	size_t n;

	(void)pthread_mutex_lock(&s->lock);
	/* In loopback the receiver is off the line (8.6.7): input waits. */
	n = s->mcr & MCR_LOOP ? 0 : SERIAL_FIFO_BYTES - rx_used(s);
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}

static void serial_port_input(struct console_port *p, const uint8_t *buf,
			      size_t len)
{
	struct serial *s = container_of(p, struct serial, port);

	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < len; i++)
		rx_put(s, buf[i]);
	update_line(s, true);
	(void)pthread_mutex_unlock(&s->lock);
}

static void serial_port_drained(struct console_port *p)
{
	struct serial *s = container_of(p, struct serial, port);

	(void)pthread_mutex_lock(&s->lock);
	s->thr_pending = true;
	update_line(s, true);
	(void)pthread_mutex_unlock(&s->lock);
}

void serial_init(struct serial *s, struct dev_host *host, struct console *c,
		 uint32_t gsi)
{
	*s = (struct serial){ .host = host, .console = c, .gsi = gsi };
	s->divisor = 1;
	s->port = (struct console_port){ .room = serial_port_room,
					 .input = serial_port_input,
					 .drained = serial_port_drained };
	(void)pthread_mutex_init(&s->lock, NULL);
	console_add_port(c, &s->port);
}

void serial_destroy(struct serial *s)
{
	if (s->host)
		(void)pthread_mutex_destroy(&s->lock);
}
