/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco stop, restart. The monitor counts the time; this process asks it for all
 * VMs at once, and looks at them until each has ended, or runs again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/workers/shutdown.h"

#define LOOK_NS	    20000000u  /* between the first two looks */
#define LOOK_MAX_NS 250000000u /* and later ones */

enum { STOP_TIMEOUT, STOP_ALL };

#define TIMEOUT_OPTION                                                         \
	[STOP_TIMEOUT] = { .name = "timeout",                                  \
			   .arg = "SECONDS",                                   \
			   .help = "kill VMs that are not off by then "        \
				   "(default 60)" }

static const struct option_entry stop_options[] = {
	TIMEOUT_OPTION,
	[STOP_ALL] = { .name = "all", .help = "all VMs of the monitor" },
	{ .name = NULL },
};

static const struct option_entry restart_options[] = {
	TIMEOUT_OPTION,
	{ .name = NULL },
};

/* A VM that is waited for. */
struct ending {
	const char *name; /* not owned */
	json_int_t pid;	  /* of the worker that is to end; 0: it has ended */
	bool over;
};

struct stopping {
	bool again; /* the VMs are to run again */
	unsigned limit_s, nr, nr_left;
	struct ending *vms;
	uint64_t begin_ns;
	bool drawn; /* there is a line of progress on the terminal */
	enum exit_status status;
};

/* --- on the terminal --- */

static void stop_erase(struct stopping *s)
{
	if (s->drawn)
		(void)fprintf(stderr, "\r\033[K");
	s->drawn = false;
}

/* "waiting for web, db and 3 more to shut down: 12 of 60 s" */
static void stop_draw(struct stopping *s)
{
	uint64_t passed_s = (clock_now_ns() - s->begin_ns) / 1000000000u;
	unsigned shown = 0, len = 0;
	char names[128] = "";

	if (!s->nr_left || !isatty(STDERR_FILENO))
		return;
	for (unsigned i = 0; i < s->nr && len + 40 < sizeof(names); i++) {
		if (s->vms[i].over)
			continue;
		len += (unsigned)snprintf(names + len, sizeof(names) - len,
					  "%s%.32s", shown++ ? ", " : "",
					  s->vms[i].name);
	}
	if (shown < s->nr_left)
		(void)snprintf(names + len, sizeof(names) - len, " and %u more",
			       s->nr_left - shown);
	(void)fprintf(stderr,
		      "\r\033[Kwaiting for %s to shut down: %llu of %u s",
		      names, (unsigned long long)passed_s, s->limit_s);
	(void)fflush(stderr);
	s->drawn = true;
}

/* One line about a VM; its status counts if it is the first that is not 0. */
static void stop_tell(struct stopping *s, const char *name, const char *text,
		      enum exit_status status)
{
	stop_erase(s);
	(void)fprintf(stderr, "disco: %s: %s\n", name, text);
	if (s->status == ST_OK)
		s->status = status;
}

/* --- what the monitor says --- */

static enum exit_status stop_vm_status(const json_t *vm)
{
	return (enum exit_status)json_integer_value(
		json_object_get(vm, "status"));
}

/* An end that was not the guest's own: its message says whose. */
static void stop_ended(struct stopping *s, const char *name, const json_t *vm)
{
	const char *message = cli_text(vm, "message");
	enum exit_status status = stop_vm_status(vm);

	if (s->again)
		stop_tell(s, name, *message ? message : "was stopped meanwhile",
			  status ? status : ST_HOST);
	else if (*message)
		stop_tell(s, name, message, status);
}

/* Is it over with @e, of which the monitor says @vm? NULL: it is forgotten. */
static bool stop_look(struct stopping *s, const struct ending *e,
		      const json_t *vm)
{
	const char *state = cli_text(vm, "state");
	json_int_t pid = json_integer_value(json_object_get(vm, "pid"));

	if (strcmp(state, "restarting") == 0)
		return false;
	if (vm && strcmp(state, "ended") != 0)
		return pid != e->pid; /* another one has its name */
	if (vm && (e->pid || s->again))
		stop_ended(s, e->name, vm);
	return true;
}

static int stop_look_at_all(struct stopping *s, struct diag *d)
{
	json_t *root = NULL, *list;
	int err = http_json("GET", "/v1/vms", NULL, &root, d);

	if (err)
		return err;
	list = json_object_get(root, "vms");
	for (unsigned i = 0; i < s->nr; i++) {
		struct ending *e = &s->vms[i];

		if (e->over || !stop_look(s, e, cli_find_vm(list, e->name)))
			continue;
		e->over = true;
		s->nr_left--;
	}
	json_decref(root);
	return 0;
}

