/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes: sources of access information. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/perf_event.h>

#include "memory/sampling/damon.h"
#include "memory/sampling/dirty_log.h"
#include "memory/sampling/page_idle.h"
#include "memory/sampling/page_traps.h"
#include "monitor/control/doctor/doctor.h"
#include "numa/flash.h"

#define SOURCES "/sys/bus/event_source/devices/"

static bool doctor_perf_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static void probe_ibs(struct check *c)
{
	if (doctor_perf_exists(SOURCES "ibs_op")) {
		check_value(c, VERDICT_OK, "ibs_op (AMD)");
		return;
	}
	check_value(c, VERDICT_ABSENT, "no ibs_op");
}

static void probe_pebs(struct check *c)
{
	char precise[16] = "0";

	(void)doctor_read_line(SOURCES "cpu/caps/max_precise", precise,
			       sizeof(precise));
	if (doctor_perf_exists(SOURCES "cpu/events/mem-loads")) {
		check_value(c, VERDICT_OK, "mem-loads (Intel), max_precise %s",
			    precise);
	} else if (doctor_cpu_flag("pebs")) {
		check_value(c, VERDICT_WARN,
			    "CPU flag only, max_precise %s, no mem-loads",
			    precise);
		check_advice(c, "no load-latency sampling on this CPU or under "
				"this hypervisor");
	} else {
		check_value(c, VERDICT_ABSENT, "no pebs flag, no mem-loads");
	}
}

/* 0 or -errno of counting @config on this thread. */
static int try_event(uint32_t type, uint64_t config)
{
	struct perf_event_attr attr = {
		.type = type,
		.size = sizeof(attr),
		.config = config,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			  PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return -errno;
	(void)close((int)fd);
	return 0;
}

static void report_event(struct check *c, const char *what, int err)
{
	char paranoid[16];

	if (err == 0) {
		check_value(c, VERDICT_OK, "%s can be counted", what);
	} else if (err == -EACCES || err == -EPERM) {
		(void)doctor_read_line("/proc/sys/kernel/perf_event_paranoid",
				       paranoid, sizeof(paranoid));
		check_value(c, VERDICT_WARN, "%s: %s", what, strerror(-err));
		check_advice(c,
			     "perf_event_paranoid is %s: sysctl -w "
			     "kernel.perf_event_paranoid=1, or CAP_PERFMON",
			     paranoid);
	} else {
		check_value(c, VERDICT_ABSENT, "%s: %s", what, strerror(-err));
	}
}

static void probe_hardware(struct check *c)
{
	report_event(c, "instructions",
		     try_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS));
}

static void probe_software(struct check *c)
{
	report_event(c, "page faults",
		     try_event(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS));
}

/* Of a lab that counts (lab/run --flash): there alone is it worth a line. */
static void probe_flash(struct check *c)
{
	struct diag d = { 0 };
	struct flash f;
	int err = flash_open(&f, NULL, &d);

	if (err == -ENOENT) {
		check_value(c, VERDICT_ABSENT, "not a lab that counts misses");
		return;
	}
	if (err) {
		check_value(c, VERDICT_WARN, "%s", d.text);
		return;
	}
	check_value(c, VERDICT_OK, "a lab's counters, %u CPUs, %u nodes",
		    f.nr_cpus, f.nr_nodes);
	flash_close(&f);
}

/* 0: workers can sample accesses by faults; -errno: why not. */
static int doctor_perf_faults(void)
{
	int err = page_traps_probe();

	return err ? err : page_traps_first_pids() ? 0 : -ESRCH;
}

static void probe_faults(struct check *c)
{
	int err = doctor_perf_faults();

	if (err == 0) {
		check_value(c, VERDICT_OK,
			    "traps in shared memory, with thread numbers");
		check_advice(c, "on request: disco monitor "
				"--access-source=faults");
	} else if (err == -ESRCH) {
		check_value(c, VERDICT_WARN, "in a PID namespace");
		check_advice(c, "KVM's own threads, which take most faults of "
				"guests, have no numbers here: few accesses "
				"would have a node");
	} else if (err == -EOPNOTSUPP) {
		check_value(c, VERDICT_ABSENT,
			    "userfaultfd without minor-shmem or thread-id");
		check_advice(c, "Linux 5.14 has them");
	} else {
		check_value(c, VERDICT_WARN, "userfaultfd: %s", strerror(-err));
		check_advice(c, "see the line 'userfaultfd'");
	}
}

