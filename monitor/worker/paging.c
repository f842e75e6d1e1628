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
	pager_ready(container_of(w, struct paging, faults)->vm->pager);
}

void paging_init(struct paging *p, struct vm *vm, struct disks *disks,
		 const struct buffers *buffers)
{
	*p = (struct paging){ .vm = vm, .disks = disks, .buffers = buffers };
}

int paging_create(struct paging *p)
{
	struct vm *vm = p->vm;
	const struct worker_spec *s = vm->spec;
	bool any = false;
	int err;

	for (unsigned i = 0; i < s->nr_disks; i++)
		any |= s->disks[i].pmem != 0;
	if (!any)
		return 0;
	err = pager_create(&vm->pager);
	if (err) {
		vm->pager = NULL;
		(void)fprintf(stderr,
			      "pmem disks are not in the buffer cache: "
			      "userfaultfd: %s; see 'disco doctor'\n",
			      strerror(-err));
		return 0;
	}
	p->faults = (struct io_watch){ .fd = pager_event_fd(vm->pager),
				       .ready = faults_ready };
	return io_loop_watch(&vm->loop, &p->faults, EPOLLIN);
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

int paging_start(struct paging *p)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	if (!p->vm->pager)
		return 0;
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, PAGER_STACK);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = -pthread_create(&thread, &attr, pager_main, p->vm);
	(void)pthread_attr_destroy(&attr);
	return err;
}

static bool wants_rebase(const struct paging *p)
{
	bool any = false;

	for (unsigned i = 0; i < p->disks->nr; i++)
		any |= p->disks->daxes[i] &&
		       dax_wants_rebase(p->disks->daxes[i]);
	return any;
}

void paging_rebase(struct paging *p)
{
	for (unsigned i = 0; i < p->disks->nr; i++) {
		int err = p->disks->daxes[i] ? dax_rebase(p->disks->daxes[i],
							  p->buffers->pagemap)
					     : 0;

		if (err)
			(void)fprintf(stderr,
				      "pmem disk %u is not all in the buffer "
				      "cache: %s\n",
				      i, strerror(-err));
	}
}

void paging_look(struct paging *p)
{
	/* On the way to another node: when it arrives, rehome() does. */
	if (p->buffers->home != p->vm->node || !wants_rebase(p))
		return;
	if (disks_quiesce(p->disks) == 0)
		paging_rebase(p);
	disks_resume_vcpus(p->disks);
	disks_go_on(p->disks);
}

void paging_turned(struct paging *p)
{
	_Atomic(uint64_t) *words = p->vm->figures->cache.words;
	uint64_t continued = 0;
	struct pager_stats s;
	struct dax_stats d;

	if (!p->vm->pager)
		return;
	for (unsigned i = 0; i < p->disks->nr; i++) {
		if (!p->disks->daxes[i])
			continue;
		dax_get_stats(p->disks->daxes[i], &d);
		continued += d.continued_pages;
	}
	pager_get_stats(p->vm->pager, &s);
	figures_set(&words[FIGURES_PMEM_FAULTS], s.faults);
	figures_set(&words[FIGURES_PMEM_CONTINUED], continued);
	figures_set(&words[FIGURES_PMEM_COPIED], s.copied_pages);
}
