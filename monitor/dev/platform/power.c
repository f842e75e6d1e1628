/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/dev/platform/power.h"

#include "monitor/dev/platform/layout.h"

#define SLEEP_ENABLE   0x20u /* SLP_EN; SLP_TYP is bits 4:2 */
#define I8042_RESET    0xfeu
#define CF9_OFFSET     1u    /* from PORT_PCI_CONFIG */
#define CF9_STORED     0x0eu /* full reset, reset the CPU, system reset */
#define CF9_RESET_CPU  0x04u
#define FAST_A20       0x02u /* always on */
#define FAST_INIT_NOW  0x01u
#define PVPANIC_EVENTS 0x03u /* panicked, crash kernel loaded */
#define PVPANIC_BYTES  16u   /* smallest BAR PCI knows */

static uint64_t read_zero(void *ctx, uint64_t off, unsigned len)
{
	(void)ctx;
	(void)off;
	(void)len;
	return 0;
}

static void power_stop(struct dev_host *h, enum worker_stop why,
		       const char *text)
{
	h->ops->stop(h, why, text);
}

static void sleep_write(void *ctx, uint64_t off, unsigned len, uint64_t v)
{
	(void)len;
	if (off == 0 && (v & SLEEP_ENABLE) && ((v >> 2) & 7) == SLEEP_TYPE_S5)
		power_stop(ctx, STOP_POWEROFF, "guest powered off");
}

static void reset_write(void *ctx, uint64_t off, unsigned len, uint64_t v)
{
	(void)off;
	(void)len;
	if (v == RESET_VALUE)
		power_stop(ctx, STOP_RESET,
			   "guest reset (ACPI reset register)");
}

static void i8042_write(void *ctx, uint64_t off, unsigned len, uint64_t v)
{
	(void)off;
	(void)len;
	if (v == I8042_RESET)
		power_stop(ctx, STOP_RESET,
			   "guest reset (keyboard controller)");
}

const struct io_ops power_sleep_ops = { read_zero, sleep_write };
const struct io_ops power_reset_ops = { read_zero, reset_write };
const struct io_ops power_i8042_ops = { read_zero, i8042_write };

/* Both registers reset when @bit goes from 0 to 1. */
static void reset_port_write(struct reset_ports *r, _Atomic uint8_t *reg,
			     uint8_t v, uint8_t bit, const char *text)
{
	uint8_t old = atomic_exchange_explicit(reg, v, memory_order_relaxed);

	if (v & ~old & bit)
		power_stop(r->host, STOP_RESET, text);
}

/* One byte between the halves of PCI's address register, which is 32 bit. */
static uint64_t cf9_read(void *ctx, uint64_t off, unsigned len)
{
	struct reset_ports *r = ctx;

	if (off == CF9_OFFSET && len == 1)
		return atomic_load_explicit(&r->cf9, memory_order_relaxed);
	return pci_port_ops.read(r->pci, off, len);
}

static void cf9_write(void *ctx, uint64_t off, unsigned len, uint64_t v)
{
	struct reset_ports *r = ctx;

	if (off == CF9_OFFSET && len == 1)
		reset_port_write(r, &r->cf9, v & CF9_STORED, CF9_RESET_CPU,
				 "guest reset (port 0xcf9)");
	else
		pci_port_ops.write(r->pci, off, len, v);
}

static uint64_t fast_read(void *ctx, uint64_t off, unsigned len)
{
	struct reset_ports *r = ctx;

	(void)off;
	(void)len;
	return FAST_A20 | atomic_load_explicit(&r->fast, memory_order_relaxed);
}

static void fast_write(void *ctx, uint64_t off, unsigned len, uint64_t v)
{
	struct reset_ports *r = ctx;

	(void)off;
	(void)len;
	reset_port_write(r, &r->fast, v & FAST_INIT_NOW, FAST_INIT_NOW,
			 "guest reset (port 0x92)");
}

const struct io_ops power_cf9_ops = { cf9_read, cf9_write };
const struct io_ops power_fast_ops = { fast_read, fast_write };

void reset_ports_init(struct reset_ports *r, struct dev_host *host,
		      struct pci_bus *pci)
{
	*r = (struct reset_ports){ .host = host, .pci = pci };
}

void power_button_press(struct dev_host *host)
{
	host->ops->irq_line(host, GSI_BUTTON, true);
	host->ops->irq_line(host, GSI_BUTTON, false);
}

static uint64_t pvpanic_read(struct pci_dev *d, uint64_t off, unsigned len)
{
	(void)d;
	(void)len;
	return off == 0 ? PVPANIC_EVENTS : 0;
}

static void pvpanic_write(struct pci_dev *d, uint64_t off, unsigned len,
			  uint64_t v)
{
	struct pvpanic *p = container_of(d, struct pvpanic, pci);

	(void)len;
	if (off == 0 && (v & PVPANIC_EVENTS))
		power_stop(p->host, STOP_PANIC, "its panic device says so");
}

void pvpanic_init(struct pvpanic *p, struct dev_host *host)
{
	static const struct pci_dev_ops ops = { .bar_read = pvpanic_read,
						.bar_write = pvpanic_write };
	static const struct pci_id id = { .vendor = 0x1b36,
					  .device = 0x0011,
					  .subsystem_vendor = 0x1af4,
					  .subsystem = 0x1100,
					  .revision = 1,
					  .class_code = 0x088000 };

	p->host = host;
	pci_dev_init(&p->pci, &id, &ops, PVPANIC_BYTES);
}
