/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/descriptors.h"

#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>

#include "monitor/control/workers/spawn_child.h"

/* Control's own: KVM, loop, signals, two sinks, a directory that is read. */
#define OWN_FDS 8u
/*
 * Of a VM: its boot image, its program, and the worker's process, control
 * socket, console and log.
 */
#define VM_FDS 6u
/* A kernel and an initrd from a disk, where no cache can keep them. */
#define DISK_BOOT_FDS 2u
/* A worker's and ours, until it is started. */
#define SPAWN_FDS_MORE 12u
/* A monitor's: state directory, API and a few clients, agents of a few nodes. */
#define MONITOR_FDS 32u
/* Descriptors of a disk, see worker_disk_fds(). */
#define COW_FDS	   2u
#define DIRECT_FDS 2u

void descriptors_allow(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 &&
	    lim.rlim_cur < lim.rlim_max) {
		lim.rlim_cur = lim.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &lim);
	}
}

static unsigned count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	while (dir && readdir(dir))
		n++;
	if (dir)
		(void)closedir(dir);
	return n;
}

/* Of a network of a VM: region, twice, and both ends of the wake-ups. */
#define NET_FDS 4u

/* Of a segment of a VM: its own, and the one of all. */
#define SHM_FDS 2u

/* The child of a start moves what it has up, before it moves it down. */
static uint64_t with_child(uint64_t held, unsigned worker_fds)
{
	return max_u64(held + SPAWN_FDS_MORE, SPAWN_HIGH_FD) + 3 +
	       WORKER_FD_DISK0 + worker_fds;
}

static int descriptors_check(const char *what, uint64_t need, struct diag *d)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || need <= lim.rlim_max)
		return 0;
	return diag_fail(d, ST_HOST, EMFILE,
			 "%s may need %llu open files, and %llu are allowed "
			 "(ulimit -n); raise the limit",
			 what, (unsigned long long)need,
			 (unsigned long long)lim.rlim_max);
}

static unsigned disk_fds(const struct vm_config *vm, unsigned direct)
{
	unsigned n = 0;

	for (unsigned i = 0; i < vm->nr_disks; i++) {
		const struct disk_config *disk = &vm->disks[i];
		bool two = disk->cow || (disk->snapshot && !disk->pmem);

		n += two ? COW_FDS + (disk->pmem ? 0 : direct) : 1;
	}
	return n + (vm->cloud_init ? 1 : 0);
}

/* @direct: descriptors for O_DIRECT, which COW disks can do without. */
static uint64_t need_of(const struct run_config *cfg, unsigned direct)
{
	uint64_t held = count_open() + OWN_FDS;
	unsigned most = 0;

	for (unsigned i = 0; i < cfg->nr_vms; i++) {
		unsigned n = disk_fds(&cfg->vms[i], direct);

		held += VM_FDS + n + NET_FDS * cfg->vms[i].nr_nets +
			SHM_FDS * cfg->vms[i].nr_shms;
		if (!cfg->vms[i].kernel)
			held += DISK_BOOT_FDS;
		n += WORKER_NET_FDS * cfg->vms[i].nr_nets + cfg->vms[i].nr_shms;
		most = n > most ? n : most;
	}
	return with_child(held, most);
}

/*
 * Those for O_DIRECT take numbers in the lower half of the limit only
 * (disk_files.c): with twice what the others need, all of them fit.
 */
int descriptors_for_vms(const struct run_config *cfg, struct diag *d)
{
	uint64_t all = need_of(cfg, DIRECT_FDS), few = need_of(cfg, 0);

	return descriptors_check("this", min_u64(all, 2 * few), d);
}

int descriptors_for_monitor(struct diag *d)
{
	return descriptors_check("a monitor",
				 with_child(count_open() + MONITOR_FDS,
					    WORKER_MAX_DISK_FDS +
						    WORKER_MAX_NET_FDS +
						    WORKER_MAX_SHM_FDS),
				 d);
}
