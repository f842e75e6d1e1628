/* SPDX-License-Identifier: BSD-2-Clause */
/* Probes: KVM, and whether unmodified kernels can run on it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "monitor/control/doctor/doctor.h"

#define LAB "use the lab: 'make demo', or 'lab/run -- COMMAND'"

#define CLOCKS                                                                 \
	"/sys/devices/system/clocksource/clocksource0/available_clocksource"

static int read_switch(const char *path)
{
	char line[16];

	if (doctor_read_line(path, line, sizeof(line)))
		return -1;
	return *line == 'Y' || *line == '1';
}

static void doctor_kvm_gather(struct kvm_facts *f)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	memset(f, 0, sizeof(*f));
	f->open_err = fd < 0 ? errno : 0;
	f->api = -1;
	if (fd >= 0) {
		f->api = ioctl(fd, KVM_GET_API_VERSION, 0);
		(void)close(fd);
	}
	f->svm = doctor_cpu_flag("svm");
	f->vmx = doctor_cpu_flag("vmx");
	f->pvm = access("/sys/module/kvm_pvm", F_OK) == 0;
	f->paging = read_switch("/sys/module/kvm_amd/parameters/npt");
	if (f->paging < 0)
		f->paging = read_switch("/sys/module/kvm_intel/parameters/ept");
}

static const char *cpu_text(const struct kvm_facts *f)
{
	if (f->svm)
		return "svm (AMD)";
	return f->vmx ? "vmx (Intel)" : "neither svm nor vmx";
}

static void probe_device(struct check *c)
{
	struct kvm_facts f;

	doctor_kvm_gather(&f);
	if (f.open_err == ENOENT || f.open_err == ENXIO ||
	    f.open_err == ENODEV) {
		check_value(c, VERDICT_ABSENT, "/dev/kvm: %s",
			    strerror(f.open_err));
		check_advice(c, "no KVM module is loaded, or the container "
				"was not given the device");
	} else if (f.open_err) {
		check_value(c, VERDICT_FAIL, "/dev/kvm: %s",
			    strerror(f.open_err));
		check_advice(c, "join the group that owns /dev/kvm (usually "
				"'kvm') and log in again");
	} else if (f.api != KVM_API_VERSION) {
		check_value(c, VERDICT_FAIL, "API version %d, not %d", f.api,
			    KVM_API_VERSION);
		check_advice(c, "what answers /dev/kvm is not Linux KVM");
	} else {
		check_value(c, VERDICT_OK, "/dev/kvm opens, API version %d",
			    f.api);
	}
}

static void probe_cpu(struct check *c)
{
	struct kvm_facts f;

	doctor_kvm_gather(&f);
	check_value(c, f.svm || f.vmx ? VERDICT_OK : VERDICT_ABSENT, "%s%s",
		    cpu_text(&f), f.pvm ? "; module kvm_pvm" : "");
	if (!f.svm && !f.vmx)
		check_advice(c, "the CPU (or the hypervisor below) offers no "
				"hardware virtualization");
}

static void probe_paging(struct check *c)
{
	struct kvm_facts f;

	doctor_kvm_gather(&f);
	if (f.paging < 0) {
		check_value(c, VERDICT_ABSENT, "no npt or ept parameter");
		check_advice(c, "neither kvm_amd nor kvm_intel is loaded");
	} else if (f.paging == 0) {
		check_value(c, VERDICT_WARN, "npt/ept off");
		check_advice(c, "KVM shadows page tables: slow; load the "
				"module with npt=1 or ept=1");
	} else {
		check_value(c, VERDICT_OK, "npt/ept on");
	}
}

/* /dev/kvm answers, but the CPU cannot virtualize by itself. */
static void judge_no_hardware(const struct kvm_facts *f, struct check *c)
{
	check_value(c, VERDICT_FAIL,
		    "no: KVM is present but the CPU has neither svm nor vmx%s",
		    f->pvm ? " (kvm_pvm)"
			   : " (a software backend such as kvm_pvm)");
	check_advice(c,
		     "this backend runs only guest user mode natively and "
		     "emulates kernel mode, where a stock kernel fails; " LAB);
}

