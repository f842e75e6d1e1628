/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker without KVM: the test program itself, executed again by
 * worker_spawn() (DISCO_VM or a memfd copy of /proc/self/exe). The VM's name,
 * up to the first '.', says what it does.
 *
 *   check      look at everything inherited; power off, or say what is wrong
 *   full       fail unless all of its memory is there; power off
 *   talk       two console lines, then power off
 *   echo       give console input back until it is ended, or its power button
 *              is pressed, which powers it off
 *   copy       the same until "end\n" came, then power off
 *   flood      1 MiB of console lines, then power off
 *   panic reset crash failed   stop for that reason
 *   obey       wait for the same; may be adopted, as echo; counts what it is
 *              asked as exits of vCPU 0 for MMIO
 *   stay       as obey, and does nothing about its power button
 *   busy       the same, and uses a CPU meanwhile
 *   unbound stale liar   the same, but a move fails: cannot bind; has another
 *              program; says nonsense
 *   garbage    as obey, and writes random bytes to its figures all the time
 *   deaf       wait for ever
 *   sig9 sys exit3             die without a word
 *   short forged unasked       send a message that makes no sense; the last
 *              one is an answer to a request that there was not
 *   mixed      as obey, and answers a step of a move twice: first an earlier
 *              request, with an error
 *   log        write to standard error, then power off
 *   ring       as obey, and has its first disk registered in an io_uring
 *   lock       as obey, and a process that outlives it keeps its disks open
 *              (as the kernel does while requests are under way), until the
 *              file DISCO_TEST_HOLD of the environment is removed
 */
#ifndef TESTS_FAKE_WORKER_H
#define TESTS_FAKE_WORKER_H

#include "disco/worker_spec.h"
#include "monitor/ipc/figures.h"

/* A worker of another name: the test's own kind; NULL: there is none. */
extern void (*fake_worker_other)(const struct worker_spec *spec,
				 struct figures *f);

/* For it: what is asked of any worker; an answer; its end. */
void fake_worker_obey(const struct worker_request *req);
void fake_worker_stats(uint64_t id, bool exact);
_Noreturn void fake_worker_fail(const char *text);

/* First thing in main(): does not return when this is the worker. */
void fake_worker_hook(int argc, char **argv);

#endif
