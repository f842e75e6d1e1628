/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes: what the kernel's memory management offers. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "memory/uffd.h"
#include "monitor/control/doctor/doctor.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define ENOUGH_MAPS    65530u
#define ENOUGH_MEMLOCK MIB(8)

static const struct {
	uint64_t bit;
	const char *name;
} uffd_features[] = {
	{ UFFD_FEATURE_MISSING_SHMEM, "missing-shmem" },
	{ UFFD_FEATURE_MINOR_SHMEM, "minor-shmem" },
	{ UFFD_FEATURE_PAGEFAULT_FLAG_WP, "wp" },
	{ UFFD_FEATURE_THREAD_ID, "thread-id" },
};

/* Names of the features that are (or are not) in @have. */
static size_t list_features(uint64_t have, bool there, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(uffd_features); i++)
		if (!!(have & uffd_features[i].bit) == there)
			len += (size_t)snprintf(buf + len, size - len, " %s",
						uffd_features[i].name);
	return len;
}

static void judge_uffd(struct check *c, uint64_t features, const char *how)
{
	char have[80], lack[80];
	size_t lacking;

	(void)list_features(features, true, have, sizeof(have));
	lacking = list_features(features, false, lack, sizeof(lack));
	check_value(c, lacking || !how ? VERDICT_WARN : VERDICT_OK, "%s:%s",
		    how ? how : "user-mode faults only", have);
	if (!how)
		check_advice(c, "faults of KVM are kernel faults: give this "
				"user /dev/userfaultfd, or sysctl -w "
				"vm.unprivileged_userfaultfd=1");
	else if (lacking)
		check_advice(c, "this kernel lacks%s", lack);
}

static void probe_uffd(struct check *c)
{
	const char *how = NULL;
	int fd = uffd_open(O_CLOEXEC, &how), err;
	uint64_t have = 0;

	if (fd < 0) {
		check_value(c, fd == -ENOSYS ? VERDICT_ABSENT : VERDICT_WARN,
			    "%s", strerror(-fd));
		check_advice(c, "no samples by faults, no paged DAX regions: "
				"give this user /dev/userfaultfd, or sysctl -w "
				"vm.unprivileged_userfaultfd=1");
		return;
	}
	err = uffd_enable(fd, 0, &have);
	/* What counts is what workers may do. */
	if (uffd_by_capability(how))
		how = NULL;
	if (err)
		check_value(c, VERDICT_WARN, "UFFDIO_API: %s", strerror(-err));
	else
		judge_uffd(c, have, how);
	(void)close(fd);
}

/* The word in brackets of "always [madvise] never". */
static bool doctor_memory_chosen(const char *path, char *out, size_t size)
{
	char line[128];
	const char *open_at;

	if (doctor_read_line(path, line, sizeof(line)))
		return false;
	open_at = strchr(line, '[');
	if (!open_at)
		return false;
	(void)snprintf(out, size, "%.*s", (int)strcspn(open_at + 1, "]"),
		       open_at + 1);
	return true;
}

/* As monitor/control/workers/ram_file.h does. */
static bool may_mount(void)
{
	int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs >= 0)
		(void)close(fs);
	return fs >= 0;
}

/* Of no bytes: is the advice known? */
static bool can_collapse(void)
{
	return madvise(NULL, 0, MADV_COLLAPSE) == 0;
}

static void probe_thp(struct check *c)
{
	char mode[32], shmem[32] = "absent";
	bool usable;

	if (!doctor_memory_chosen("/sys/kernel/mm/transparent_hugepage/enabled",
				  mode, sizeof(mode))) {
		check_value(c, VERDICT_ABSENT, "not in this kernel");
		check_advice(c, "guest RAM has pages of 4 KiB");
		return;
	}
	(void)doctor_memory_chosen(
		"/sys/kernel/mm/transparent_hugepage/shmem_enabled", shmem,
		sizeof(shmem));
	/* Root mounts a tmpfs of its own, which only "deny" forbids. */
	usable = strcmp(shmem, "deny") != 0 && strcmp(shmem, "absent") != 0 &&
		 (strcmp(shmem, "never") != 0 || may_mount());
	check_value(c, usable ? VERDICT_OK : VERDICT_WARN,
		    "%s; shared memory: %s", mode, shmem);
	if (!usable)
		check_advice(c, "guest RAM has pages of 4 KiB: huge ones of "
				"shared memory need root, or 'advise' in "
				"/sys/kernel/mm/transparent_hugepage/"
				"shmem_enabled");
	else if (!can_collapse())
		check_advice(c, "before Linux 6.1 huge pages that were taken "
				"apart stay so");
}

static void probe_hugetlb(struct check *c)
{
	static const char *const sizes[] = { "2048", "1048576" };
	char text[256] = "", path[128], line[32];
	size_t len = 0;

	for (int node = 0; node < MAX_NODES; node++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			(void)snprintf(path, sizeof(path),
				       "/sys/devices/system/node/node%d/"
				       "hugepages/hugepages-%skB/nr_hugepages",
				       node, sizes[i]);
			if (doctor_read_line(path, line, sizeof(line)) ||
			    len >= sizeof(text) - 64)
				continue;
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%snode %d: %.12s of %s MiB",
						len ? "; " : "", node, line,
						i ? "1024" : "2");
		}
	if (!len)
		check_value(c, VERDICT_ABSENT, "no pools");
	else
		check_value(c, VERDICT_OK, "%s", text);
}

static void probe_ksm(struct check *c)
{
	char line[32];

	if (doctor_read_line("/sys/kernel/mm/ksm/run", line, sizeof(line))) {
		check_value(c, VERDICT_ABSENT, "not in this kernel");
	} else if (strcmp(line, "1") == 0) {
		check_value(c, VERDICT_WARN, "running");
		check_advice(c, "it may merge pages across nodes and guests; "
				"echo 2 > /sys/kernel/mm/ksm/run ends it");
	} else {
		check_value(c, VERDICT_OK, "%s (not running)", line);
	}
}

static void probe_max_maps(struct check *c)
{
	char line[32];

	if (doctor_read_line("/proc/sys/vm/max_map_count", line,
			     sizeof(line))) {
		check_value(c, VERDICT_ABSENT, "unknown");
		return;
	}
	check_value(c,
		    strtoul(line, NULL, 10) < ENOUGH_MAPS ? VERDICT_WARN
							  : VERDICT_OK,
		    "%s", line);
	if (c->verdict == VERDICT_WARN)
		check_advice(c,
			     "few overlays a guest; sysctl -w "
			     "vm.max_map_count=%u",
			     ENOUGH_MAPS);
}

static void probe_memlock(struct check *c)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_MEMLOCK, &r)) {
		check_value(c, VERDICT_ABSENT, "unknown");
		return;
	}
	if (r.rlim_cur == RLIM_INFINITY) {
		check_value(c, VERDICT_OK, "unlimited");
		return;
	}
	check_value(c, r.rlim_cur < ENOUGH_MEMLOCK ? VERDICT_WARN : VERDICT_OK,
		    "%" PRIu64 " KiB", (uint64_t)r.rlim_cur >> 10);
	if (c->verdict == VERDICT_WARN)
		check_advice(c, "may be too little for registered I/O buffers; "
				"raise it with ulimit -l");
}

const struct probe doctor_memory_probes[] = {
	{ "userfaultfd", probe_uffd },
	{ "transparent-huge", probe_thp },
	{ "hugetlb", probe_hugetlb },
	{ "ksm", probe_ksm },
	{ "max-map-count", probe_max_maps },
	{ "memlock", probe_memlock },
	{ NULL, NULL },
};
