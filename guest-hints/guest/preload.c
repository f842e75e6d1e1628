/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libdisco-hint-preload.so: hints for programs that know nothing of them. With
 * LD_PRELOAD it runs a thread in the program, which looks at the program's
 * mappings, again and again, and hints those that a rule of DISCO_HINT names:
 *
 *	size=SIZE:HINT		anonymous mappings of SIZE or more
 *	file=PATTERN:HINT	mappings of files whose name fits (fnmatch(3))
 *
 * separated by commas. It looks after 1, 2, 4 ... seconds, a minute at most:
 * pages that have come since are hinted then. mmap(2) is not intercepted, since
 * malloc(3) does not call it by name.
 *
 * A program where something of this fails runs as it would without it.
 */
#include <fnmatch.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest-hints/guest/disco_hint.h"
#include "guest-hints/guest/rules.h"

#define TEXT_MAX 1024
#define REST_MAX 60

static struct hint_rule rules[HINT_RULES_MAX];
static unsigned nr_rules;
static char text[TEXT_MAX]; /* what the rules point into */
static struct disco_hint *hint;

static void preload_mapping(unsigned long long start, unsigned long long end,
			    const char *name)
{
	for (unsigned i = 0; i < nr_rules; i++) {
		const struct hint_rule *r = &rules[i];
		int fits = r->bytes ? (!*name || strcmp(name, "[heap]") == 0) &&
					      end - start >= r->bytes
				    : *name == '/' &&
					      fnmatch(r->pattern, name, 0) == 0;

		if (fits)
			(void)disco_hint_range(hint, (void *)(uintptr_t)start,
					       end - start, r->kind, r->vcpu);
	}
}

/* "START-END PERMS OFFSET DEVICE INODE NAME" */
static void preload_look(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	static char line[4096 + 128];
	unsigned long long start, end;
	int name;

	while (f && fgets(line, sizeof(line), f)) {
		name = 0;
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%llx-%llx %*s %*s %*s %*s %n", &start, &end,
			   &name) == 2 &&
		    name)
			preload_mapping(start, end, line + name);
	}
	if (f)
		(void)fclose(f);
}

static void *preload_thread(void *arg)
{
	struct timespec rest = { .tv_sec = 1 };

	(void)arg;
	for (;;) {
		(void)nanosleep(&rest, NULL);
		preload_look();
		if (rest.tv_sec * 2 <= REST_MAX)
			rest.tv_sec *= 2;
	}
	return NULL;
}

/* Signals of the program are not for this thread. */
__attribute__((constructor)) static void preload_start(void)
{
	const char *given = getenv("DISCO_HINT");
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	const char *bad;

	if (!given || strlen(given) >= sizeof(text))
		return;
	memcpy(text, given, strlen(given) + 1);
	/* A rule that is none has no effect; disco-hint run refuses it. */
	nr_rules = hint_parse_rules(text, rules, &bad);
	if (!nr_rules || disco_hint_open(&hint) != 0)
		return;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	if (pthread_attr_init(&attr) == 0) {
		(void)pthread_attr_setdetachstate(&attr,
						  PTHREAD_CREATE_DETACHED);
		(void)pthread_create(&thread, &attr, preload_thread, NULL);
		(void)pthread_attr_destroy(&attr);
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}
