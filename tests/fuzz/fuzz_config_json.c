/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration files: the input itself, words of the language in any order,
 * or a document that is right in syntax. Checked: an accepted configuration
 * keeps every bound of disco/limits.h, has no name twice and no disk with a
 * writer and another user; a refusal is one line with the right status.
 */
#include <ctype.h>
#include <stdlib.h>

#include "monitor/control/config/config_json.h"
#include "tests/fuzz/bytes.h"
#include "tests/must.h"

#define TEXT_MAX 65536u

static const char *const words[] = {
	"{", "}", "[", "]", ",", ":", "\"vms\":[", "\"kernel\":\"k\"",
};

static const char *const keys[] = {
	"name",	 "kernel", "unpack", "initrd", "cmdline", "cpus", "memory",
	"node",	 "strict", "huge",   "count",  "path",	  "ro",	  "serial",
	"disks", "vms",	   "other",  "a\\nb",  "restart",
};

static const char *const values[] = {
	"true",
	"false",
	"null",
	"0",
	"1",
	"-1",
	"64",
	"65",
	"256",
	"257",
	"1023",
	"1024",
	"4096",
	"1048576",
	"1048577",
	"1099511627776",
	"9223372036854775807",
	"-9223372036854775808",
	"1e3",
	"0.5",
	"{}",
	"[]",
	"\"auto\"",
	"\"thp\"",
	"\"off\"",
	"\"always\"",
	"\"256M\"",
	"\"1T\"",
	"\"0x100000\"",
	"\"17179869184G\"",
	"\"a\"",
	"\"b-1\"",
	"\"a-0\"",
	"\"/k\"",
	"\"\"",
	"\"a\\nb\"",
	"\"\\u0001\"",
	"\"\xc3\xa4\"",
	"\"..\"",
	"\"a b\"",
	"\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\"",
};

struct text {
	char at[TEXT_MAX];
	size_t len;
};

static void say(struct text *t, const char *word)
{
	size_t n = strlen(word);

	if (n > TEXT_MAX - t->len)
		return;
	memcpy(t->at + t->len, word, n);
	t->len += n;
}

static void say_value(struct text *t, struct bytes *b)
{
	say(t, values[take(b, 1) % ARRAY_SIZE(values)]);
}

static void say_disk(struct text *t, struct bytes *b)
{
	static const char *const more[] = { "", ",\"ro\":true",
					    ",\"serial\":\"s\"",
					    ",\"serial\":" };
	size_t i = take(b, 1) % ARRAY_SIZE(more);

	say(t, "{\"path\":");
	say_value(t, b);
	say(t, more[i]);
	if (i == 3)
		say_value(t, b);
	say(t, "}");
}

static void say_disks(struct text *t, struct bytes *b)
{
	size_t nr = take(b, 1) % (VM_MAX_DISKS + 2);

	say(t, ",\"disks\":[");
	for (size_t i = 0; i < nr; i++) {
		say(t, i ? "," : "");
		say_disk(t, b);
	}
	say(t, "]");
}

/* Right in syntax, and each VM has a kernel. */
static void say_document(struct text *t, struct bytes *b)
{
	say(t, "{\"vms\":[{\"kernel\":\"k\"");
	while (b->n) {
		size_t what = take(b, 1);

		if (what >= 0xe0) {
			say(t, "},{\"kernel\":\"k\"");
		} else if (what >= 0xc0) {
			say_disks(t, b);
		} else {
			say(t, ",\"");
			say(t, keys[what % ARRAY_SIZE(keys)]);
			say(t, "\":");
			say_value(t, b);
		}
	}
	say(t, "}]}");
}

static void make_text(struct text *t, struct bytes *b)
{
	t->len = 0;
	switch (take(b, 1) % 3) {
	case 0:
		t->len = take_into(b, t->at, TEXT_MAX);
		break;
	case 1:
		say_document(t, b);
		break;
	default:
		while (b->n)
			say(t, words[take(b, 1) % ARRAY_SIZE(words)]);
	}
}

