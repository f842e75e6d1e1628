/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/config_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/config/config_check.h"
#include "monitor/control/config/config_reader.h"

/* --- disks, networks and segments --- */

static const struct option_entry *json_option(const struct option_entry *table,
					      const char *key)
{
	while (table->name && strcmp(table->name, key) != 0)
		table++;
	return table->name ? table : NULL;
}

static int read_disk_member(struct reader *r, const char *key, json_t *v,
			    void *obj)
{
	const struct option_entry *o = json_option(disk_options, key);

	return o ? reader_option(r, o, v, obj) : reader_unknown(r);
}

static int read_disk(struct reader *r, json_t *v, struct vm_config *vm)
{
	struct disk_config *disk = NULL;
	int err;

	err = vm_add_disk(vm, &disk, reader_at(r));
	if (!err)
		err = reader_object(r, v, read_disk_member, disk);
	if (!err && !disk->path)
		err = config_fail(reader_at(r), EINVAL, "has no 'path'");
	return err ? err : disk_check(disk, reader_at(r));
}

static int read_net_member(struct reader *r, const char *key, json_t *v,
			   void *obj)
{
	const struct option_entry *o = json_option(net_options, key);

	return o ? reader_option(r, o, v, obj) : reader_unknown(r);
}

static int read_net(struct reader *r, json_t *v, struct vm_config *vm)
{
	struct net_config *net = NULL;
	int err;

	err = vm_add_net(vm, &net, reader_at(r));
	if (!err)
		err = reader_object(r, v, read_net_member, net);
	if (!err && !net->name)
		err = config_fail(reader_at(r), EINVAL, "has no 'name'");
	return err ? err : net_check(net, reader_at(r));
}

static int read_shm_member(struct reader *r, const char *key, json_t *v,
			   void *obj)
{
	const struct option_entry *o = json_option(shm_options, key);

	return o ? reader_option(r, o, v, obj) : reader_unknown(r);
}

static int read_shm(struct reader *r, json_t *v, struct vm_config *vm)
{
	struct shm_config *shm = NULL;
	int err;

	err = vm_add_shm(vm, &shm, reader_at(r));
	if (!err)
		err = reader_object(r, v, read_shm_member, shm);
	return err ? err : shm_check(shm, reader_at(r));
}

static int read_array(struct reader *r, json_t *v, struct vm_config *vm,
		      int (*read)(struct reader *r, json_t *v,
				  struct vm_config *vm))
{
	size_t i;
	json_t *item;

	if (!json_is_array(v))
		return reader_wrong_type(r, v, "an array");
	json_array_foreach(v, i, item)
	{
		size_t len = reader_enter(r, "[%zu]", i);
		int err = read(r, item, vm);

		if (err)
			return err;
		reader_leave(r, len);
	}
	return 0;
}

/* --- a VM --- */

int config_json_vm_member(struct reader *r, const char *key, json_t *v,
			  void *vm)
{
	const struct option_entry *o = json_option(vm_options, key);

	if (!o)
		return reader_unknown(r);
	if (o->type == OPTION_DISKS)
		return read_array(r, v, vm, read_disk);
	if (o->type == OPTION_NETS)
		return read_array(r, v, vm, read_net);
	if (o->type == OPTION_SHMS)
		return read_array(r, v, vm, read_shm);
	return reader_option(r, o, v, vm);
}

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

		err = reader_object(r, item, config_json_vm_member, &c->vms[i]);
		if (err)
			return err;
		reader_leave(r, len);
	}
	return 0;
}

static int read_top_member(struct reader *r, const char *key, json_t *v,
			   void *obj)
{
	return strcmp(key, "vms") == 0 ? read_vms(r, v, obj)
				       : reader_unknown(r);
}

static int read_document(struct reader *r, json_t *root, struct config_draft *c)
{
	int err;

	if (json_object_get(root, "vms"))
		return reader_object(r, root, read_top_member, c);
	err = init_draft(r, c, 1);
	return err ? err
		   : reader_object(r, root, config_json_vm_member, &c->vms[0]);
}

void config_json_one_line(struct diag *d)
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
		config_json_one_line(d);
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

/* Return: its length in @buf, at most @size; -errno with @d filled. */
static ssize_t read_file(const char *path, char *buf, size_t size,
			 struct diag *d)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -errno : read_all(fd, buf, size);

	if (fd >= 0)
		(void)close(fd);
	return len < 0 ? diag_fail(d, ST_CONFIG, (int)-len, "%s: %s", path,
				   strerror((int)-len))
		       : len;
}

int config_json_draft_file(const char *path, struct config_draft *out,
			   struct diag *d)
{
	size_t size = CONFIG_JSON_MAX + 1; /* one more: too large is seen */
	char *buf = malloc(size);
	ssize_t len;
	int err;

	if (!buf)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	len = read_file(path, buf, size, d);
	err = len < 0 ? (int)len
		      : config_json_draft_buffer(buf, (size_t)len, path, out,
						 d);
	free(buf);
	return err;
}

int config_json_file(const char *path, json_t **root, char **dir,
		     struct diag *d)
{
	size_t size = CONFIG_JSON_MAX + 1;
	char *buf = malloc(size), *found = NULL;
	ssize_t len;
	int err;

	if (!buf || dir_of(path, &found)) {
		free(buf);
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	}
	len = read_file(path, buf, size, d);
	err = len < 0 ? (int)len : json_parse(buf, (size_t)len, path, root, d);
	free(buf);
	if (err) {
		config_json_one_line(d);
		free(found);
	} else {
		*dir = found;
	}
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
			config_json_one_line(d);
	}
	config_draft_destroy(&c);
	return err;
}
