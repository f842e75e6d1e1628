/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/config_write.h"

#include <jansson.h>
#include <stdlib.h>

#include "monitor/control/config/vm_options.h"

/* Return: NULL: no memory. */
static json_t *write_text(const struct option_entry *o, const char *text,
			  const char *dir)
{
	if (o->type == OPTION_PATH && dir && *text != '/')
		return json_sprintf("%s/%s", dir, text);
	return json_string(text);
}

static json_t *write_option(const struct option_entry *o, const void *obj,
			    const char *dir)
{
	char word[OPTION_ARG_MAX];

	if (option_is_text(o))
		return write_text(o, option_text(o, obj), dir);
	if (o->type == OPTION_SWITCH)
		return json_boolean(option_value(o, obj));
	if (o->type == OPTION_CHOICE || o->type == OPTION_WORD)
		return json_string(option_word(o, obj, word));
	return json_integer(option_value(o, obj));
}

static json_t *write_object(const struct option_entry *table, const void *obj,
			    const char *dir)
{
	json_t *out = json_object();
	int err = out ? 0 : -1;

	for (const struct option_entry *o = table; !err && o->name; o++)
		if (option_is_given(o, obj))
			err = json_object_set_new(out, o->name,
						  write_option(o, obj, dir));
	if (!err)
		return out;
	json_decref(out);
	return NULL;
}

/* Return: 0; -1: no memory. */
static int write_nets(const struct vm_config *vm, json_t *out)
{
	json_t *nets;
	int err = 0;

	if (!vm->nr_nets)
		return 0;
	nets = json_array();
	for (unsigned i = 0; !err && i < vm->nr_nets; i++)
		err = json_array_append_new(
			nets, write_object(net_options, &vm->nets[i], NULL));
	return json_object_set_new(out, "nets", nets) || err ? -1 : 0;
}

/* The same. */
static int write_shms(const struct vm_config *vm, json_t *out)
{
	json_t *shms;
	int err = 0;

	if (!vm->nr_shms)
		return 0;
	shms = json_array();
	for (unsigned i = 0; !err && i < vm->nr_shms; i++)
		err = json_array_append_new(
			shms, write_object(shm_options, &vm->shms[i], NULL));
	return json_object_set_new(out, "shm", shms) || err ? -1 : 0;
}

static json_t *write_vm(const struct vm_config *vm, const char *dir)
{
	json_t *out = write_object(vm_options, vm, dir);
	json_t *disks = json_array();
	int err = 0;

	for (unsigned i = 0; !err && i < vm->nr_disks; i++)
		err = json_array_append_new(
			disks, write_object(disk_options, &vm->disks[i], dir));
	if (json_object_set_new(out, "disks", disks) || err ||
	    write_nets(vm, out) || write_shms(vm, out)) {
		json_decref(out);
		return NULL;
	}
	return out;
}

char *config_json_write(const struct run_config *cfg, const char *dir)
{
	json_t *list = json_array(), *root = json_object();
	char *text = NULL;
	int err = 0;

	for (unsigned i = 0; !err && i < cfg->nr_vms; i++)
		err = json_array_append_new(list, write_vm(&cfg->vms[i], dir));
	if (json_object_set_new(root, "vms", list) == 0 && !err)
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}
