// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How many entries a user may push: HINTS_USER_ENTRIES a second, and as many at
 * once. The host bounds what the whole guest may do; this keeps one user from
 * taking all of that. Root has no bound.
 *
 * A user whose slot another one needed begins anew with a full budget: users who
 * share 64 slots are more than a guest of this kind has.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/jiffies.h>
#include <linux/spinlock.h>
#include <linux/uidgid.h>

#include "disco_hints.h"

#define SLOTS 64u

static DEFINE_SPINLOCK(budget_lock);
static struct budget_slot {
	uid_t uid;
	bool used;
	u32 left;
	unsigned long counted; /* jiffies */
} budget_slots[SLOTS];

static struct budget_slot *budget_slot_of(uid_t uid)
{
	struct budget_slot *slot = &budget_slots[uid % SLOTS];

	if (slot->used && slot->uid == uid)
		return slot;
	*slot = (struct budget_slot){ .uid = uid,
				      .used = true,
				      .left = HINTS_USER_ENTRIES,
				      .counted = jiffies };
	return slot;
}

static void budget_earn(struct budget_slot *slot)
{
	unsigned long passed = jiffies - slot->counted;
	unsigned long earned =
		min(passed, (unsigned long)HZ) * HINTS_USER_ENTRIES / HZ;

	if (!earned)
		return;
	slot->left = min(slot->left + (u32)earned, HINTS_USER_ENTRIES);
	slot->counted = jiffies;
}

bool hints_budget_take(void)
{
	struct budget_slot *slot;
	bool there;

	if (capable(CAP_SYS_ADMIN))
		return true;
	spin_lock(&budget_lock);
	slot = budget_slot_of(from_kuid(&init_user_ns, current_uid()));
	budget_earn(slot);
	there = slot->left > 0;
	if (there)
		slot->left--;
	spin_unlock(&budget_lock);
	return there;
}
