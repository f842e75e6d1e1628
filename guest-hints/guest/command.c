/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco-hint: the hints of libdisco-hint from a shell, see disco-hint(1).
 * Exit status: 0; 1 it could not be done; 2 bad usage; 3 there is no device.
 *
 * What a user has written is checked before the device is looked for: bad usage is
 * bad usage on any machine. An error is one line: what, with which object, and
 * what helps.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest-hints/guest/disco_hint.h"
#include "guest-hints/guest/kinds.h"
#include "guest-hints/guest/rules.h"

enum { HINT_OK, HINT_FAILED, HINT_USAGE, HINT_NONE };

#define PRELOAD "libdisco-hint-preload.so" /* where libraries are looked for */

#define HINT_NAMES                                                             \
	"read-mostly, private=CPU, rewrite, cold, pin, pin-off, merge or "     \
	"forget"

static struct disco_hint *hint;

/* What helps against an error; NULL: the error says it all. */
static const char *hint_advice(int64_t err)
{
	switch (-err) {
	case EACCES:
	case EPERM:
		return "run it as root, or load the kernel module disco_hints "
		       "for what is your own";
	case EDQUOT:
		return "your hints of this minute are used up: try again "
		       "later, "
		       "or as root";
	case ETIMEDOUT:
		return "the host takes no hints: look at 'disco-hint show', "
		       "and "
		       "ask who runs the host";
	case EPROTO:
		return "the host is of another version: update the package "
		       "disco-guest-hints";
	case ESRCH:
		return "the process has ended: look at its number";
	default:
		return NULL;
	}
}

static int hint_fail(const char *what, int64_t err)
{
	const char *advice = hint_advice(err);

	(void)fprintf(stderr, "disco-hint: %s: %s%s%s\n", what,
		      strerror((int)-err), advice ? "; " : "",
		      advice ? advice : "");
	return HINT_FAILED;
}

__attribute__((format(printf, 1, 2))) static int hint_usage(const char *why,
							    ...)
{
	va_list args;

	(void)fputs("disco-hint: ", stderr);
	va_start(args, why);
	(void)vfprintf(stderr, why, args);
	va_end(args);
	(void)fputs("; see disco-hint --help\n", stderr);
	return HINT_USAGE;
}

static int hint_usage_kind(const char *text)
{
	return hint_usage("'%s' is no hint: it is one of " HINT_NAMES, text);
}

