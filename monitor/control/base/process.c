/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/base/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The beginning of /proc/PID/NAME; "": there is none. */
static void process_read_file(pid_t pid, const char *name, char *out,
			      size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, out, size - 1);
	if (fd >= 0)
		(void)close(fd);
	out[n < 0 ? 0 : n] = '\0';
}

/*
 * A field of /proc/PID/stat, from 3 on; they are counted from behind the name,
 * which may hold anything.
 */
static uint64_t stat_field_of(pid_t pid, const char *file, unsigned which)
{
	char text[1024], *s;

	process_read_file(pid, file, text, sizeof(text));
	s = strrchr(text, ')');
	for (unsigned field = 2; s && field < which; field++)
		s = strchr(s + 1, ' ');
	return s ? strtoull(s + 1, NULL, 10) : 0;
}

static uint64_t stat_field(pid_t pid, unsigned which)
{
	return stat_field_of(pid, "stat", which);
}

uint64_t process_start(pid_t pid)
{
	return stat_field(pid, 22);
}

uint64_t process_cpu_ns(pid_t pid)
{
	long hz = sysconf(_SC_CLK_TCK);

	if (hz <= 0)
		return 0;
	return (stat_field(pid, 14) + stat_field(pid, 15)) *
	       (1000000000u / (uint64_t)hz);
}

uint64_t process_oom_kills(void)
{
	FILE *f = fopen("/proc/vmstat", "re");
	uint64_t kills = 0;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "oom_kill %" SCNu64, &kills) == 1)
			break;
	if (f)
		(void)fclose(f);
	return kills;
}

uint64_t process_resident_pages(pid_t pid)
{
	char text[256];
	uint64_t pages;

	process_read_file(pid, "statm", text, sizeof(text));
	return sscanf(text, "%*s %" SCNu64, &pages) == 1 ? pages : 0;
}

static uint64_t thread_demand_ns(pid_t pid, const char *tid)
{
	char name[64], text[128];
	uint64_t ran, waited;

	(void)snprintf(name, sizeof(name), "task/%.20s/schedstat", tid);
	process_read_file(pid, name, text, sizeof(text));
	if (sscanf(text, "%" SCNu64 " %" SCNu64, &ran, &waited) != 2)
		return 0;
	return ran + waited;
}

/* Call @each with the name of each thread. */
static void
process_each_tid(pid_t pid, void (*each)(void *arg, const char *tid), void *arg)
{
	struct dirent *e;
	char path[64];
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			each(arg, e->d_name);
	if (dir)
		(void)closedir(dir);
}

struct demand {
	pid_t pid;
	uint64_t sum;
	void (*each)(void *arg, unsigned cpu, uint64_t ns);
	void *arg;
};

static void demand_add(void *arg, const char *tid)
{
	struct demand *d = arg;

	d->sum += thread_demand_ns(d->pid, tid);
}

uint64_t process_demand_ns(pid_t pid)
{
	struct demand d = { .pid = pid };

	process_each_tid(pid, demand_add, &d);
	return d.sum ? d.sum : process_cpu_ns(pid);
}

static void demand_tell(void *arg, const char *tid)
{
	struct demand *d = arg;
	char name[64];

	(void)snprintf(name, sizeof(name), "task/%.20s/stat", tid);
	d->each(d->arg, (unsigned)stat_field_of(d->pid, name, 39),
		thread_demand_ns(d->pid, tid));
}

void process_each_thread(pid_t pid,
			 void (*each)(void *arg, unsigned cpu, uint64_t ns),
			 void *arg)
{
	struct demand d = { .pid = pid, .each = each, .arg = arg };

	process_each_tid(pid, demand_tell, &d);
}