static int stop_wait_for_all(struct stopping *s, struct diag *d)
{
	struct timespec nap = { .tv_nsec = LOOK_NS };
	int err = stop_look_at_all(s, d);

	while (!err && s->nr_left) {
		stop_draw(s);
		(void)nanosleep(&nap, NULL);
		nap.tv_nsec = nap.tv_nsec * 2 < LOOK_MAX_NS ? nap.tv_nsec * 2
							    : LOOK_MAX_NS;
		err = stop_look_at_all(s, d);
	}
	stop_erase(s);
	return err;
}

/* --- the requests --- */

static int stop_ask(struct stopping *s, const char *name, struct diag *d)
{
	struct ending *e = &s->vms[s->nr];
	char path[CLI_PATH_MAX], body[64];
	json_t *vm = NULL;
	int err = cli_vm_path(name, s->again ? "restart" : "stop", path, d);

	if (err)
		return err;
	(void)snprintf(body, sizeof(body), "{\"timeout_s\":%u,\"wait\":false}",
		       s->limit_s);
	err = http_json("POST", path, body, &vm, d);
	if (err)
		return err;
	*e = (struct ending){ .name = name,
			      .pid = json_integer_value(
				      json_object_get(vm, "pid")) };
	s->nr++;
	s->nr_left++;
	json_decref(vm);
	return 0;
}

/* All are tried; the first that failed is told about. */
static int stop_all_of(struct stopping *s, char *const *names, unsigned nr,
		       struct diag *d)
{
	struct ending *vms = calloc(nr ? nr : 1, sizeof(*vms));
	struct diag later = { .status = ST_OK };
	int err = 0, one;

	if (!vms)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	s->vms = vms;
	s->begin_ns = clock_now_ns();
	for (unsigned i = 0; i < nr; i++) {
		one = stop_ask(s, names[i], err ? &later : d);
		err = err ? err : one;
	}
	one = stop_wait_for_all(s, err ? &later : d);
	free(vms);
	return err ? err : one;
}

int cli_stop_vms(char *const *names, unsigned nr, unsigned limit_s,
		 struct diag *d)
{
	struct stopping s = { .limit_s = limit_s };
	int err = stop_all_of(&s, names, nr, d);

	return err ? err : (int)s.status;
}

/* The VMs that have not ended. They may do so meanwhile. */
static int stop_every_one(struct stopping *s, struct diag *d)
{
	json_t *root = NULL, *list, *vm;
	unsigned nr = 0;
	char **names;
	size_t i;
	int err = http_json("GET", "/v1/vms", NULL, &root, d);

	if (err)
		return err;
	list = json_object_get(root, "vms");
	names = calloc(json_array_size(list) + 1, sizeof(*names));
	json_array_foreach(list, i, vm)
	{
		if (names && strcmp(cli_text(vm, "state"), "ended") != 0)
			names[nr++] = (char *)cli_text(vm, "name");
	}
	err = names ? stop_all_of(s, names, nr, d)
		    : diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	free(names);
	json_decref(root);
	return err;
}

static int stop_run(const struct command_args *a, struct diag *d)
{
	struct stopping s = { .limit_s = SHUTDOWN_LIMIT_S };
	bool all = a->given[STOP_ALL];
	int err = 0;

	s.again = a->command == &cli_restart;
	if (!s.again && all == (a->nr_words > 0))
		return diag_fail(d, ST_USAGE, EINVAL,
				 "stop wants VM..., or --all");
	if (a->given[STOP_TIMEOUT])
		err = cli_whole(a->value[STOP_TIMEOUT], 0, &s.limit_s, d);
	if (!err)
		err = all ? stop_every_one(&s, d)
			  : stop_all_of(&s, a->words, a->nr_words, d);
	return err ? err : (int)s.status;
}

const struct command cli_stop = {
	.name = "stop",
	.brief = "shut VMs down",
	.help = "Shut virtual machines down, by their guest agents or else by "
		"their power buttons, wait until they are off, and kill those "
		"that are not in time.",
	.words = "VM...",
	.max_words = COMMAND_MAX_WORDS,
	.options = { stop_options },
	.run = stop_run,
};

const struct command cli_restart = {
	.name = "restart",
	.brief = "stop VMs, and start them again",
	.help = "Stop virtual machines as 'disco stop' does, and start them "
		"again with the same configuration. A virtual machine that has "
		"ended is just started.",
	.words = "VM...",
	.min_words = 1,
	.max_words = COMMAND_MAX_WORDS,
	.options = { restart_options },
	.run = stop_run,
};