static void check_name(const char *name)
{
	size_t len = strlen(name);

	must(len >= 1 && len <= VM_NAME_MAX);
	must(isalnum((unsigned char)name[0]));
	for (size_t i = 0; i < len; i++)
		must(isalnum((unsigned char)name[i]) || strchr("._-", name[i]));
}

static void check_disk(const struct disk_config *d)
{
	must(d->path && *d->path);
	if (!d->serial)
		return;
	must(*d->serial && strlen(d->serial) <= DISK_SERIAL_MAX);
	for (const char *s = d->serial; *s; s++)
		must(*s > ' ' && *s <= '~');
}

static void check_vm(const struct vm_config *vm)
{
	check_name(vm->name);
	must(vm->kernel ? *vm->kernel != 0 : vm->nr_disks && !vm->initrd);
	must(!vm->initrd || *vm->initrd);
	must(!vm->cmdline || strlen(vm->cmdline) <= CMDLINE_MAX);
	must(vm->nr_vcpus >= 1 && vm->nr_vcpus <= VM_MAX_VCPUS);
	must(vm->memory_bytes >= VM_MIN_MEMORY);
	must(vm->memory_bytes <= VM_MAX_MEMORY);
	must(vm->memory_bytes % PAGE_BYTES == 0);
	must(vm->node >= NODE_AUTO && vm->node <= 1023);
	must(vm->nr_disks <= VM_MAX_DISKS);
	for (unsigned i = 0; i < vm->nr_disks; i++)
		check_disk(&vm->disks[i]);
}

/* Disks of one path are all read-only, or there is only one. */
static void check_pair(const struct vm_config *a, const struct vm_config *b)
{
	for (unsigned i = 0; i < a->nr_disks; i++)
		for (unsigned k = 0; k < b->nr_disks; k++)
			must((a == b && i == k) ||
			     (a->disks[i].read_only && b->disks[k].read_only) ||
			     strcmp(a->disks[i].path, b->disks[k].path) != 0);
}

static void check_accepted(const struct run_config *cfg)
{
	must(cfg->nr_vms >= 1 && cfg->nr_vms <= CONFIG_MAX_VMS);
	must(cfg->dry_run && !cfg->summary && !cfg->report && !cfg->mark);
	for (unsigned i = 0; i < cfg->nr_vms; i++) {
		const struct vm_config *vm = &cfg->vms[i];

		check_vm(vm);
		check_pair(vm, vm);
		for (unsigned k = 0; k < i; k++) {
			must(strcmp(vm->name, cfg->vms[k].name) != 0);
			check_pair(vm, &cfg->vms[k]);
		}
	}
}

static void check_refused(const struct diag *d, int err)
{
	must(err < 0);
	must(d->status == ST_JSON || d->status == ST_CONFIG);
	must(strlen(d->text) < sizeof(d->text));
	must(strncmp(d->text, "dir/f.json:", 11) == 0 ||
	     d->status == ST_CONFIG);
	must(*d->text);
	for (const char *s = d->text; *s; s++)
		must((unsigned char)*s >= ' ' && *s != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct text text;
	struct run_config cfg = { .dry_run = true };
	const struct run_config before = cfg;
	struct bytes b = { data, size };
	struct diag d = { .status = ST_OK };
	char *exact;
	int err;

	make_text(&text, &b);
	exact = malloc(text.len ? text.len : 1);
	must(exact);
	memcpy(exact, text.at, text.len);
	err = config_json_load_buffer(exact, text.len, "dir/f.json", &cfg, &d);
	free(exact);
	if (err) {
		check_refused(&d, err);
		must(memcmp(&cfg, &before, sizeof(cfg)) == 0);
		return 0;
	}
	must(d.status == ST_OK);
	check_accepted(&cfg);
	run_config_destroy(&cfg);
	return 0;
}
