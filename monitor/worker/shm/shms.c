/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/shm/shms.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memory/pmap.h"
#include "monitor/ipc/fds.h"
#include "monitor/worker/shm/shm_holder.h"

/* Before the host writes to a part of it. */
static void shm_touched(struct ram_window *w, uint64_t offset, uint64_t len)
{
	segment_map_busy(&container_of(w, struct shm, window)->map, offset,
			 len);
}

static int shm_create(struct shm *s, struct vm *vm, unsigned i)
{
	const struct worker_shm *spec = &vm->spec->shms[i];
	int err = segment_map_create(&s->map, worker_shm_fd(vm->spec, i),
				     spec->bytes, spec->guarded);

	/*
	 * Overlays have half of the mappings of a process. Runs of replicas, of
	 * which each costs two, have half of the rest, in all segments.
	 */
	s->map.max_runs = (uint32_t)min_u64(
		SEGMENT_MAP_RUNS, pmap_budget() / 2 / VM_MAX_SHMS / 2);
	if (!err && spec->guarded)
		err = shm_holder_create(&s->map, vm, &s->holder);
	if (err)
		return err;
	s->window = (struct ram_window){ .bytes = spec->bytes,
					 .hva = s->map.base,
					 .touched = shm_touched };
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

int shms_start(struct shms *s)
{
	for (unsigned i = 0; i < s->nr; i++) {
		int err = s->list[i].holder
				  ? shm_holder_start(s->list[i].holder)
				  : 0;

		if (err)
			return err;
	}
	return 0;
}

void shms_link(struct shms *s, const struct worker_req_shm_link *r,
	       const int *fds)
{
	if (r->shm < s->nr && s->list[r->shm].holder)
		shm_holder_link(s->list[r->shm].holder, fds);
	else
		fds_close(fds, SHM_HOLDER_FDS);
}

void shms_idle(struct shms *s)
{
	for (unsigned i = 0; i < s->nr; i++)
		segment_map_idle(&s->list[i].map);
}

void shms_cut(struct shms *s)
{
	for (unsigned i = 0; i < s->nr; i++)
		if (s->list[i].holder)
			shm_holder_cut(s->list[i].holder);
}
