/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/paging.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "cowdisk/dax/pager.h"
#include "monitor/sandbox/sandbox.h"

#define PAGER_STACK KIB(64)

static void faults_ready(struct io_watch *w, uint32_t events)
{
	(void)events;
	pager_ready(container_of(w, struct machine, faults)->vm.pager);
}

int paging_create(struct machine *m)
{
	const struct worker_spec *s = m->vm.spec;
	bool any = false;
	int err;

	for (unsigned i = 0; i < s->nr_disks; i++)
		any |= s->disks[i].pmem != 0;
	if (!any)
		return 0;
	err = pager_create(&m->vm.pager);
	if (err) {
		m->vm.pager = NULL;
		(void)fprintf(stderr,
			      "pmem disks are not in the buffer cache: "
			      "userfaultfd: %s; see 'disco doctor'\n",
			      strerror(-err));
		return 0;
	}
	m->faults = (struct io_watch){ .fd = pager_event_fd(m->vm.pager),
				       .ready = faults_ready };
	return io_loop_watch(&m->vm.loop, &m->faults, EPOLLIN);
}

static void *pager_main(void *arg)
{
	struct vm *vm = arg;
	int err = sandbox_enter(SANDBOX_PAGER);

	if (err)
		vm_stop(vm, STOP_FAILED, "system call filter refused: %s",
			strerror(-err));
	/* Until the process ends: a fault is waited for by somebody. */
	pager_run(vm->pager);
	return NULL;
}

int paging_start(struct machine *m)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (!m->vm.pager)
		return 0;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, PAGER_STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = -pthread_create(&thread, &attr, pager_main, &m->vm);
	(void)pthread_attr_destroy(&attr);
	return err;
}

static bool wants_rebase(const struct machine *m)
{
	bool any = false;

	for (unsigned i = 0; i < m->vm.spec->nr_disks; i++)
		any |= m->daxes[i] && dax_wants_rebase(m->daxes[i]);
	return any;
}

void paging_rebase(struct machine *m)
{
	for (unsigned i = 0; i < m->vm.spec->nr_disks; i++) {
		int err = m->daxes[i]
				  ? dax_rebase(m->daxes[i], m->buffers.pagemap)
				  : 0;

		if (err)
			(void)fprintf(stderr,
				      "pmem disk %u is not all in the buffer "
				      "cache: %s\n",
				      i, strerror(-err));
	}
}

void paging_look(struct machine *m)
{
	/* On the way to another node: when it arrives, rehome() does. */
	if (m->buffers.home != m->vm.node || !wants_rebase(m))
		return;
	if (machine_rest(m) == 0)
		paging_rebase(m);
	machine_resume(m);
	machine_go_on(m);
}

void paging_turned(struct machine *m)
{
	_Atomic(uint64_t) *words = m->vm.figures->cache.words;
	uint64_t continued = 0;
	struct pager_stats p;
	struct dax_stats d;

	if (!m->vm.pager)
		return;
	for (unsigned i = 0; i < m->vm.spec->nr_disks; i++) {
		if (!m->daxes[i])
			continue;
		dax_get_stats(m->daxes[i], &d);
		continued += d.continued_pages;
	}
	pager_get_stats(m->vm.pager, &p);
	figures_set(&words[FIGURES_PMEM_FAULTS], p.faults);
	figures_set(&words[FIGURES_PMEM_CONTINUED], continued);
	figures_set(&words[FIGURES_PMEM_COPIED], p.copied_pages);
}
