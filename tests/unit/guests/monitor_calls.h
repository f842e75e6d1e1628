/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A whole monitor as a child process, with fake workers (fake_worker.h) and
 * fake agents, and calls of its API that fail the test when they fail.
 *
 * KVM, kernels, systemd and the foreground's half are replaced: a kernel named
 * "/missing" is not there, one named "/slow" takes for ever.
 */
#ifndef TESTS_MONITOR_CALLS_H
#define TESTS_MONITOR_CALLS_H

#include <jansson.h>
#include <sys/types.h>

#include "disco/diag.h"
#include "monitor/control/guests/guests.h"
#include "tests/unit/guests/fake_boot.h"
#include "tests/unit/support.h"

/*
 * Set before monitor_calls_begin(): an agent that is told this bound, in ms, by
 * its first pull goes wrong. Agents do without a buffer cache then.
 */
extern bool agents_go_wrong;
#define MS_DIE	    7
#define MS_NONSENSE 8

extern pid_t monitor_pid;
extern int log_fd;	     /* its standard error */
extern char *monitor_option; /* on its command line; NULL: none */

/* First thing in main(): does not return in a worker. False: no directory. */
bool monitor_calls_begin(int argc, char **argv);
void monitor_calls_end(void);

/*
 * Setup and teardown of a test; for those that begin in the middle, the rest.
 */
int set_up(void **state);
int tear_down(void **state);
void start_monitor(void);
void end_monitor(int sig);
_Noreturn void child(int err); /* become one, with this standard error */

bool answers(void);
void said(const char *what); /* waits for it; eats what was said before it */

json_t *call(const char *method, const char *path, const char *body);
void refused(const char *method, const char *path, const char *body,
	     enum exit_status status, const char *line);

void start_vm(const char *name);
/* @more: printf() of other members of its configuration, with a comma before */
__attribute__((format(printf, 3, 4))) void
start_vm_with(const char *name, const char *kernel, const char *more, ...);
void vm_call(const char *name, const char *action);
void expect(const char *name, const char *want, int status); /* soon */
pid_t pid_of(const char *name);

/*
 * What a worker that somebody has killed ends with after it was adopted: as any
 * other, where this kernel tells who is not its parent.
 */
enum exit_status killed_after_adoption(void);

/*
 * What the stats say of a VM, or of the agent of a node: of itself, or of its
 * cache; -1: nothing.
 */
json_int_t vm_figure(const char *name, const char *key);
json_int_t agent_figure(int node, const char *key);

/* docs/openapi.json, and does an answer have just what a schema has? */
json_t *description(void);
void has_keys_of(json_t *doc, const char *schema, json_t *value);

#endif
