/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/shms.h"

#include <errno.h>
#include <sys/mman.h>

static int shm_create(struct shm *s, struct vm *vm, unsigned i)
{
	const struct worker_shm *spec = &vm->spec->shms[i];
	void *at = mmap(NULL, spec->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			worker_shm_fd(vm->spec, i), 0);
	int err;

	if (at == MAP_FAILED)
		return -errno;
	s->window = (struct ram_window){ .bytes = spec->bytes, .hva = at };
	err = region_add_window(&vm->regions, &s->region, &s->window);
	if (err)
		return err;
	err = virtio_pmem_create_plain(&vm->host, &s->window, &s->pmem);
	if (err)
		return err;
	return pci_add(&vm->pci, &virtio_pmem_dev(s->pmem)->pci);
}

int shms_create(struct shms *s, struct vm *vm)
{
	for (unsigned i = 0; i < vm->spec->nr_shms; i++) {
		int err = shm_create(&s->list[i], vm, i);

		if (err)
			return err;
		s->nr = i + 1;
	}
	return 0;
}
