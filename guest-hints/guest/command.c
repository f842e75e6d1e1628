/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco-hint: the hints of libdisco-hint from a shell, see disco-hint(1).
 * Exit status: 0; 1 it could not be done; 2 bad usage; 3 there is no device.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest-hints/guest/disco_hint.h"
#include "guest-hints/guest/kinds.h"

enum { HINT_OK, HINT_FAILED, HINT_USAGE, HINT_NONE };

#define PRELOAD "libdisco-hint-preload.so" /* where libraries are looked for */

static struct disco_hint *hint;

static int hint_fail(const char *what, int64_t err)
{
	(void)fprintf(stderr, "disco-hint: %s: %s\n", what,
		      strerror((int)-err));
	return HINT_FAILED;
}

static int hint_usage(const char *why)
{
	(void)fprintf(stderr, "disco-hint: %s; see disco-hint --help\n", why);
	return HINT_USAGE;
}

/* 4096, 64K, 128M, 1G. Return: whether it is one. */
static int hint_size(const char *text, uint64_t *out)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	if (end == text || errno || *text == '-')
		return 0;
	if (!*end)
		return 1;
	unit = strchr(units, *end);
	if (!unit || end[1])
		return 0;
	for (const char *u = units; u <= unit; u++) {
		if (*out >> 54)
			return 0;
		*out <<= 10;
	}
	return 1;
}

/* KIND or private=VCPU. Return: the kind; 0: none. */
static int hint_parse_kind(const char *text, unsigned *vcpu)
{
	const char *equals = strchr(text, '=');
	uint64_t nr;

	*vcpu = 0;
	if (!equals)
		return strcmp(text, "private") == 0 ? 0 : hint_kind_of(text);
	if (strncmp(text, "private=", 8) != 0 || !hint_size(equals + 1, &nr) ||
	    nr > UINT16_MAX)
		return 0;
	*vcpu = (unsigned)nr;
	return DISCO_HINT_PRIVATE;
}

/* --- show ------------------------------------------------------------------------ */

static void show_distances(int nodes)
{
	for (int i = 0; i < nodes; i++) {
		if (disco_hint_distance(hint, (unsigned)i, (unsigned)i) < 0)
			continue;
		printf("node %d distances", i);
		for (int j = 0; j < nodes; j++) {
			int d = disco_hint_distance(hint, (unsigned)i,
						    (unsigned)j);

			if (d >= 0)
				printf(" %d:%d", j, d);
		}
		printf("\n");
	}
}

static int show_run(char **args)
{
	int flags = disco_hint_flags(hint), vcpus = disco_hint_vcpus(hint);
	uint64_t taken = 0, refused = 0;

	(void)args;
	if (flags < 0)
		return hint_fail("show", flags);
	printf("device %s\n", disco_hint_path(hint));
	for (int i = 0; i < vcpus; i++) {
		int node = disco_hint_home(hint, (unsigned)i);

		if (node >= 0)
			printf("cpu %d home %d\n", i, node);
		else
			printf("cpu %d home unknown\n", i);
	}
	show_distances(disco_hint_nodes(hint));
	printf("replicas %s\n", flags & DISCO_HINT_REPLICAS ? "yes" : "no");
	printf("reserved %s\n", flags & DISCO_HINT_KEEPS ? "yes" : "no");
	printf("slowed %s\n", flags & DISCO_HINT_SLOWED ? "yes" : "no");
	if (disco_hint_counts(hint, &taken, &refused) == 0)
		printf("hints %llu\nrefused %llu\n", (unsigned long long)taken,
		       (unsigned long long)refused);
	return HINT_OK;
}

/* --- memory ---------------------------------------------------------------------- */

/* Every mapping of a process but the kernel's. */
static int process_all(pid_t pid, int kind, unsigned vcpu)
{
	unsigned long long first, end;
	char path[64], line[PATH_MAX + 128];
	int err = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (!err && fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx-%llx ", &first, &end) == 2 &&
		    !strstr(line, "[v"))
			err = disco_hint_process(hint, pid, first, end - first,
						 kind, vcpu);
	(void)fclose(f);
	return err;
}

/* PID all|ADDRESS+BYTES KIND */
static int process_run(char **args)
{
	uint64_t pid, start, bytes;
	unsigned vcpu;
	int kind = hint_parse_kind(args[2], &vcpu), err;
	char *plus = strchr(args[1], '+');

	if (!kind)
		return hint_usage("no such hint");
	if (!hint_size(args[0], &pid) || pid == 0 || pid > INT_MAX)
		return hint_usage("no process's number");
	if (strcmp(args[1], "all") == 0) {
		err = process_all((pid_t)pid, kind, vcpu);
	} else {
		if (!plus || !hint_size(plus + 1, &bytes))
			return hint_usage("no ADDRESS+BYTES");
		*plus = '\0';
		if (!hint_size(args[1], &start))
			return hint_usage("no ADDRESS+BYTES");
		err = disco_hint_process(hint, (pid_t)pid, start, bytes, kind,
					 vcpu);
	}
	return err ? hint_fail(args[0], err) : HINT_OK;
}

