/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/rehome.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disco/clock.h"
#include "memory/ram_bind.h"
#include "monitor/worker/paging.h"
#include "numa/bind.h"

#define MAX_SEGMENTS 4

/* A part of the program that is never written: whole pages of its file. */
struct segment {
	uint8_t *at;
	size_t bytes;
	off_t offset;
	int prot;
};

static struct segment segments[MAX_SEGMENTS]; /* [I after rehome_init()] */
static unsigned nr_segments;		      /* [I after rehome_init()] */
static int pagemap_fd = -1;		      /* [I after rehome_init()] */

/* The first object is the program itself. */
static int find_segments(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t skip = p->p_vaddr % PAGE_BYTES;

		if (p->p_type != PT_LOAD || p->p_flags & PF_W)
			continue;
		if (nr_segments == MAX_SEGMENTS)
			break;
		segments[nr_segments++] = (struct segment){
			.at = (uint8_t *)(info->dlpi_addr + p->p_vaddr - skip),
			.bytes = align_up(p->p_filesz + skip, PAGE_BYTES),
			.offset = (off_t)(p->p_offset - skip),
			.prot = PROT_READ | (p->p_flags & PF_X ? PROT_EXEC : 0),
		};
	}
	return 1;
}

int rehome_init(void)
{
	(void)dl_iterate_phdr(find_segments, NULL);
	pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	return pagemap_fd < 0 ? -errno : 0;
}

void rehome_text_pages(nodeid_t node, uint64_t *pages, uint64_t *local)
{
	*pages = *local = 0;
	for (unsigned i = 0; i < nr_segments; i++) {
		const struct segment *s = &segments[i];
		uint64_t touched, here;

		if (node_pages_local(s->at, s->bytes, node, &touched, &here))
			continue;
		*pages += touched;
		*local += here;
	}
}

int rehome_bind(struct vm *vm, nodeid_t node)
{
	return ram_bind(&vm->ram, node, vm->spec->strict);
}

/* Is WORKER_FD_CODE the program that runs? A newer monitor has a newer one. */
static int check_code(void)
{
	struct stat st;

	if (fstat(WORKER_FD_CODE, &st) < 0)
		return -errno;
	for (unsigned i = 0; i < nr_segments; i++) {
		const struct segment *s = &segments[i];
		uint64_t end = align_up((uint64_t)st.st_size, PAGE_BYTES);
		void *copy;
		bool same;

		/* A page beyond the end would be a SIGBUS. */
		if (!range_fits((uint64_t)s->offset, s->bytes, end))
			return -ESTALE;
		copy = mmap(NULL, s->bytes, PROT_READ, MAP_PRIVATE,
			    WORKER_FD_CODE, s->offset);

		if (copy == MAP_FAILED)
			return -errno;
		same = memcmp(copy, s->at, s->bytes) == 0;
		(void)munmap(copy, s->bytes);
		if (!same)
			return -ESTALE;
	}
	return 0;
}

/* Over ourselves: the same bytes, so whoever runs there does not notice. */
static int remap_code(void)
{
	for (unsigned i = 0; i < nr_segments; i++) {
		const struct segment *s = &segments[i];

		if (mmap(s->at, s->bytes, s->prot, MAP_PRIVATE | MAP_FIXED,
			 WORKER_FD_CODE, s->offset) == MAP_FAILED)
			return -errno;
	}
	return 0;
}

static int rebase_pages(struct vm *vm, int boot)
{
	int err = boot_pages_rebase(vm->pmap, pagemap_fd, boot, &vm->others);

	/* A known number of an open descriptor: cannot fail. */
	if (!err)
		(void)dup3(boot, WORKER_FD_BOOT, O_CLOEXEC);
	return err;
}

int rehome(struct machine *m, nodeid_t node, int boot, uint64_t *stall_ns)
{
	struct vm *vm = &m->vm;
	int code = check_code(), err;
	uint64_t start;

	if (code && code != -ESTALE)
		return code;
	merge_cancel(&m->merge); /* its layer is on the old node */
	start = clock_now_ns();
	err = machine_rest(m);
	if (!err && !code)
		err = remap_code();
	if (!err)
		err = rebase_pages(vm, boot);
	if (!err)
		paging_rebase(m);
	if (!err)
		err = vm_remake_slots(vm);
	machine_resume(m);
	*stall_ns = clock_now_ns() - start;
	machine_go_on(m);
	buffers_moved(&m->buffers);
	if (!err)
		vm->node = node;
	return err ? err : code;
}
