/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/config_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/config/config_reader.h"
#include "monitor/control/base/size.h"

static int read_size(struct reader *r, json_t *v, uint64_t *bytes)
{
	if (json_is_integer(v)) {
		if (json_integer_value(v) < 0)
			return config_fail(reader_at(r), EINVAL, "is negative");
		*bytes = (uint64_t)json_integer_value(v);
	} else if (!json_is_string(v)) {
		return reader_wrong_type(r, v,
					 "a string (\"256M\") or an integer");
	} else if (size_parse(json_string_value(v), bytes)) {
		return config_fail(reader_at(r), EINVAL,
				   "'%s' is not " SIZE_SYNTAX,
				   json_string_value(v));
	}
	return 0;
}

/* --- disks --- */

static int read_disk_path(struct reader *r, json_t *v, void *obj)
{
	const char *text = NULL;
	int err = reader_text(r, v, &text);

	return err ? err : disk_set_path(obj, r->dir, text, reader_at(r));
}

static int read_disk_ro(struct reader *r, json_t *v, void *obj)
{
	struct disk_config *disk = obj;

	return reader_bool(r, v, &disk->read_only);
}

static int read_disk_cow(struct reader *r, json_t *v, void *obj)
{
	const char *text = NULL;
	int err = reader_text(r, v, &text);

	return err ? err : disk_set_cow(obj, r->dir, text, reader_at(r));
}

static int read_disk_snapshot(struct reader *r, json_t *v, void *obj)
{
	struct disk_config *disk = obj;

	return reader_bool(r, v, &disk->snapshot);
}

static int read_disk_cache(struct reader *r, json_t *v, void *obj)
{
	struct disk_config *disk = obj;
	bool cache = true;
	int err = reader_bool(r, v, &cache);

	if (!err)
		disk->no_cache = !cache;
	return err;
}

static int read_disk_pmem(struct reader *r, json_t *v, void *obj)
{
	struct disk_config *disk = obj;

	return reader_bool(r, v, &disk->pmem);
}

static int read_disk_serial(struct reader *r, json_t *v, void *obj)
{
	const char *text = NULL;
	int err = reader_text(r, v, &text);

	return err ? err : disk_set_serial(obj, text, reader_at(r));
}

static int read_disk_queues(struct reader *r, json_t *v, void *obj)
{
	int64_t nr = 0;
	int err = reader_int(r, v, &nr);

	return err ? err : disk_set_queues(obj, nr, reader_at(r));
}

static int read_disk_iops(struct reader *r, json_t *v, void *obj)
{
	int64_t nr = 0;
	int err = reader_int(r, v, &nr);

	return err ? err : disk_set_iops(obj, nr, reader_at(r));
}

static int read_disk_bps(struct reader *r, json_t *v, void *obj)
{
	uint64_t bytes = 0;
	int err = read_size(r, v, &bytes);

	return err ? err : disk_set_bps(obj, bytes, reader_at(r));
}

static const struct key_rule disk_rules[] = {
	{ "path", read_disk_path },
	{ "cow", read_disk_cow },
	{ "snapshot", read_disk_snapshot },
	{ "ro", read_disk_ro },
	{ "pmem", read_disk_pmem },
	{ "serial", read_disk_serial },
	{ "cache", read_disk_cache },
	{ "queues", read_disk_queues },
	{ "iops", read_disk_iops },
	{ "bps", read_disk_bps },
	{ NULL, NULL },
};

static int read_disk(struct reader *r, json_t *v, struct vm_config *vm)
{
	struct disk_config *disk = NULL;
	int err;

	err = vm_add_disk(vm, &disk, reader_at(r));
	if (!err)
		err = reader_object(r, v, disk_rules, disk);
	if (!err && !disk->path)
		err = config_fail(reader_at(r), EINVAL, "has no 'path'");
	return err ? err : disk_check(disk, reader_at(r));
}

/* --- a VM --- */

