/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * disco_hints.ko: hints of a guest's programs and of its kernel for the host
 * (hints_abi.h), by /dev/disco-hints (hints_ioctl.h).
 *
 * Uses exported symbols alone, of Linux 6.1 to 6.12. Functions return 0 or a
 * negative errno.
 */
#ifndef DISCO_HINTS_H
#define DISCO_HINTS_H

#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/types.h>

#include "hints_abi.h"
#include "hints_ioctl.h"

#define HINTS_BATCH 64u

struct hints_device {
	struct pci_dev *pdev;
	void __iomem *regs;	 /* page of registers */
	struct hints_info *info; /* and the distances: the host's */
	void *ring;		 /* HINTS_RING_BYTES */
	struct mutex lock;	 /* of the ring's producer */
	u32 tail;		 /* [L:lock] */
};

/* Entries that are pushed when there are enough of them. */
struct hints_run {
	struct hints_device *dev;
	struct hints_entry entries[HINTS_BATCH];
	unsigned int nr;
	u64 pages, given; /* pages; entries: in total */
	u16 kind, vcpu;
};

/* --- ring.c --- */

/* Wait until the host shows the ring, and take it over. */
int hints_ring_start(struct hints_device *dev);

/*
 * Wait until it has taken what was pushed, a minute at most: -ETIMEDOUT.
 * @killable: -EINTR; not for who holds memory until then.
 */
int hints_ring_flush(struct hints_device *dev, bool killable);
int hints_ring_push(struct hints_device *dev, const struct hints_entry *e,
		    unsigned int nr);

void hints_run_init(struct hints_run *run, struct hints_device *dev, u16 kind,
		    u16 vcpu);

/* -EDQUOT: the user's budget is used up. */
int hints_run_add(struct hints_run *run, u64 page, u64 pages);
int hints_run_end(struct hints_run *run);

/* --- memory.c --- */

/* Contents survive these, whoever names whose memory. */
bool hints_kind_is_safe(u16 kind);
bool hints_kind_discards(u16 kind);

/* @r->done is set, also on error. */
int hints_hint_range(struct hints_device *dev, struct hints_request *r);
int hints_hint_file(struct hints_device *dev, struct hints_request *r);
int hints_hint_bulk(struct hints_device *dev, struct hints_bulk *b);

/* --- budget.c --- */

/* One entry of the calling user's budget. Return: whether there was one. */
bool hints_budget_take(void);

#endif
