/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/rehome.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "disco/clock.h"
#include "memory/ram_bind.h"
#include "monitor/worker/text.h"
#include "monitor/worker/vm/vnodes.h"

static int pagemap_fd = -1; /* [I after rehome_init()] */

int rehome_init(void)
{
	pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return pagemap_fd < 0 ? -errno : 0;
}

int rehome_bind(struct vm *vm, nodeid_t node)
{
	if (node == WORKER_NODES_SPREAD)
		return vnodes_bind(vm->spec, &vm->ram);
	return ram_bind(&vm->ram, node, vm->spec->strict);
}

/* Everything that is not pulled from outside. The guest is stopped. */
static int move_memory(struct machine *m, int boot, bool text)
{
	struct vm *vm = &m->vm;
	int err;

	if (text) {
		err = text_remap(WORKER_FD_CODE);
		if (err)
			return err;
	}
	err = boot_pages_rebase(vm->pmap, pagemap_fd, boot, &vm->others);
	if (err)
		return err;
	/* A known number of an open descriptor: cannot fail. */
	(void)dup3(boot, WORKER_FD_BOOT, O_CLOEXEC);
	paging_rebase(&m->paging);
	return vm_remake_slots(vm);
}

int rehome(struct machine *m, nodeid_t node, int boot, uint64_t *stall_ns)
{
	struct vm *vm = &m->vm;
	int code = text_check(WORKER_FD_CODE), err;
	uint64_t start;

	if (code && code != -ESTALE)
		return code;
	merge_cancel(&m->merge); /* its layer is on the old node */
	start = clock_now_ns();
	err = disks_quiesce(&m->disks);
	if (!err)
		err = move_memory(m, boot, code == 0);
	disks_resume_vcpus(&m->disks);
	*stall_ns = clock_now_ns() - start;
	disks_go_on(&m->disks);
	buffers_moved(&m->buffers);
	if (err)
		return err;
	vm->node = node;
	hinting_moved(&m->hinting, node);
	return code;
}