static int read_name(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;
	const char *text = NULL;
	int err = reader_text(r, v, &text);

	return err ? err : vm_set_name(&draft->vm, text, reader_at(r));
}

static int read_kernel(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;
	const char *text = NULL;
	int err = reader_text(r, v, &text);

	return err ? err
		   : vm_set_kernel(&draft->vm, r->dir, text, reader_at(r));
}

static int read_unpack(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;
	bool unpack = true;
	int err = reader_bool(r, v, &unpack);

	if (!err)
		draft->vm.keep_packed = !unpack;
	return err;
}

static int read_initrd(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;
	const char *text = NULL;
	int err = reader_text(r, v, &text);

	return err ? err
		   : vm_set_initrd(&draft->vm, r->dir, text, reader_at(r));
}

static int read_cmdline(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;
	const char *text = NULL;
	int err = reader_text(r, v, &text);

	return err ? err : vm_set_cmdline(&draft->vm, text, reader_at(r));
}

static int read_group(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;
	const char *text = NULL;
	int err = reader_text(r, v, &text);

	return err ? err : vm_set_group(&draft->vm, text, reader_at(r));
}

static int read_cpus(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;
	int64_t nr = 0;
	int err = reader_int(r, v, &nr);

	return err ? err : vm_set_cpus(&draft->vm, nr, reader_at(r));
}

static int read_memory(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;
	uint64_t bytes = 0;
	int err = read_size(r, v, &bytes);

	return err ? err : vm_set_memory(&draft->vm, bytes, reader_at(r));
}

static int read_node(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;

	if (json_is_integer(v))
		return vm_set_node(&draft->vm, json_integer_value(v),
				   reader_at(r));
	if (!json_is_string(v) || strcmp(json_string_value(v), "auto") != 0)
		return reader_wrong_type(r, v, "\"auto\" or an integer");
	draft->vm.node = NODE_AUTO;
	return 0;
}

static int read_strict(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;

	return reader_bool(r, v, &draft->vm.strict);
}

static int read_merge(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;

	return reader_bool(r, v, &draft->vm.merge);
}

static int read_huge(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;
	const char *text = NULL;
	int err = reader_text(r, v, &text);

	return err ? err : vm_set_huge(&draft->vm, text, reader_at(r));
}

static int read_disks(struct reader *r, json_t *v, void *obj)
{
	struct vm_draft *draft = obj;
	size_t i;
	json_t *item;

	if (!json_is_array(v))
		return reader_wrong_type(r, v, "an array");
	json_array_foreach(v, i, item)
	{
		size_t len = reader_enter(r, "[%zu]", i);
		int err = read_disk(r, item, &draft->vm);

		if (err)
			return err;
		reader_leave(r, len);
	}
	return 0;
}

static int read_count(struct reader *r, json_t *v, void *obj)
{
	int64_t nr = 0;
	int err = reader_int(r, v, &nr);

	return err ? err : vm_draft_set_count(obj, nr, reader_at(r));
}

static const struct key_rule vm_rules[] = {
	{ "name", read_name },
	{ "kernel", read_kernel },
	{ "unpack", read_unpack },
	{ "initrd", read_initrd },
	{ "cmdline", read_cmdline },
	{ "cpus", read_cpus },
	{ "memory", read_memory },
	{ "node", read_node },
	{ "strict", read_strict },
	{ "huge", read_huge },
	{ "disks", read_disks },
	{ "group", read_group },
	{ "count", read_count },
	{ "merge", read_merge },
	{ NULL, NULL },
};

/* --- the document --- */

static int init_draft(struct reader *r, struct config_draft *c, size_t nr)
{
	if (config_draft_init(c, (unsigned)nr))
		return diag_fail(r->d, ST_HOST, ENOMEM, "out of memory");
	c->file = strdup(r->file);
	if (!c->file)
		return diag_fail(r->d, ST_HOST, ENOMEM, "out of memory");
	return 0;
}

