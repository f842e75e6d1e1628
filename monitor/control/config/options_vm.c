/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/options_vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/config/keyval.h"
#include "monitor/control/base/size.h"

static int bad_key(const char *key, const char *known,
		   const struct config_at *at)
{
	return config_fail(at, EINVAL, "unknown key '%s'; known: %s", key,
			   known);
}

static int need_value(const struct keyval *kv, const struct config_at *at)
{
	if (kv->value && *kv->value)
		return 0;
	return config_fail(at, EINVAL, "'%s' needs a value, %s=...", kv->key,
			   kv->key);
}

/* on, off, or nothing for on. */
static int get_switch(const struct keyval *kv, bool *out,
		      const struct config_at *at)
{
	if (!kv->value || strcmp(kv->value, "on") == 0)
		*out = true;
	else if (strcmp(kv->value, "off") == 0)
		*out = false;
	else
		return config_fail(at, EINVAL, "%s must be on or off, not '%s'",
				   kv->key, kv->value);
	return 0;
}

static int get_number(const char *text, int64_t *out,
		      const struct config_at *at)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno)
		return config_fail(at, EINVAL, "'%s' is not a number", text);
	*out = v;
	return 0;
}

static int kernel_item(void *obj, const struct keyval *kv,
		       const struct config_at *at)
{
	struct vm_config *vm = obj;
	bool unpack = true;
	int err;

	if (!kv->key)
		return vm_set_kernel(vm, NULL, kv->value, at);
	if (strcmp(kv->key, "unpack") != 0)
		return bad_key(kv->key, "unpack", at);
	err = get_switch(kv, &unpack, at);
	if (!err)
		vm->keep_packed = !unpack;
	return err;
}

static int get_size(const char *text, uint64_t *out, const struct config_at *at)
{
	if (size_parse(text, out))
		return config_fail(at, EINVAL, "'%s' is not " SIZE_SYNTAX,
				   text);
	return 0;
}

static int memory_size(struct vm_config *vm, const char *text,
		       const struct config_at *at)
{
	uint64_t bytes = 0;
	int err = get_size(text, &bytes, at);

	return err ? err : vm_set_memory(vm, bytes, at);
}

static int memory_node(struct vm_config *vm, const char *text,
		       const struct config_at *at)
{
	int64_t node = 0;
	int err;

	if (strcmp(text, "auto") == 0) {
		vm->node = NODE_AUTO;
		return 0;
	}
	err = get_number(text, &node, at);
	return err ? err : vm_set_node(vm, node, at);
}

static int memory_item(void *obj, const struct keyval *kv,
		       const struct config_at *at)
{
	struct vm_config *vm = obj;
	int err;

	if (!kv->key)
		return memory_size(vm, kv->value, at);
	if (strcmp(kv->key, "strict") == 0)
		return get_switch(kv, &vm->strict, at);
	if (strcmp(kv->key, "merge") == 0)
		return get_switch(kv, &vm->merge, at);
	if (strcmp(kv->key, "node") != 0 && strcmp(kv->key, "huge") != 0)
		return bad_key(kv->key, "node, strict, huge, merge", at);
	err = need_value(kv, at);
	if (err)
		return err;
	if (*kv->key == 'n')
		return memory_node(vm, kv->value, at);
	return vm_set_huge(vm, kv->value, at);
}

static int disk_path(struct disk_config *disk, const char *text,
		     const struct config_at *at)
{
	return disk_set_path(disk, NULL, text, at);
}

static int vm_option_cow(struct disk_config *disk, const char *text,
			 const struct config_at *at)
{
	return disk_set_cow(disk, NULL, text, at);
}

static int disk_cache(struct disk_config *disk, const struct keyval *kv,
		      const struct config_at *at)
{
	bool cache = true;
	int err = get_switch(kv, &cache, at);

	if (!err)
		disk->no_cache = !cache;
	return err;
}

static int disk_queues(struct disk_config *disk, const char *text,
		       const struct config_at *at)
{
	int64_t nr = 0;
	int err = get_number(text, &nr, at);

	return err ? err : disk_set_queues(disk, nr, at);
}

static int disk_iops(struct disk_config *disk, const char *text,
		     const struct config_at *at)
{
	int64_t nr = 0;
	int err = get_number(text, &nr, at);

	return err ? err : disk_set_iops(disk, nr, at);
}

static int disk_bps(struct disk_config *disk, const char *text,
		    const struct config_at *at)
{
	uint64_t bytes = 0;
	int err = get_size(text, &bytes, at);

	return err ? err : disk_set_bps(disk, bytes, at);
}

/* The keys that need a value. */
static const struct {
	const char *key;
	int (*set)(struct disk_config *disk, const char *text,
		   const struct config_at *at);
} disk_values[] = {
	{ "path", disk_path },	       { "cow", vm_option_cow },
	{ "serial", disk_set_serial }, { "queues", disk_queues },
	{ "iops", disk_iops },	       { "bps", disk_bps },
};

