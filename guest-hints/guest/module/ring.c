// SPDX-License-Identifier: GPL-2.0-or-later
/* The producer's end of the ring; hints_abi.h has its rules. */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/sched/signal.h>

#include "disco_hints.h"

#define SHOW_MS 60000u /* until the host has shown the ring */
#define TAKE_MS 60000u /* until it has taken entries */

static u32 producer_head(const struct hints_device *dev)
{
	return smp_load_acquire(&dev->info->head);
}

static struct hints_tail *producer_tail(const struct hints_device *dev)
{
	return dev->ring;
}

static struct hints_entry *producer_slot(const struct hints_device *dev, u32 n)
{
	struct hints_entry *entries =
		dev->ring + (HINTS_ENTRIES_AT - HINTS_TAIL_AT);

	return &entries[n % HINTS_ENTRIES];
}

static void producer_doorbell(struct hints_device *dev)
{
	iowrite32(1, dev->regs + HINTS_REG_DOORBELL);
}

/* Until at most @left entries wait. */
static int producer_wait(struct hints_device *dev, u32 left, bool killable)
{
	unsigned int ms;

	for (ms = 0; ms < TAKE_MS; ms++) {
		u32 waiting = dev->tail - producer_head(dev);

		/* More than there is room for: the ring is being reset. */
		if (waiting <= left || waiting > HINTS_ENTRIES)
			return 0;
		if (killable && fatal_signal_pending(current))
			return -EINTR;
		usleep_range(500, 1000);
	}
	return -ETIMEDOUT;
}

/* A program that used it without us may have left it broken. */
static void producer_reset(struct hints_device *dev)
{
	WRITE_ONCE(producer_tail(dev)->tail, 0);
	dev->tail = 0;
	iowrite32(1, dev->regs + HINTS_REG_RESET);
}

int hints_ring_start(struct hints_device *dev)
{
	unsigned int ms;

	for (ms = 0; READ_ONCE(dev->info->magic) != HINTS_MAGIC; ms++) {
		if (ms == SHOW_MS)
			return -ETIMEDOUT;
		usleep_range(500, 1000);
	}
	mutex_lock(&dev->lock);
	producer_reset(dev);
	mutex_unlock(&dev->lock);
	return 0;
}

int hints_ring_push(struct hints_device *dev, const struct hints_entry *e,
		    unsigned int nr)
{
	unsigned int i;
	int err = 0;

	if (mutex_lock_killable(&dev->lock))
		return -EINTR;
	if (READ_ONCE(dev->info->flags) & HINTS_INFO_BROKEN)
		producer_reset(dev);
	for (i = 0; i < nr; i++) {
		if (dev->tail - producer_head(dev) >= HINTS_ENTRIES) {
			producer_doorbell(dev);
			err = producer_wait(dev, HINTS_ENTRIES / 2, true);
			if (err)
				break;
		}
		*producer_slot(dev, dev->tail++) = e[i];
		smp_store_release(&producer_tail(dev)->tail, dev->tail);
	}
	producer_doorbell(dev);
	mutex_unlock(&dev->lock);
	return err;
}

/* Under the lock: what others push meanwhile is not waited for. */
int hints_ring_flush(struct hints_device *dev, bool killable)
{
	int err;

	if (!killable)
		mutex_lock(&dev->lock);
	else if (mutex_lock_killable(&dev->lock))
		return -EINTR;
	err = producer_wait(dev, 0, killable);
	mutex_unlock(&dev->lock);
	return err;
}

/* --- runs ------------------------------------------------------------------- */

void hints_run_init(struct hints_run *run, struct hints_device *dev, u16 kind,
		    u16 vcpu)
{
	run->dev = dev;
	run->nr = 0;
	run->pages = run->given = 0;
	run->kind = kind;
	run->vcpu = kind == HINTS_PRIVATE ? vcpu : HINTS_ANY_VCPU;
}

int hints_run_end(struct hints_run *run)
{
	unsigned int nr = run->nr;

	run->nr = 0;
	return nr ? hints_ring_push(run->dev, run->entries, nr) : 0;
}

int hints_run_add(struct hints_run *run, u64 page, u64 pages)
{
	struct hints_entry *last = run->nr ? &run->entries[run->nr - 1] : NULL;
	int err;

	if (last && last->page + last->pages == page &&
	    last->pages + pages <= HINTS_MAX_PAGES) {
		last->pages += pages;
		run->pages += pages;
		return 0;
	}
	if (!hints_budget_take())
		return -EDQUOT;
	if (run->nr == HINTS_BATCH) {
		err = hints_run_end(run);
		if (err)
			return err;
	}
	run->entries[run->nr++] = (struct hints_entry){ .page = page,
							.pages = pages,
							.kind = run->kind,
							.vcpu = run->vcpu };
	run->given++;
	run->pages += pages;
	return 0;
}
