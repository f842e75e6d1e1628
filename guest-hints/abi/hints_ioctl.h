/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-or-later */
/*
 * /dev/disco-hints: what the kernel module (guest-hints/guest/module) offers to
 * programs of the guest. It owns the ring of hints_abi.h while it is loaded.
 *
 * read(2) returns struct hints_info, and from HINTS_DISTANCE_AT - HINTS_INFO_AT
 * on the table of distances, as pages that pread(2) may address.
 *
 * Anybody may hint memory of their own, and files that they may read, within
 * HINTS_USER_ENTRIES entries a second per user; root has no limit. A request that would
 * exceed it does what it can, and says in .done how far it came.
 */
#ifndef DISCO_HINTS_IOCTL_H
#define DISCO_HINTS_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define HINTS_DEVICE_NAME  "disco-hints"
#define HINTS_USER_ENTRIES 2000u

/* Memory of the caller, or a part of a file, as .fd says. */
struct hints_request {
	__u64 start; /* address, or offset in the file; a multiple of 4096 */
	__u64 bytes; /* a multiple of 4096 */
	__u64 arg;   /* of phases, which have neither */
	__u64 done;  /* out: bytes from start on that were looked at */
	__s32 fd;    /* HINTS_IOC_FILE */
	__u16 kind;  /* enum hints_kind */
	__u16 vcpu;
};

/* What the kernel knows of all of the guest's memory. CAP_SYS_ADMIN. */
enum hints_bulk_what {
	HINTS_BULK_PAGE_TABLES = 1, /* HINTS_PRIVATE has no vCPU: REWRITE */
	HINTS_BULK_FREE = 2,	    /* free memory in large blocks: FREE */
};

struct hints_bulk {
	__u32 what;
	__u32 zero;
	__u64 most_pages; /* to hint; 0: no limit */
	__u64 pages;	  /* out: that were hinted */
	__u64 entries;	  /* out */
};

/*
 * Each returns 0, or fails with: EINVAL; EFAULT; EPERM; EBADF; EDQUOT the
 * user's budget is used up, .done says how far it came; EINTR; ENODEV the device
 * is gone; ETIMEDOUT the host does not take hints.
 */
#define HINTS_IOC_RANGE _IOWR('D', 0x80, struct hints_request)
#define HINTS_IOC_FILE	_IOWR('D', 0x81, struct hints_request)
#define HINTS_IOC_PHASE _IOW('D', 0x82, struct hints_request)
#define HINTS_IOC_BULK	_IOWR('D', 0x83, struct hints_bulk)
/* .start is a physical address; kinds that keep contents. CAP_SYS_ADMIN. */
#define HINTS_IOC_FRAMES _IOWR('D', 0x85, struct hints_request)
#define HINTS_IOC_FLUSH	 _IO('D', 0x84) /* until all were taken */

_Static_assert(sizeof(struct hints_request) == 40, "shared layout");
_Static_assert(sizeof(struct hints_bulk) == 32, "shared layout");

#endif
