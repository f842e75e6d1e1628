/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const struct probe *const tables[] = {
	doctor_kvm_probes,  doctor_numa_probes,	   doctor_memory_probes,
	doctor_perf_probes, doctor_sandbox_probes,
};

void check_value(struct check *c, enum verdict v, const char *fmt, ...)
{
	va_list ap;

	c->verdict = v;
	va_start(ap, fmt);
	(void)vsnprintf(c->value, sizeof(c->value), fmt, ap);
	va_end(ap);
}

void check_advice(struct check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->advice, sizeof(c->advice), fmt, ap);
	va_end(ap);
}

int doctor_read_line(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int err;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	n = read(fd, buf, size - 1);
	err = n < 0 ? -errno : 0;
	buf[n < 0 ? 0 : n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	(void)close(fd);
	return err;
}

static bool has_word(const char *line, const char *word)
{
	size_t len = strlen(word);

	for (const char *s = line; (s = strstr(s, word)); s += len)
		if (s > line && s[-1] == ' ' && strchr(" \n", s[len]))
			return true;
	return false;
}

bool doctor_cpu_flag(const char *flag)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t size = 0;
	bool found = false;

	if (!f)
		return false;
	while (!found && getline(&line, &size, f) > 0)
		if (strncmp(line, "flags", 5) == 0)
			found = has_word(line, flag);
	free(line);
	(void)fclose(f);
	return found;
}

void doctor_run(struct doctor_report *r)
{
	memset(r, 0, sizeof(*r));
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (const struct probe *p = tables[i];
		     p->name && r->nr < DOCTOR_MAX_CHECKS; p++) {
			struct check *c = &r->checks[r->nr++];

			c->name = p->name;
			p->run(c);
			if (strcmp(c->name, "stock-guests") == 0)
				r->stock_guests = c->verdict != VERDICT_FAIL;
		}
}

static int terminal_columns(void)
{
	struct winsize w;
	const char *env = getenv("COLUMNS");

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col)
		return w.ws_col;
	return env && atoi(env) > 0 ? atoi(env) : 80;
}

enum { DOCTOR_JSON };

static const struct option_entry doctor_options[] = {
	[DOCTOR_JSON] = { .name = "json", .help = "as JSON" },
	{ .name = NULL },
};

static int doctor_main(const struct command_args *a, struct diag *d)
{
	struct doctor_report r;

	doctor_run(&r);
	if (!a->given[DOCTOR_JSON])
		doctor_print_table(&r, terminal_columns(), stdout);
	else if (doctor_print_json(&r, stdout))
		return diag_fail(d, ST_HOST, EIO, "cannot write the report");
	return r.stock_guests ? ST_OK : ST_KVM;
}

const struct command doctor_command = {
	.name = "doctor",
	.brief = "report what disco can use of this machine",
	.help = "Report what disco can use of this machine. The exit status is "
		"0 when stock guests can run here, and 10 when not.",
	.options = { doctor_options },
	.run = doctor_main,
};
