/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/disks/disk_locks.h"
#include "monitor/control/workers/ram_file.h"
#include "monitor/control/workers/spawn_child.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/figures.h"
#include "numa/region.h"

#define DESTROY_WAIT_NS 500000000ull /* for disks to become free */

/* Both ends of everything that is made for one worker. */
struct ends {
	int ram, spec, figures;
	int control[2], console[2]; /* [0] ours, [1] the worker's */
	int log[2], error[2];	    /* [0] we read, [1] the worker writes */
};

static void ends_init(struct ends *e)
{
	*e = (struct ends){ .ram = -1,
			    .spec = -1,
			    .figures = -1,
			    .control = { -1, -1 },
			    .console = { -1, -1 },
			    .log = { -1, -1 },
			    .error = { -1, -1 } };
}

/* Leaves what is ours to keep when @ours is false. */
static void spawn_ends_close(struct ends *e, bool ours)
{
	fds_drop(&e->ram);
	fds_drop(&e->spec);
	fds_drop(&e->figures);
	fds_drop(&e->control[1]);
	fds_drop(&e->console[1]);
	fds_drop(&e->log[1]);
	fds_drop(&e->error[1]);
	fds_drop(&e->error[0]);
	if (!ours)
		return;
	fds_drop(&e->control[0]);
	fds_drop(&e->console[0]);
	fds_drop(&e->log[0]);
}

