/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/boot_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/boot/initrd_size.h"
#include "monitor/control/launch/cache_dir.h"

#define ROOM_ABOVE MIB(1) /* what a kernel needs at the very least */

int boot_set_create(struct boot_set *set, unsigned max,
		    const struct boot_copies *running, struct diag *d)
{
	struct diag ignored = { .status = ST_OK };

	memset(set, 0, sizeof(*set));
	set->entries = calloc(max, sizeof(*set->entries));
	if (!set->entries)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	set->max = max;
	set->running = running;
	if (cache_dir_make(&set->cache_dir, &ignored) < 0)
		set->cache_dir = NULL;
	return 0;
}

void boot_set_destroy(struct boot_set *set)
{
	if (!set)
		return;
	for (unsigned i = 0; i < set->nr; i++)
		if (!set->entries[i].found)
			boot_image_destroy(&set->entries[i].image);
	free(set->entries);
	free(set->cache_dir);
	memset(set, 0, sizeof(*set));
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool boot_set_fits(const struct boot_set_entry *e,
			  const struct vm_config *vm, nodeid_t node)
{
	return e->node == node && e->vm->keep_packed == vm->keep_packed &&
	       same_text(e->vm->kernel, vm->kernel) &&
	       same_text(e->vm->initrd, vm->initrd);
}

static const struct boot_set_entry *boot_set_find(const struct boot_set *set,
						  const struct vm_config *vm,
						  nodeid_t node)
{
	for (unsigned i = 0; i < set->nr; i++) {
		if (boot_set_fits(&set->entries[i], vm, node))
			return &set->entries[i];
	}
	return NULL;
}

static struct boot_key key_of(const struct vm_config *vm)
{
	return boot_key_make(vm->kernel, vm->initrd, vm->keep_packed);
}

/* The new image is the last entry. */
static int boot_set_add(struct boot_set *set, const struct vm_config *vm,
			nodeid_t node, struct diag *d)
{
	const struct boot_source src = { .kernel = vm->kernel,
					 .initrd = vm->initrd,
					 .cache_dir = set->cache_dir,
					 .keep_packed = vm->keep_packed,
					 .node = node };
	struct boot_key now;
	struct boot_set_entry *e = &set->entries[set->nr];
	int err = 0;

	if (set->nr == set->max)
		return diag_fail(d, ST_INTERNAL, ENOSPC, "boot set is full");
	e->key = key_of(vm);
	e->found = set->running &&
		   boot_copies_have(set->running, &e->key, node, &e->image);
	if (!e->found)
		err = boot_image_create(&src, &e->image, d);
	if (err)
		return err;
	/* Changed while they were read: then it is like no other. */
	now = key_of(vm);
	e->key.known = boot_key_same(&e->key, &now);
	e->vm = vm;
	e->node = node;
	set->nr++;
	return 0;
}

/* With this much memory it boots, as far as that can be told. */
static uint64_t boot_set_memory(const struct vm_config *vm, uint64_t end)
{
	uint64_t bytes = vm->initrd ? initrd_memory(vm->initrd, end) : 0;

	return bytes > end ? bytes : align_up(end, MIB(1));
}

/* Can @vm have this image? */
static int boot_set_check(const struct boot_set_entry *e,
			  const struct vm_config *vm, struct diag *d)
{
	const struct boot_layout *l = &e->image.layout;
	uint64_t end = l->end + ROOM_ABOVE;
	size_t len = vm->cmdline ? strlen(vm->cmdline) : 0;

	if (vm->memory_bytes < end)
		return diag_fail(
			d, ST_MEMORY, ENOMEM,
			"%s: memory of %llu KiB does not hold its "
			"kernel and initrd%s; give it %lluM",
			vm->name, (unsigned long long)vm->memory_bytes >> 10,
			vm->initrd ? ", which Linux unpacks beside it" : "",
			(unsigned long long)boot_set_memory(vm, end) >> 20);
	if (len > l->cmdline_max)
		return diag_fail(d, ST_CONFIG, E2BIG,
				 "%s: the command line has %zu characters, and "
				 "kernel %s takes %u; shorten it",
				 vm->name, len, vm->kernel, l->cmdline_max);
	return 0;
}

int boot_set_get(struct boot_set *set, const struct vm_config *vm,
		 nodeid_t node, const struct boot_set_entry **out,
		 struct diag *d)
{
	const struct boot_set_entry *e = boot_set_find(set, vm, node);
	int err;

	if (!e) {
		err = boot_set_add(set, vm, node, d);
		if (err)
			return err;
		e = &set->entries[set->nr - 1];
	}
	err = boot_set_check(e, vm, d);
	if (err)
		return err;
	*out = e;
	return 0;
}