/* One line each, the same that a monitor that asks for them prints. */
static int doctor_perf_damon(struct diag *d)
{
	return damon_probe(DAMON_ROOT, d);
}

static int doctor_perf_idle(struct diag *d)
{
	int fd = page_idle_open(PAGE_IDLE_PATH, d);

	if (fd >= 0)
		(void)close(fd);
	return fd < 0 ? fd : 0;
}

static int doctor_perf_dirty(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int err = fd < 0 ? -errno : dirty_log_probe(fd);

	if (fd >= 0)
		(void)close(fd);
	return err;
}

static void report_bits(struct check *c, int err, const char *what,
			const char *option, const struct diag *d)
{
	if (err == 0) {
		check_value(c, VERDICT_OK, "%s", what);
		check_advice(c, "on request: disco monitor --access-source=%s",
			     option);
	} else {
		check_value(c,
			    err == -ENOENT || err == -ENOTSUP ? VERDICT_ABSENT
							      : VERDICT_WARN,
			    "%s", d->text);
	}
	if (err == -EBUSY)
		check_advice(c, "Disco touches no kdamond that it has not "
				"started; stop the other user of DAMON first");
	if (err == -EAGAIN)
		check_advice(c, "one monitor per machine can use it");
}

static void probe_damon(struct check *c)
{
	struct diag d = { 0 };
	int err = doctor_perf_damon(&d);

	report_bits(c, err, "accessed bits of processes", "damon", &d);
}

static void probe_idle(struct check *c)
{
	struct diag d = { 0 };
	int err = doctor_perf_idle(&d);

	report_bits(c, err, "accessed bits by frame", "page_idle", &d);
}

static void probe_dirty(struct check *c)
{
	int err = doctor_perf_dirty();

	if (err == 0) {
		check_value(c, VERDICT_OK,
			    "KVM's dirty log, with manual protection");
		check_advice(c, "on request: disco monitor "
				"--access-source=dirty");
	} else if (err == -EOPNOTSUPP) {
		check_value(c, VERDICT_ABSENT,
			    "KVM's dirty log lacks manual protection");
		check_advice(c, "Linux 5.8 has it");
	} else {
		check_value(c, VERDICT_ABSENT, "/dev/kvm: %s", strerror(-err));
	}
}

/* Those that a monitor can be asked for here; @list: "" if there are none. */
static void doctor_perf_on_request(char *list, size_t size)
{
	struct diag d = { 0 };
	const struct {
		const char *name;
		bool there;
	} sources[] = { { "faults", doctor_perf_faults() == 0 },
			{ "damon", doctor_perf_damon(&d) == 0 },
			{ "page_idle", doctor_perf_idle(&d) == 0 },
			{ "dirty", doctor_perf_dirty() == 0 } };
	size_t len = 0;

	*list = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (sources[i].there && len < size)
			len += (size_t)snprintf(list + len, size - len, "%s%s",
						len ? ", " : "",
						sources[i].name);
}

/* Which of them the monitor takes (placer_choose_source()), and why. */
static void probe_source(struct check *c)
{
	int fd = flash_open_fd();
	char list[64];

	if (fd >= 0) {
		(void)close(fd);
		check_value(c, VERDICT_OK, "flash: counts all misses, by node");
		return;
	}
	check_value(c, VERDICT_ABSENT, "none: pages stay on their nodes");
	doctor_perf_on_request(list, sizeof(list));
	if (*list)
		check_advice(
			c,
			"none costs guests nothing; with 'disco monitor "
			"--access-source=NAME' accesses are sampled, by %s",
			list);
	else
		check_advice(
			c, "%s",
			doctor_perf_exists(SOURCES "ibs_op")
				? "IBS is there, but Disco does not use it "
				  "yet"
				: "Disco cannot use any source of this "
				  "machine yet, so 'disco policy' has "
				  "nothing to show");
}

const struct probe doctor_perf_probes[] = {
	{ "access-source", probe_source },
	{ "flash", probe_flash },
	{ "faults", probe_faults },
	{ "damon", probe_damon },
	{ "page-idle", probe_idle },
	{ "dirty-log", probe_dirty },
	{ "perf-ibs", probe_ibs },
	{ "perf-pebs", probe_pebs },
	{ "perf-hardware", probe_hardware },
	{ "perf-software", probe_software },
	{ NULL, NULL },
};