static int disk_item(void *obj, const struct keyval *kv,
		     const struct config_at *at)
{
	struct disk_config *disk = obj;
	size_t i = 0;
	int err;

	if (strcmp(kv->key, "ro") == 0)
		return get_switch(kv, &disk->read_only, at);
	if (strcmp(kv->key, "snapshot") == 0)
		return get_switch(kv, &disk->snapshot, at);
	if (strcmp(kv->key, "pmem") == 0)
		return get_switch(kv, &disk->pmem, at);
	if (strcmp(kv->key, "cache") == 0)
		return disk_cache(disk, kv, at);
	while (i < ARRAY_SIZE(disk_values) &&
	       strcmp(kv->key, disk_values[i].key) != 0)
		i++;
	if (i == ARRAY_SIZE(disk_values))
		return bad_key(
			kv->key,
			"path, cow, snapshot, ro, pmem, serial, cache, queues, "
			"iops, bps",
			at);
	err = need_value(kv, at);
	return err ? err : disk_values[i].set(disk, kv->value, at);
}

/* Splits @arg and hands each item to @set. */
static int apply_items(const char *arg, bool first, void *obj,
		       int (*set)(void *obj, const struct keyval *kv,
				  const struct config_at *at),
		       const struct config_at *at)
{
	struct keyval_list list;
	int err = keyval_parse(arg, first, at->where, &list, at->d);

	if (err)
		return err;
	for (unsigned i = 0; i < list.nr && !err; i++)
		err = set(obj, &list.items[i], at);
	keyval_destroy(&list);
	return err;
}

static int apply_kernel(struct vm_draft *draft, const char *arg,
			const struct config_at *at)
{
	return apply_items(arg, true, &draft->vm, kernel_item, at);
}

static int apply_initrd(struct vm_draft *draft, const char *arg,
			const struct config_at *at)
{
	return vm_set_initrd(&draft->vm, NULL, arg, at);
}

static int apply_cmdline(struct vm_draft *draft, const char *arg,
			 const struct config_at *at)
{
	return vm_set_cmdline(&draft->vm, arg, at);
}

static int apply_cpus(struct vm_draft *draft, const char *arg,
		      const struct config_at *at)
{
	int64_t nr = 0;
	int err = get_number(arg, &nr, at);

	return err ? err : vm_set_cpus(&draft->vm, nr, at);
}

static int apply_memory(struct vm_draft *draft, const char *arg,
			const struct config_at *at)
{
	return apply_items(arg, true, &draft->vm, memory_item, at);
}

static int apply_disk(struct vm_draft *draft, const char *arg,
		      const struct config_at *at)
{
	struct disk_config *disk = NULL;
	int err;

	err = vm_add_disk(&draft->vm, &disk, at);
	if (!err)
		err = apply_items(arg, false, disk, disk_item, at);
	if (!err && !disk->path)
		err = config_fail(at, EINVAL, "'%s' has no path=FILE", arg);
	return err ? err : disk_check(disk, at);
}

static int apply_name(struct vm_draft *draft, const char *arg,
		      const struct config_at *at)
{
	return vm_set_name(&draft->vm, arg, at);
}

static int apply_group(struct vm_draft *draft, const char *arg,
		       const struct config_at *at)
{
	return vm_set_group(&draft->vm, arg, at);
}

static int apply_count(struct vm_draft *draft, const char *arg,
		       const struct config_at *at)
{
	int64_t nr = 0;
	int err = get_number(arg, &nr, at);

	return err ? err : vm_draft_set_count(draft, nr, at);
}

static const struct {
	int key;
	const char *name;
	int (*apply)(struct vm_draft *draft, const char *arg,
		     const struct config_at *at);
} vm_options[] = {
	{ KEY_KERNEL, "--kernel", apply_kernel },
	{ KEY_INITRD, "--initrd", apply_initrd },
	{ KEY_CMDLINE, "--cmdline", apply_cmdline },
	{ KEY_CPUS, "--cpus", apply_cpus },
	{ KEY_MEMORY, "--memory", apply_memory },
	{ KEY_DISK, "--disk", apply_disk },
	{ KEY_NAME, "--name", apply_name },
	{ KEY_GROUP, "--group", apply_group },
	{ KEY_COUNT, "--count", apply_count },
};

static size_t options_vm_find(int key)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(vm_options) && vm_options[i].key != key)
		i++;
	return i;
}

const char *vm_option_name(int key)
{
	size_t i = options_vm_find(key);

	return i < ARRAY_SIZE(vm_options) ? vm_options[i].name : NULL;
}

int vm_option_apply(int key, const char *arg, struct vm_draft *draft,
		    struct diag *d)
{
	size_t i = options_vm_find(key);
	struct config_at at = { vm_options[i].name, ST_USAGE, d };

	return vm_options[i].apply(draft, arg, &at);
}