static int read_vms(struct reader *r, json_t *v, void *obj)
{
	struct config_draft *c = obj;
	json_t *item;
	size_t i;
	int err;

	if (!json_is_array(v))
		return reader_wrong_type(r, v, "an array");
	if (json_array_size(v) < 1 || json_array_size(v) > CONFIG_MAX_VMS)
		return config_fail(reader_at(r), EINVAL, "1 to %d VMs, not %zu",
				   CONFIG_MAX_VMS, json_array_size(v));
	err = init_draft(r, c, json_array_size(v));
	if (err)
		return err;
	c->is_array = true;
	json_array_foreach(v, i, item)
	{
		size_t len = reader_enter(r, "[%zu]", i);

		err = reader_object(r, item, vm_rules, &c->vms[i]);
		if (err)
			return err;
		reader_leave(r, len);
	}
	return 0;
}

static const struct key_rule top_rules[] = {
	{ "vms", read_vms },
	{ NULL, NULL },
};

static int read_document(struct reader *r, json_t *root, struct config_draft *c)
{
	int err;

	if (json_object_get(root, "vms"))
		return reader_object(r, root, top_rules, c);
	err = init_draft(r, c, 1);
	return err ? err : reader_object(r, root, vm_rules, &c->vms[0]);
}

/* Keys and values may hold anything; a message is one line. */
static void one_line(struct diag *d)
{
	for (char *s = d->text; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
}

/* Directory of @name with no slash at its end; NULL: none to prepend. */
static int dir_of(const char *name, char **out)
{
	const char *slash = strrchr(name, '/');

	*out = NULL;
	if (!slash)
		return 0;
	*out = slash == name ? strdup("/")
			     : strndup(name, (size_t)(slash - name));
	return *out ? 0 : -ENOMEM;
}

static int json_parse(const char *text, size_t len, const char *name,
		      json_t **root, struct diag *d)
{
	json_error_t e;

	if (len > CONFIG_JSON_MAX)
		return diag_fail(d, ST_CONFIG, E2BIG, "%s: larger than %u KiB",
				 name, (unsigned)(CONFIG_JSON_MAX >> 10));
	*root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (*root)
		return 0;
	if (json_error_code(&e) == json_error_out_of_memory)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	return diag_fail(d, ST_JSON, EINVAL, "%.300s:%d:%d: %s", name, e.line,
			 e.column, e.text);
}

int config_json_draft_buffer(const char *text, size_t len, const char *name,
			     struct config_draft *out, struct diag *d)
{
	struct reader r = { .file = name, .d = d };
	struct config_draft c = { 0 };
	json_t *root = NULL;
	int err;

	err = json_parse(text, len, name, &root, d);
	if (!err && dir_of(name, &r.dir))
		err = diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	if (!err)
		err = read_document(&r, root, &c);
	if (err) {
		config_draft_destroy(&c);
		one_line(d);
	} else {
		*out = c;
	}
	free(r.dir);
	json_decref(root);
	return err;
}

/* Fills @buf with at most @size bytes. */
static ssize_t read_all(int fd, char *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

int config_json_draft_file(const char *path, struct config_draft *out,
			   struct diag *d)
{
	size_t size = CONFIG_JSON_MAX + 1; /* one more: too large is seen */
	char *buf = malloc(size);
	ssize_t len;
	int fd, err;

	if (!buf)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -errno : read_all(fd, buf, size);
	if (fd >= 0)
		(void)close(fd);
	if (len < 0)
		err = diag_fail(d, ST_CONFIG, (int)-len, "%s: %s", path,
				strerror((int)-len));
	else
		err = config_json_draft_buffer(buf, (size_t)len, path, out, d);
	free(buf);
	return err;
}

int config_json_load_buffer(const char *text, size_t len, const char *name,
			    struct run_config *cfg, struct diag *d)
{
	struct config_draft c = { 0 };
	int err = config_json_draft_buffer(text, len, name, &c, d);

	if (!err) {
		err = config_draft_finish(&c, cfg, d);
		if (err)
			one_line(d);
	}
	config_draft_destroy(&c);
	return err;
}