/* Return: HINT_OK: it is open; else what the command is to return. */
static int hint_open(void)
{
	int err = disco_hint_open(&hint);

	if (err == -ENODEV) {
		(void)fputs("disco-hint: this machine has no device for hints: "
			    "it is no guest of Disco, or was started with "
			    "--hints=off; start it without that option\n",
			    stderr);
		return HINT_NONE;
	}
	return err ? hint_fail("the device for hints", err) : HINT_OK;
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

static int show_print(void)
{
	int flags = disco_hint_flags(hint), vcpus = disco_hint_vcpus(hint);
	uint64_t taken = 0, refused = 0;

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

static int show_run(char **args)
{
	int status = hint_open();

	(void)args;
	return status ? status : show_print();
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

/* PID all|ADDRESS+BYTES HINT */
static int process_run(char **args)
{
	uint64_t pid, start = 0, bytes = 0;
	int all = strcmp(args[1], "all") == 0, err, status;
	unsigned vcpu;
	int kind = hint_parse_kind(args[2], &vcpu);
	char *plus = strchr(args[1], '+');

	if (!hint_parse_size(args[0], &pid) || pid == 0 || pid > INT_MAX)
		return hint_usage("process: '%s' is no number of a process",
				  args[0]);
	if (!kind)
		return hint_usage_kind(args[2]);
	if (!all) {
		if (plus)
			*plus = '\0';
		if (!plus || !hint_parse_size(args[1], &start) ||
		    !hint_parse_size(plus + 1, &bytes))
			return hint_usage(
				"process: '%s%s%s' is not all, and no "
				"ADDRESS+BYTES",
				args[1], plus ? "+" : "", plus ? plus + 1 : "");
	}
	status = hint_open();
	if (status)
		return status;
	err = all ? process_all((pid_t)pid, kind, vcpu)
		  : disco_hint_process(hint, (pid_t)pid, start, bytes, kind,
				       vcpu);
	/* /proc has no such directory. */
	return err ? hint_fail(args[0], err == -ENOENT ? -ESRCH : err)
		   : HINT_OK;
}

/* HINT FILE... */
static int file_run(char **args)
{
	unsigned vcpu;
	int kind = hint_parse_kind(args[0], &vcpu), status;

	if (!kind)
		return hint_usage_kind(args[0]);
	if (kind == DISCO_HINT_PRIVATE)
		return hint_usage("file: a file is not private to a CPU");
	status = hint_open();
	for (char **file = args + 1; *file && !status; file++) {
		int fd = open(*file, O_RDONLY | O_CLOEXEC), err;

		if (fd < 0)
			return hint_fail(*file, -errno);
		err = disco_hint_file(hint, fd, 0, 0, kind);
		(void)close(fd);
		if (err)
			return hint_fail(*file, err);
	}
	return status;
}

static int bulk_print(const char *name, int what, uint64_t bytes)
{
	int status = hint_open();
	int64_t pages;

	if (status)
		return status;
	pages = disco_hint_bulk(hint, what, bytes);
	if (pages < 0)
		return hint_fail(name, pages);
	printf("pages %lld\n", (long long)pages);
	return HINT_OK;
}

/* all|SIZE */
static int free_run(char **args)
{
	uint64_t bytes = 0;

	if (strcmp(args[0], "all") != 0 &&
	    (!hint_parse_size(args[0], &bytes) || bytes == 0))
		return hint_usage("free: '%s' is not all, and no size such as "
				  "64M",
				  args[0]);
	return bulk_print("free", DISCO_HINT_BULK_FREE, bytes);
}

/* page-tables|kernel */
static int bulk_run(char **args)
{
	if (strcmp(args[0], "page-tables") == 0)
		return bulk_print(args[0], DISCO_HINT_BULK_PAGE_TABLES, 0);
	if (strcmp(args[0], "kernel") == 0)
		return bulk_print(args[0], DISCO_HINT_BULK_KERNEL, 0);
	return hint_usage("bulk: '%s' is neither page-tables nor kernel",
			  args[0]);
}

/* begin|end NUMBER */
static int phase_run(char **args)
{
	int begins = strcmp(args[0], "begin") == 0, err, status;
	uint64_t phase;

	if (!begins && strcmp(args[0], "end") != 0)
		return hint_usage("phase: '%s' is neither begin nor end",
				  args[0]);
	if (!hint_parse_size(args[1], &phase))
		return hint_usage("phase: '%s' is no number", args[1]);
	status = hint_open();
	if (status)
		return status;
	err = disco_hint_phase(hint, phase, begins);
	return err ? hint_fail("phase", err) : HINT_OK;
}

/* A bad rule would have no effect, and nobody would know. */
static int run_check(const char *given)
{
	struct hint_rule rules[HINT_RULES_MAX];
	const char *bad;
	char *text = strdup(given);
	unsigned nr;
	int status = HINT_OK;

	if (!text)
		return hint_fail("run", -ENOMEM);
	nr = hint_parse_rules(text, rules, &bad);
	if (bad)
		status = hint_usage(
			nr == HINT_RULES_MAX
				? "run: '%s' is one rule too many"
				: "run: '%s' is no rule: it is size=SIZE:HINT "
				  "or file=PATTERN:HINT, with " HINT_NAMES,
			bad);
	free(text);
	return status;
}

/* RULES COMMAND [ARG...] */
static int run_run(char **args)
{
	const char *before = getenv("LD_PRELOAD");
	char list[PATH_MAX];
	int status = run_check(args[0]);

	if (status)
		return status;
	/* Without rules it does nothing here. The loader would only warn. */
	if (unsetenv("DISCO_HINT") < 0 || !dlopen(PRELOAD, RTLD_NOW)) {
		(void)fprintf(stderr,
			      "disco-hint: run: " PRELOAD
			      " is not where libraries are looked for: install "
			      "disco-guest-hints, or name its directory in "
			      "LD_LIBRARY_PATH\n");
		return HINT_FAILED;
	}
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
	int (*run)(char **args);
} commands[] = {
	{ "show", "", "print what the host tells", 0, 0, show_run },
	{ "process", "PID all|ADDRESS+BYTES HINT", "hint memory of a process",
	  3, 3, process_run },
	{ "file", "HINT FILE...", "hint what the page cache has of files", 2,
	  -1, file_run },
	{ "free", "all|SIZE", "give free memory back to the machine", 1, 1,
	  free_run },
	{ "bulk", "page-tables|kernel", "hint memory of the kernel", 1, 1,
	  bulk_run },
	{ "phase", "begin|end NUMBER",
	  "say that a phase of work begins or ends", 2, 2, phase_run },
	{ "run", "RULES COMMAND [ARG...]",
	  "run a program whose memory is hinted by rules", 2, -1, run_run },
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
	int err = 0, status;

	if (nr < c->least || (c->most >= 0 && nr > c->most))
		return hint_usage("%s takes %s, and got %d argument%s", c->name,
				  *c->args ? c->args : "no arguments", nr,
				  nr == 1 ? "" : "s");
	status = c->run(args);
	if (hint && status == HINT_OK)
		err = disco_hint_flush(hint);
	disco_hint_close(hint);
	return err ? hint_fail(c->name, err) : status;
}

static int hint_main(int argc, char **argv)
{
	if (argc < 2)
		return hint_usage("a command is missing");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return hint_help();
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return hint_run_command(&commands[i], argc - 2,
						argv + 2);
	return hint_usage("there is no command '%s'", argv[1]);
}

int main(int argc, char **argv)
{
	int status = hint_main(argc, argv);

	if ((fflush(stdout) || ferror(stdout)) && status == HINT_OK)
		return hint_fail("standard output", errno ? -errno : -EIO);
	return status;
}
