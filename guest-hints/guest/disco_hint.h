/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libdisco-hint: a program in a guest of Disco says how it uses its memory, and
 * learns where it runs. Plain C, for bindings of any language.
 *
 *	struct disco_hint *h;
 *
 *	if (disco_hint_open(&h) == 0)
 *		(void)disco_hint_range(h, scene, bytes,
 *				       DISCO_HINT_READ_MOSTLY, 0);
 *
 * A hint is advice: a program works the same without a device, which is every
 * program outside of Disco, and functions that have nothing to do return 0.
 *
 * Hints are about the pages that memory has now. Pages that are not there yet
 * are left out; give the hint when the data is in place, and again when much of
 * it has changed.
 *
 * With the kernel module (package disco-guest-hints-dkms) anybody may use the
 * library, within a budget per user. Without it, root may.
 *
 * A handle may be used by one thread at a time. All functions that return int
 * return 0 or more, or a negative errno.
 */
#ifndef DISCO_HINT_H
#define DISCO_HINT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DISCO_HINT_API 1

struct disco_hint;

/* The values are those of the device: they do not change. */
enum disco_hint_kind {
	DISCO_HINT_READ_MOSTLY = 1, /* read often, written seldom */
	DISCO_HINT_PRIVATE = 2,	    /* used by one virtual CPU alone */
	DISCO_HINT_REWRITE = 3,	    /* about to be written */
	DISCO_HINT_COLD = 4,	    /* not used for long */
	DISCO_HINT_PIN = 7,	    /* not to be moved to another node */
	DISCO_HINT_PIN_OFF = 8,	    /* may be moved again */
	DISCO_HINT_MERGE = 11,	    /* other guests have the same */
	DISCO_HINT_FORGET = 12,	    /* earlier hints are over */
};

enum disco_hint_bulk {
	DISCO_HINT_BULK_PAGE_TABLES = 1, /* of all processes: rewritten */
	DISCO_HINT_BULK_FREE = 2,	 /* free memory goes back */
	DISCO_HINT_BULK_KERNEL = 3,	 /* text and constants: merged */
};

/* Flags of the guest, see disco_hint_flags(). */
#define DISCO_HINT_REPLICAS 1 /* its pages may have replicas */
#define DISCO_HINT_KEEPS    2 /* its memory is reserved for it */
#define DISCO_HINT_SLOWED   4 /* hints wait: there were too many */

/**
 * disco_hint_open() - find the device
 * @out: released with disco_hint_close(); untouched on error
 *
 * Return: 0; -ENODEV there is none, so this is no guest of Disco, or it has
 * hints=off; -EACCES it is there, and the caller may not use it; -EPROTO it is
 * of another version; -errno.
 */
int disco_hint_open(struct disco_hint **out);

/* NULL is accepted. Hints that were given stay. */
void disco_hint_close(struct disco_hint *h);

/**
 * disco_hint_range() - hint pages of the caller
 * @start, @bytes: whole pages inside are hinted
 * @kind:          enum disco_hint_kind
 * @vcpu:          DISCO_HINT_PRIVATE: the virtual CPU (as of sched_getcpu());
 *                 else ignored
 *
 * Return: 0; -EINVAL; -EDQUOT the user's budget; -ETIMEDOUT the host takes no
 * hints; -errno.
 */
int disco_hint_range(struct disco_hint *h, const void *start, size_t bytes,
		     int kind, unsigned vcpu);

/* The same for another process. Root alone. */
int disco_hint_process(struct disco_hint *h, pid_t pid, uint64_t start,
		       uint64_t bytes, int kind, unsigned vcpu);

/**
 * disco_hint_file() - hint what the page cache has of a file
 * @fd:             open for reading
 * @offset, @bytes: whole pages inside; @bytes 0: to its end
 */
int disco_hint_file(struct disco_hint *h, int fd, uint64_t offset,
		    uint64_t bytes, int kind);

/**
 * disco_hint_free() - give memory back to the machine; its contents are lost
 * @start, @bytes: whole pages inside
 *
 * Anonymous private memory of the caller that no other process shares; other
 * pages are left as they are. It may be used afterwards: it reads as zeroes or
 * as before, and takes memory of the machine again when it is written.
 *
 * Return: pages that were given to the host; -errno.
 */
int64_t disco_hint_free(struct disco_hint *h, void *start, size_t bytes);

/* The same, but afterwards it certainly reads as zeroes where it was given. */
int64_t disco_hint_zero(struct disco_hint *h, void *start, size_t bytes);

/* A phase of the guest's work begins (@begins not 0) or ends. */
int disco_hint_phase(struct disco_hint *h, uint64_t phase, int begins);

/**
 * disco_hint_bulk() - hint what the kernel knows of all memory. Root alone.
 * @what:  enum disco_hint_bulk
 * @bytes: at most so much; 0: no limit
 *
 * Return: pages that were hinted; -errno.
 */
int64_t disco_hint_bulk(struct disco_hint *h, int what, uint64_t bytes);

/* Wait until the host has taken all hints that were given so far. */
int disco_hint_flush(struct disco_hint *h);

/* --- what the host tells ------------------------------------------------------ */

/* Home node of a virtual CPU. Return: its number; -ENOENT; -errno. */
int disco_hint_home(struct disco_hint *h, unsigned vcpu);

/* ACPI distance of two nodes; 10 is local. Return: it; -ENOENT; -errno. */
int disco_hint_distance(struct disco_hint *h, unsigned from, unsigned to);

/* Number of virtual CPUs; number of nodes, 0: not known. */
int disco_hint_vcpus(struct disco_hint *h);
int disco_hint_nodes(struct disco_hint *h);

/* DISCO_HINT_REPLICAS, ... */
int disco_hint_flags(struct disco_hint *h);

/* Hints that the host has taken, and of these, those of no use; 64 bits wrap. */
int disco_hint_counts(struct disco_hint *h, uint64_t *taken, uint64_t *refused);

/* The path of the device that is used: static, or of the handle. */
const char *disco_hint_path(const struct disco_hint *h);

#ifdef __cplusplus
}
#endif

#endif