/* KIND FILE... */
static int file_run(char **args)
{
	unsigned vcpu;
	int kind = hint_parse_kind(args[0], &vcpu);

	if (!kind || kind == DISCO_HINT_PRIVATE)
		return hint_usage("no such hint for files");
	for (char **file = args + 1; *file; file++) {
		int fd = open(*file, O_RDONLY | O_CLOEXEC), err;

		if (fd < 0)
			return hint_fail(*file, -errno);
		err = disco_hint_file(hint, fd, 0, 0, kind);
		(void)close(fd);
		if (err)
			return hint_fail(*file, err);
	}
	return HINT_OK;
}

/* all|SIZE */
static int free_run(char **args)
{
	uint64_t bytes = 0;
	int64_t pages;

	if (strcmp(args[0], "all") != 0 &&
	    (!hint_size(args[0], &bytes) || bytes == 0))
		return hint_usage("no size");
	pages = disco_hint_bulk(hint, DISCO_HINT_BULK_FREE, bytes);
	if (pages < 0)
		return hint_fail("free", pages);
	printf("pages %lld\n", (long long)pages);
	return HINT_OK;
}

/* page-tables|kernel */
static int bulk_run(char **args)
{
	int what = strcmp(args[0], "page-tables") == 0
			   ? DISCO_HINT_BULK_PAGE_TABLES
		   : strcmp(args[0], "kernel") == 0 ? DISCO_HINT_BULK_KERNEL
						    : 0;
	int64_t pages;

	if (!what)
		return hint_usage("it is page-tables or kernel");
	pages = disco_hint_bulk(hint, what, 0);
	if (pages < 0)
		return hint_fail(args[0], pages);
	printf("pages %lld\n", (long long)pages);
	return HINT_OK;
}

/* begin|end NUMBER */
static int phase_run(char **args)
{
	int begins = strcmp(args[0], "begin") == 0, err;
	uint64_t phase;

	if ((!begins && strcmp(args[0], "end") != 0) ||
	    !hint_size(args[1], &phase))
		return hint_usage("it is begin or end, and a number");
	err = disco_hint_phase(hint, phase, begins);
	return err ? hint_fail("phase", err) : HINT_OK;
}

/* RULES COMMAND [ARG...] */
static int run_run(char **args)
{
	const char *before = getenv("LD_PRELOAD");
	char list[PATH_MAX];

	(void)snprintf(list, sizeof(list), "%s%s%s", PRELOAD, before ? ":" : "",
		       before ? before : "");
	if (setenv("DISCO_HINT", args[0], 1) < 0 ||
	    setenv("LD_PRELOAD", list, 1) < 0)
		return hint_fail("run", -errno);
	(void)execvp(args[1], args + 1);
	return hint_fail(args[1], -errno);
}

/* --- the command ----------------------------------------------------------------- */

static const struct hint_command {
	const char *name, *args, *help;
	int least, most; /* arguments; most -1: any number */
	int needs_device;
	int (*run)(char **args);
} commands[] = {
	{ "show", "", "print what the host tells", 0, 0, 1, show_run },
	{ "process", "PID all|ADDRESS+BYTES HINT", "hint memory of a process",
	  3, 3, 1, process_run },
	{ "file", "HINT FILE...", "hint what the page cache has of files", 2,
	  -1, 1, file_run },
	{ "free", "all|SIZE", "give free memory back to the machine", 1, 1, 1,
	  free_run },
	{ "bulk", "page-tables|kernel", "hint memory of the kernel", 1, 1, 1,
	  bulk_run },
	{ "phase", "begin|end NUMBER",
	  "say that a phase of work begins or ends", 2, 2, 1, phase_run },
	{ "run", "RULES COMMAND [ARG...]",
	  "run a program whose memory is hinted by rules", 2, -1, 0, run_run },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static int hint_help(void)
{
	printf("usage: disco-hint COMMAND [ARG...]\n\n"
	       "Says to the host how this guest uses its memory.\n\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		printf("  %-8s %-30s %s\n", commands[i].name, commands[i].args,
		       commands[i].help);
	printf("\nHINT is one of:");
	for (const struct hint_kind_name *k = hint_kind_names; k->name; k++)
		printf(" %s%s", k->name,
		       k->kind == DISCO_HINT_PRIVATE ? "=CPU" : "");
	printf("\nSee disco-hint(1).\n");
	return HINT_OK;
}

static int hint_run_command(const struct hint_command *c, int nr, char **args)
{
	int err, status;

	if (nr < c->least || (c->most >= 0 && nr > c->most))
		return hint_usage("wrong number of arguments");
	if (!c->needs_device)
		return c->run(args);
	err = disco_hint_open(&hint);
	if (err == -ENODEV) {
		(void)fputs("disco-hint: this machine has no device for hints: "
			    "it is no guest of Disco, or was started with "
			    "--hints=off\n",
			    stderr);
		return HINT_NONE;
	}
	if (err)
		return hint_fail("the device for hints", err);
	status = c->run(args);
	if (status == HINT_OK)
		err = disco_hint_flush(hint);
	disco_hint_close(hint);
	return err ? hint_fail("the host does not take hints", err) : status;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return hint_usage("which command?");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return hint_help();
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return hint_run_command(&commands[i], argc - 2,
						argv + 2);
	return hint_usage("no such command");
}
