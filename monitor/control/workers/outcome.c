/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/outcome.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static enum exit_status stop_status(uint32_t stop)
{
	switch ((enum worker_stop)stop) {
	case STOP_POWEROFF:
		return ST_OK;
	case STOP_RESET:
		return ST_GUEST_RESET;
	case STOP_PANIC:
		return ST_GUEST_PANIC;
	case STOP_CRASH:
		return ST_GUEST_CRASH;
	case STOP_ASKED:
		return ST_STOPPED;
	case STOP_FAILED:
		break;
	}
	return ST_WORKER_FAIL;
}

static bool outcome_killed(const struct vm_end *e)
{
	return e->code == CLD_KILLED || e->code == CLD_DUMPED;
}

enum exit_status outcome_status(const struct vm_end *e)
{
	if (e->hostile)
		return ST_WORKER_FAIL;
	if (e->stop)
		return stop_status(e->stop);
	/* One that was adopted: it is dead, by what the kernel has not told. */
	if ((e->cut || e->late_s) && e->unseen)
		return ST_STOPPED;
	if (e->asked && outcome_killed(e) && e->value == SIGKILL)
		return ST_STOPPED;
	if (e->stuck)
		return ST_WORKER_FAIL;
	if (outcome_killed(e))
		return e->value == SIGSYS ? ST_WORKER_SECCOMP
					  : ST_WORKER_SIGNAL;
	return ST_WORKER_FAIL;
}

static void stop_line(const struct vm_end *e, char *out, size_t size)
{
	static const char *const what[] = {
		[STOP_POWEROFF] = "",
		[STOP_RESET] = "guest asked for a reset",
		[STOP_PANIC] = "guest kernel panicked",
		[STOP_CRASH] = "guest CPU stopped",
		[STOP_FAILED] = "worker failed",
		[STOP_ASKED] = "",
	};

	(void)snprintf(out, size, "%s",
		       e->stop < ARRAY_SIZE(what) ? what[e->stop]
						  : "worker failed");
}

static void death_line(const struct vm_end *e, bool others, char *out,
		       size_t size)
{
	const char *after = others ? "its guest is gone, the other VMs go on"
				   : "its guest is gone";

	if (e->hostile)
		(void)snprintf(out, size,
			       "worker sent a message that makes no sense and "
			       "was killed; %s",
			       after);
	else if (e->stuck)
		(void)snprintf(out, size, "worker hung and was killed; %s",
			       after);
	else if (outcome_killed(e) && e->value == SIGSYS)
		(void)snprintf(out, size,
			       "worker killed by its system call filter; %s",
			       after);
	else if (outcome_killed(e) && e->value == SIGKILL && e->oom)
		(void)snprintf(
			out, size,
			"worker killed by signal %d (%s), by all signs for "
			"memory: the kernel's OOM killer was at work; %s",
			e->value, strsignal(e->value), after);
	else if (outcome_killed(e))
		(void)snprintf(out, size, "worker killed by signal %d (%s); %s",
			       e->value, strsignal(e->value), after);
	else if (e->unseen)
		(void)snprintf(out, size,
			       "worker is gone, and how it ended is not known, "
			       "as an earlier monitor had started it and this "
			       "kernel does not tell; %s",
			       after);
	else
		(void)snprintf(out, size,
			       "worker exited with status %d without saying "
			       "why; %s",
			       e->value, after);
}

void outcome_line(const struct vm_end *e, const char *text, bool others,
		  char *out, size_t size)
{
	bool stopped = outcome_status(e) == ST_STOPPED;
	size_t len;

	if (e->late_s && stopped)
		(void)snprintf(out, size,
			       "guest did not shut down within %u s and was "
			       "killed",
			       e->late_s);
	else if (e->cut && stopped)
		(void)snprintf(out, size, "killed by the operator");
	else if (e->stop && !e->hostile)
		stop_line(e, out, size);
	else if (stopped)
		(void)snprintf(out, size, "%s",
			       "worker did not stop in time and was killed");
	else
		death_line(e, others, out, size);
	len = strlen(out);
	/* What a worker says of an end that it was asked for is no news. */
	if (len && *text && e->stop != STOP_ASKED)
		(void)snprintf(out + len, size - len, ": %s", text);
}

/* X(name, value, text): a word is the name without ST_, in small letters. */
static void make_word(const char *name, char *out, size_t size)
{
	size_t i;

	for (i = 0; name[i] && i + 1 < size; i++) {
		char c = name[i];

		if (c == '_')
			c = '-';
		else if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		out[i] = c;
	}
	out[i] = '\0';
}

const char *status_word(enum exit_status status)
{
	static char word[32];
	const char *name = "ST_UNKNOWN";

	switch (status) {
#define STATUS_NAME(id, value, text)                                           \
	case id:                                                               \
		name = #id;                                                    \
		break;
		EXIT_STATUS_TABLE(STATUS_NAME)
#undef STATUS_NAME
	}
	make_word(name + strlen("ST_"), word, sizeof(word));
	return word;
}

const char *status_meaning(enum exit_status status)
{
	switch (status) {
#define STATUS_TEXT(id, value, text)                                           \
	case id:                                                               \
		return text;
		EXIT_STATUS_TABLE(STATUS_TEXT)
#undef STATUS_TEXT
	}
	return "unknown";
}
