/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco doctor`: what of this machine disco can use. Each check is a probe
 * that never fails: what cannot be found out is a finding too. Works without
 * rights and with everything absent.
 */
#ifndef DISCO_MONITOR_DOCTOR_H
#define DISCO_MONITOR_DOCTOR_H

#include "disco/base.h"
#include "disco/diag.h"
#include "monitor/control/config/command.h"

#define DOCTOR_MAX_CHECKS   32
#define DOCTOR_JSON_VERSION 1 /* of the --json format; only ever grows keys */

enum verdict {
	VERDICT_OK,	/* disco can use it */
	VERDICT_WARN,	/* works, with a loss that the advice names */
	VERDICT_FAIL,	/* something disco needs does not work */
	VERDICT_ABSENT, /* not there; disco goes on without it */
};

struct check {
	const char *name; /* static, lower case, '-' between words */
	enum verdict verdict;
	char value[256];  /* what was found */
	char advice[256]; /* what it means, or what to do */
};

/* The check named @name; a table of them ends with a NULL name. */
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

/* What the verdict on stock guests hangs on. */
struct kvm_facts {
	int open_err;  /* 0, or positive errno of opening /dev/kvm */
	int api;       /* KVM_GET_API_VERSION; negative: failed */
	bool svm, vmx; /* CPU flags */
	bool pvm;      /* module kvm_pvm is there */
	int paging;    /* npt or ept: 1 on, 0 off, -1 not known */
};

/* Fills a check, its name excepted. @value and @advice are formats. */
PRINTF(3, 4)
void check_value(struct check *c, enum verdict v, const char *fmt, ...);
PRINTF(2, 3) void check_advice(struct check *c, const char *fmt, ...);

/**
 * doctor_read_line() - first line of a small file, for probes
 * @buf: @size bytes; NUL-terminated, no newline; "" on error
 *
 * Return: 0; -errno of open or read. Blocks on the file.
 */
int doctor_read_line(const char *path, char *buf, size_t size);

/* True when @flag is a word of the "flags" line of /proc/cpuinfo. */
bool doctor_cpu_flag(const char *flag);

/* The verdict on stock guests, without looking at the machine. */
void kvm_judge(const struct kvm_facts *f, struct check *c);

/* Runs every probe; about 50 ms. One thread; blocks on /proc and /sys. */
void doctor_run(struct doctor_report *r);

/* A table for people, wrapped to @columns (at least 60 are used). */
void doctor_print_table(const struct doctor_report *r, int columns, FILE *out);

/**
 * doctor_print_json() - {"version", "stock_guests", "checks": [...]}
 *
 * Return: 0; -ENOMEM; -EIO. A check is {"name", "verdict", "value", "advice"}.
 */
MUST_CHECK int doctor_print_json(const struct doctor_report *r, FILE *out);

/* `disco doctor [--json]`: ST_OK, or ST_KVM when stock guests cannot run. */
extern const struct command doctor_command;

#endif
