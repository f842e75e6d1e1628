/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/kvm_open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kvm.h>

#define ADVICE                                                                 \
	"'disco doctor' reports more; 'lab/run -- COMMAND' runs a command on " \
	"a machine that can"

bool cpuinfo_has_flag(const char *text, const char *flag)
{
	const char *line = strstr(text, "\nflags");
	const char *end = line ? strchr(line + 1, '\n') : NULL;
	size_t len = strlen(flag);

	for (const char *p = line; p && (p = strstr(p, flag)); p += len) {
		if (end && p >= end)
			return false;
		if ((p[-1] == ' ' || p[-1] == '\t') &&
		    (p[len] == ' ' || p[len] == '\n' || p[len] == '\0'))
			return true;
	}
	return false;
}

/* The first CPU is enough; a line of flags is about 2 KiB. */
static bool cpu_can_virtualize(void)
{
	char text[16384];
	size_t n;
	FILE *f = fopen("/proc/cpuinfo", "re");

	if (!f)
		return true; /* cannot tell: let KVM say */
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	return cpuinfo_has_flag(text, "svm") || cpuinfo_has_flag(text, "vmx");
}

static bool any_kvm_will_do(void)
{
	const char *env = getenv("DISCO_KVM_ANY");

	return env && strcmp(env, "1") == 0;
}

static int kvm_open_fail(int err, struct diag *d)
{
	if (err == EACCES || err == EPERM)
		return diag_fail(d, ST_KVM, err,
				 "/dev/kvm: %s; join the group that owns it "
				 "(usually kvm)",
				 strerror(err));
	return diag_fail(d, ST_KVM, err, "/dev/kvm: %s; " ADVICE,
			 strerror(err));
}

int kvm_open(int *fd, struct diag *d)
{
	int version, kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		return kvm_open_fail(errno, d);
	version = ioctl(kvm, KVM_GET_API_VERSION, 0);
	if (version != KVM_API_VERSION) {
		(void)close(kvm);
		return diag_fail(d, ST_KVM, ENODEV,
				 "/dev/kvm: API version %d, not %d; " ADVICE,
				 version, KVM_API_VERSION);
	}
	if (!any_kvm_will_do() && !cpu_can_virtualize()) {
		(void)close(kvm);
		return diag_fail(d, ST_KVM, ENODEV,
				 "KVM is there, but the CPU has neither svm "
				 "nor vmx, so no stock guest can run; " ADVICE);
	}
	*fd = kvm;
	return 0;
}
