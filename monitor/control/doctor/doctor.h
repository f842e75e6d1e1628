/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco doctor`: reports what disco can use on this machine. Each check is a
 * probe that never fails: what cannot be determined is a finding too. It works
 * without privileges and with everything absent.
 */
#ifndef DISCO_MONITOR_DOCTOR_H
#define DISCO_MONITOR_DOCTOR_H

#include "disco/base.h"
#include "disco/diag.h"
#include "monitor/control/config/command.h"

#define DOCTOR_MAX_CHECKS   32
#define DOCTOR_JSON_VERSION 1 /* of the --json format; keys are only added */

enum verdict {
	VERDICT_OK,	/* disco can use it */
	VERDICT_WARN,	/* works, with a loss that the advice describes */
	VERDICT_FAIL,	/* something that disco needs does not work */
	VERDICT_ABSENT, /* not there; disco works without it */
};

struct check {
	const char *name; /* static, lower case, '-' between words */
	enum verdict verdict;
	char value[256];  /* what was found */
	char advice[256]; /* what it means, or what to do */
};

/* Makes the check named @name; a table of probes ends with a NULL name. */
struct probe {
	const char *name;
	void (*run)(struct check *c);
};

extern const struct probe doctor_kvm_probes[];
extern const struct probe doctor_numa_probes[];
extern const struct probe doctor_memory_probes[];
extern const struct probe doctor_perf_probes[];
extern const struct probe doctor_sandbox_probes[];

struct doctor_report {
	struct check checks[DOCTOR_MAX_CHECKS];
	unsigned nr;
	bool stock_guests; /* unmodified kernels can run here */
};

/* The facts that decide whether stock guests can run. */
struct kvm_facts {
	int open_err;  /* 0, or positive errno of opening /dev/kvm */
	int api;       /* KVM_GET_API_VERSION; negative: failed */
	bool svm, vmx; /* CPU flags */
	bool pvm;      /* module kvm_pvm is there */
	int paging;    /* npt or ept: 1 on, 0 off, -1 not known */
};

/* The facts that decide whether guests can have views (views=on). */
struct views_facts {
	int open_err;	 /* as above */
	bool split;	 /* KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_SIGNAL_MSI */
	bool sync_regs;	 /* KVM_CAP_SYNC_REGS, with a vCPU's events */
	bool tsc_offset; /* KVM_VCPU_TSC_CTRL */
	bool tsc;	 /* the kernel trusts the TSC: it is among its clocks */
};

/* Set a check's verdict and value, or its advice; @fmt is a printf format. */
PRINTF(3, 4)
void check_value(struct check *c, enum verdict v, const char *fmt, ...);
PRINTF(2, 3) void check_advice(struct check *c, const char *fmt, ...);

/**
 * doctor_read_line() - read the first line of a small file, for probes
 * @buf: @size bytes; NUL-terminated, without newline; "" on error
 *
 * Context: blocks on the file. Return: 0; -errno of open or read.
 */
int doctor_read_line(const char *path, char *buf, size_t size);

/* Is @flag a word of the "flags" line of /proc/cpuinfo? */
bool doctor_cpu_flag(const char *flag);

/* Judge whether stock guests can run. A pure function. */
void kvm_judge(const struct kvm_facts *f, struct check *c);

/* Judge whether guests can have views. A pure function. */
void views_judge(const struct views_facts *f, struct check *c);

/* Runs every probe, in about 50 ms. One thread; blocks on /proc and /sys. */
void doctor_run(struct doctor_report *r);

/* Print a table for people, wrapped to @columns (at least 60 are used). */
void doctor_print_table(const struct doctor_report *r, int columns, FILE *out);

/**
 * doctor_print_json() - print {"version", "stock_guests", "checks": [...]}
 *
 * A check is {"name", "verdict", "value", "advice"}. Return: 0; -ENOMEM; -EIO.
 */
MUST_CHECK int doctor_print_json(const struct doctor_report *r, FILE *out);

/* `disco doctor [--json]`: ST_OK, or ST_KVM when stock guests cannot run. */
extern const struct command doctor_command;

#endif
