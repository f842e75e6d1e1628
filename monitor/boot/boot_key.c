/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/boot/boot_key.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define NS_PER_S   1000000000ull
#define SETTLED_NS (2 * NS_PER_S)

_Static_assert(sizeof(struct boot_key) == 12 * sizeof(uint64_t), "no padding");

static uint64_t to_ns(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * NS_PER_S + (uint64_t)t->tv_nsec;
}

/* A time in the future has not settled either. */
static bool boot_key_settled(uint64_t now, uint64_t at)
{
	return at < now && now - at > SETTLED_NS;
}

static bool boot_key_look(const char *path, uint64_t now,
			  struct boot_key_file *f)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	*f = (struct boot_key_file){ .dev = st.st_dev,
				     .ino = st.st_ino,
				     .bytes = (uint64_t)st.st_size,
				     .changed_ns = to_ns(&st.st_ctim),
				     .modified_ns = to_ns(&st.st_mtim) };
	return boot_key_settled(now, f->changed_ns) &&
	       boot_key_settled(now, f->modified_ns);
}

struct boot_key boot_key_make(const char *kernel, const char *initrd,
			      bool keep_packed)
{
	struct boot_key key = { .keep_packed = keep_packed };
	struct timespec now;

	/* The clock of file times: CLOCK_REALTIME would be ahead of it. */
	if (clock_gettime(CLOCK_REALTIME_COARSE, &now) == 0)
		key.known = boot_key_look(kernel, to_ns(&now), &key.kernel) &&
			    (!initrd ||
			     boot_key_look(initrd, to_ns(&now), &key.initrd));
	return key;
}

bool boot_key_same(const struct boot_key *a, const struct boot_key *b)
{
	return a->known && memcmp(a, b, sizeof(*a)) == 0;
}