static void judge_no_device(const struct kvm_facts *f, struct check *c)
{
	bool hardware = f->svm || f->vmx;
	bool rights = f->open_err == EACCES || f->open_err == EPERM;

	check_value(c, VERDICT_FAIL, "no: /dev/kvm cannot be opened (%s)%s",
		    strerror(f->open_err),
		    hardware ? "" : ", and the CPU has neither svm nor vmx");
	if (!hardware)
		check_advice(c, LAB);
	else
		check_advice(c, "%s, or " LAB,
			     rights ? "get access to it"
				    : "load kvm_amd or kvm_intel");
}

void kvm_judge(const struct kvm_facts *f, struct check *c)
{
	if (f->open_err) {
		judge_no_device(f, c);
	} else if (f->api != KVM_API_VERSION) {
		check_value(c, VERDICT_FAIL, "no: KVM API version %d, not %d",
			    f->api, KVM_API_VERSION);
		check_advice(c, LAB);
	} else if (!f->svm && !f->vmx) {
		judge_no_hardware(f, c);
	} else if (f->paging == 0) {
		check_value(c, VERDICT_WARN, "yes, slowly: %s, npt/ept off",
			    f->svm ? "svm" : "vmx");
		check_advice(c, "load the KVM module with npt=1 or ept=1");
	} else {
		check_value(c, VERDICT_OK, "yes: %s", f->svm ? "svm" : "vmx");
	}
}

/* --- views --- */

static bool doctor_trusts_tsc(void)
{
	char line[256], *at = line, *word;
	bool found = false;

	if (doctor_read_line(CLOCKS, line, sizeof(line)))
		return false;
	while (!found && (word = strsep(&at, " ")))
		found = strcmp(word, "tsc") == 0;
	return found;
}

/* Only a vCPU can be asked. */
static bool doctor_has_tsc_offset(int kvm)
{
	struct kvm_device_attr a = { .group = KVM_VCPU_TSC_CTRL,
				     .attr = KVM_VCPU_TSC_OFFSET };
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	int vcpu = vm < 0 ? -1 : ioctl(vm, KVM_CREATE_VCPU, 0);
	bool has = vcpu >= 0 && ioctl(vcpu, KVM_HAS_DEVICE_ATTR, &a) == 0;

	if (vcpu >= 0)
		(void)close(vcpu);
	if (vm >= 0)
		(void)close(vm);
	return has;
}

static void views_gather(struct views_facts *f)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), regs;

	*f = (struct views_facts){ .open_err = fd < 0 ? errno : 0,
				   .tsc = doctor_trusts_tsc() };
	if (fd < 0)
		return;
	f->split = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_SPLIT_IRQCHIP) > 0 &&
		   ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_SIGNAL_MSI) > 0;
	regs = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS);
	f->sync_regs = regs > 0 && (regs & KVM_SYNC_X86_EVENTS);
	f->tsc_offset = doctor_has_tsc_offset(fd);
	(void)close(fd);
}

void views_judge(const struct views_facts *f, struct check *c)
{
	const char *lacks = !f->split	     ? "KVM_CAP_SPLIT_IRQCHIP"
			    : !f->sync_regs  ? "KVM_CAP_SYNC_REGS"
			    : !f->tsc_offset ? "KVM_VCPU_TSC_CTRL"
					     : NULL;

	if (f->open_err) {
		check_value(c, VERDICT_ABSENT, "/dev/kvm: %s",
			    strerror(f->open_err));
	} else if (lacks) {
		check_value(c, VERDICT_ABSENT, "no: KVM lacks %s", lacks);
		check_advice(c, "views=on needs Linux 5.16 or later");
	} else if (!f->tsc) {
		check_value(c, VERDICT_WARN, "yes, without a reliable clock");
		check_advice(c, "the kernel does not trust the TSC, which "
				"guests with views=on have as their clock");
	} else {
		check_value(c, VERDICT_OK, "yes");
	}
}

static void probe_views(struct check *c)
{
	struct views_facts f;

	views_gather(&f);
	views_judge(&f, c);
}

/* --- stock guests --- */

static void probe_stock_guests(struct check *c)
{
	struct kvm_facts f;

	doctor_kvm_gather(&f);
	kvm_judge(&f, c);
}

const struct probe doctor_kvm_probes[] = {
	{ "kvm-device", probe_device },		{ "cpu", probe_cpu },
	{ "nested-paging", probe_paging },	{ "views", probe_views },
	{ "stock-guests", probe_stock_guests }, { NULL, NULL },
};