static int spawn_make_spec(const struct worker_spec *spec)
{
	int err, fd = memfd_create("disco-spec",
				   MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pwrite(fd, spec, sizeof(*spec), 0);
	if (n < (ssize_t)sizeof(*spec)) {
		err = n < 0 ? -errno : -ENOSPC;
		goto close;
	}
	err = fds_seal(fd);
	if (err)
		goto close;
	return fd;
close:
	(void)close(fd);
	return err;
}

/* On a node without memory it is wherever the worker touches it first. */
static int spawn_make_figures(nodeid_t node, int *fd)
{
	int err = region_prepare(FIGURES_NAME, FIGURES_BYTES, node, fd);

	if (err == -ENODEV)
		err = region_prepare(FIGURES_NAME, FIGURES_BYTES, NODE_AUTO,
				     fd);
	return err;
}

static int make_sockets(struct ends *e)
{
	int stream = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, e->control) <
		    0 ||
	    socketpair(AF_UNIX, stream, 0, e->console) < 0 ||
	    pipe2(e->log, O_CLOEXEC) < 0 || pipe2(e->error, O_CLOEXEC) < 0)
		return -errno;
	/* Only our ends: the worker may wait for us, never we for it. */
	if (fcntl(e->control[0], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(e->log[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int spawn_ends_fill(struct ends *e, const struct worker_spec *spec)
{
	int err;

	e->spec = spawn_make_spec(spec);
	if (e->spec < 0)
		return e->spec;
	err = spawn_make_figures(spec->node, &e->figures);
	if (err)
		return err;
	return make_sockets(e);
}

/* @ram: of the VM. Strict memory is there before the guest is. */
static int spawn_reserve(const struct worker_spec *spec, int ram,
			 struct diag *d)
{
	int err;

	if (!spec->reserved || spec->node == NODE_AUTO)
		return 0;
	err = ram_file_reserve(ram, spec->ram_bytes, spec->node,
			       (enum huge_pages)spec->huge);
	if (!err)
		return 0;
	return diag_fail(d, ST_MEMORY, -err,
			 "%s: %llu MiB cannot be reserved on node %d: %s; give "
			 "it less memory or another node, leave out 'strict', "
			 "or insist with --overcommit",
			 spec->name,
			 (unsigned long long)(spec->ram_bytes >> 20),
			 spec->node,
			 err == -ENOMEM ? "it has not enough free memory"
					: strerror(-err));
}

static int spawn_ends_make(struct ends *e, const struct worker_spec *spec,
			   struct diag *d)
{
	int err;

	ends_init(e);
	e->ram = ram_file_create(spec->ram_bytes, (enum huge_pages)spec->huge);
	if (e->ram < 0)
		return diag_fail(
			d, ST_HOST, -e->ram,
			"%s: no memory object for %llu bytes: %s", spec->name,
			(unsigned long long)spec->ram_bytes, strerror(-e->ram));
	err = spawn_reserve(spec, e->ram, d);
	if (err)
		return err;
	err = spawn_ends_fill(e, spec);
	if (err < 0)
		return diag_fail(d, ST_HOST, -err,
				 "%s: no descriptors for its worker: %s",
				 spec->name, strerror(-err));
	return 0;
}

/* What our own tools read; any other variable may hold a secret. */
static void pick_environment(char **out, unsigned max)
{
	static const char *const keep[] = { "DISCO_", "ASAN_", "UBSAN_",
					    "LSAN_", "TSAN_" };
	unsigned n = 0;

	for (char **e = environ; e && *e && n + 1 < max; e++) {
		for (unsigned i = 0; i < ARRAY_SIZE(keep); i++) {
			if (strncmp(*e, keep[i], strlen(keep[i])) == 0) {
				out[n++] = *e;
				break;
			}
		}
	}
	out[n] = NULL;
}

static void make_child(struct spawn_child *c, const struct worker_spec *spec,
		       const struct spawn_files *f, const struct ends *e)
{
	*c = (struct spawn_child){ .program = "disco-vm",
				   .name = spec->name,
				   .cpus = spec->cpus,
				   .nr_cpus = spec->nr_cpus,
				   .node = spec->node,
				   .strict = spec->strict,
				   .code = f->code,
				   .error = e->error[1],
				   .log = e->log[1],
				   .nr_fds = WORKER_FD_DISK0 };
	c->fds[WORKER_FD_SPEC] = e->spec;
	c->fds[WORKER_FD_CONTROL] = e->control[1];
	c->fds[WORKER_FD_CONSOLE] = e->console[1];
	c->fds[WORKER_FD_KVM] = f->kvm;
	c->fds[WORKER_FD_RAM] = e->ram;
	c->fds[WORKER_FD_BOOT] = f->boot;
	c->fds[WORKER_FD_LISTENER] = f->listener;
	c->fds[WORKER_FD_CODE] = f->code;
	c->fds[WORKER_FD_FIGURES] = e->figures;
	for (unsigned i = 0; i < f->nr_disk_fds && i < WORKER_MAX_DISK_FDS; i++)
		c->fds[c->nr_fds++] = f->disks[i];
	for (unsigned i = 0; i < f->nr_net_fds && i < WORKER_MAX_NET_FDS; i++)
		c->fds[c->nr_fds++] = f->nets[i];
	for (unsigned i = 0; i < f->nr_shm_fds && i < WORKER_MAX_SHM_FDS; i++)
		c->fds[c->nr_fds++] = f->shms[i];
	pick_environment(c->envp, ARRAY_SIZE(c->envp));
}

/* End of file: exec closed the pipe, the worker runs. */
static int await_exec(int fd, const struct worker_spec *spec, struct diag *d)
{
	struct spawn_error e;
	ssize_t n;

	do
		n = read(fd, &e, sizeof(e));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	if (n != (ssize_t)sizeof(e) || e.err <= 0)
		return diag_fail(d, ST_INTERNAL, EPROTO,
				 "%s: its worker did not start", spec->name);
	if (e.step == SPAWN_BIND)
		return diag_fail(d, ST_MEMORY, e.err,
				 "%s: memory cannot be bound to node %d: %s",
				 spec->name, spec->node, strerror(e.err));
	return diag_fail(d, ST_HOST, e.err, "%s: worker: %s: %s", spec->name,
			 spawn_step_text(e.step), strerror(e.err));
}

static int spawn_fork_child(const struct spawn_child *c, struct worker *w,
			    struct diag *d)
{
	w->pid = fork();
	if (w->pid == 0)
		spawn_child_run(c);
	if (w->pid < 0) {
		w->pid = 0;
		return diag_fail(d, ST_HOST, errno, "%s: fork: %s", c->name,
				 strerror(errno));
	}
	w->pidfd = pidfd_open(w->pid, 0);
	if (w->pidfd < 0)
		return diag_fail(d, ST_HOST, errno, "%s: pidfd_open: %s",
				 c->name, strerror(errno));
	return 0;
}

int worker_spawn(const struct worker_spec *spec,
		 const struct spawn_files *files, struct worker *out,
		 struct diag *d)
{
	struct worker w = WORKER_NONE;
	struct spawn_child child;
	struct ends e;
	int err = spawn_ends_make(&e, spec, d);

	if (err < 0)
		goto out_close;
	make_child(&child, spec, files, &e);
	w.start_ns = clock_now_ns();
	err = spawn_fork_child(&child, &w, d);
	if (err < 0)
		goto out_kill;
	fds_drop(&e.error[1]);
	err = await_exec(e.error[0], spec, d);
	if (err < 0)
		goto out_kill;
	w.control = e.control[0];
	w.console = e.console[0];
	w.log = e.log[0];
	spawn_ends_close(&e, false);
	*out = w;
	return 0;

out_kill:
	worker_destroy(&w);
out_close:
	spawn_ends_close(&e, true);
	return err;
}

void worker_signal(const struct worker *w, int sig)
{
	if (w->pid > 0 && w->pidfd >= 0)
		(void)pidfd_send_signal(w->pidfd, sig, NULL, 0);
}

int worker_reap(struct worker *w, siginfo_t *info)
{
	siginfo_t si = { .si_pid = 0 };

	if (w->pid <= 0)
		return -ECHILD;
	if (waitid(P_PID, (id_t)w->pid, &si, WEXITED | WNOHANG) < 0) {
		w->pid = 0;
		return -errno;
	}
	if (si.si_pid == 0)
		return -EAGAIN;
	w->pid = 0;
	*info = si;
	return 0;
}

void worker_destroy(struct worker *w)
{
	struct disk_locks locks = DISK_LOCKS_NONE;

	if (!w)
		return;
	if (w->pid > 0) {
		disk_locks_open(&locks, w->pid, WORKER_FD_DISK0);
		if (w->pidfd >= 0)
			worker_signal(w, SIGKILL);
		else
			(void)kill(w->pid, SIGKILL);
		/* One that was adopted is not our child. */
		(void)waitpid(w->pid, NULL, 0);
		w->pid = 0;
		(void)disk_locks_wait(&locks, DESTROY_WAIT_NS);
		disk_locks_close(&locks);
	}
	fds_drop(&w->pidfd);
	fds_drop(&w->control);
	fds_drop(&w->console);
	fds_drop(&w->log);
}
