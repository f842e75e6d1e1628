/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of options: each entry goes from the command line into the
 * configuration, from there to JSON, and comes back; its range holds both
 * ways; help, completion and manual pages name it. An entry that is added is
 * tested by being there.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/control/cli/cli.h"
#include "monitor/control/cluster/cluster_cli.h"
#include "monitor/control/cluster/cluster_file.h"
#include "monitor/control/commands.h"
#include "monitor/control/config/config_draft.h"
#include "monitor/control/config/config_json.h"
#include "monitor/control/config/config_write.h"
#include "monitor/control/config/man.h"
#include "monitor/control/config/options.h"

#define TEXT_MAX 4096

/* What an option cannot be without. */
static const char *const companions[][2] = {
	{ "pmem", "ro" },
	{ "numa", "nodes=0-1" },
	{ "views", "nodes=0-1" },
	{ "copies", "nodes=0-1,views=on" },
};

static const char *companion_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(companions); i++)
		if (strcmp(companions[i][0], name) == 0)
			return companions[i][1];
	return NULL;
}

/* A value that is not the default, as a command line has it. */
static const char *sample(const struct option_entry *o, char buf[TEXT_MAX])
{
	switch (o->type) {
	case OPTION_SWITCH:
		return o->inverted ? "off" : "on";
	case OPTION_CHOICE:
		return o->arg;
	case OPTION_WORD:
		return strrchr(o->arg, '|') + 1;
	case OPTION_NODE:
		return "3";
	case OPTION_NUMBER:
	case OPTION_SIZE:
		(void)snprintf(buf, TEXT_MAX, "%llu",
			       (unsigned long long)o->most);
		return buf;
	case OPTION_POLICY:
		return "disco";
	case OPTION_NODES:
		return "3";
	case OPTION_PATH:
		(void)snprintf(buf, TEXT_MAX, "/dir/%s", o->name);
		return buf;
	default:
		if (strcmp(o->name, "mac") == 0)
			return "02:00:00:00:00:0a";
		(void)snprintf(buf, TEXT_MAX, "x.%s", o->name);
		return buf;
	}
}

/* Reads "run --kernel /k OPTION"; @option may be NULL. */
static int parse_line(char *option, struct run_config *cfg, struct diag *d)
{
	static const struct command run = { OPTIONS_RUN };
	/* Of two nodes: with as many CPUs. */
	bool wide = option && strstr(option, "nodes=0-1");
	char *argv[] = {
		"run", "--kernel", "/k", option, wide ? "--cpus=2" : NULL, NULL
	};
	struct command_args args;
	int ret = command_parse(&run, option ? 4 + wide : 3, argv, &args, d);

	assert_true(ret <= 0);
	memset(cfg, 0, sizeof(*cfg));
	if (ret == 0)
		ret = options_run(&args, cfg, d);
	command_args_destroy(&args);
	return ret;
}

/*
 * "--FLAG=VALUE" with @value for @o, an option of a VM, or of an item of the
 * table @items: a disk or a network.
 */
static void make_option(const struct option_entry *o,
			const struct option_entry *items, const char *value,
			char buf[TEXT_MAX])
{
	const char *with = companion_of(o->name);
	const struct option_entry *of =
		o->of ? option_find(vm_options, NULL, o->of) : NULL;
	char first[TEXT_MAX];

	if (items == shm_options)
		(void)snprintf(buf, TEXT_MAX, "--shm=%s%s%s=%s",
			       strcmp(o->name, "name") ? "name=n," : "",
			       strcmp(o->name, "size") ? "size=2M," : "",
			       o->name, value);
	else if (items == net_options)
		(void)snprintf(buf, TEXT_MAX, "--net=%s%s=%s",
			       o->needed ? "" : "name=n,", o->name, value);
	else if (items)
		(void)snprintf(buf, TEXT_MAX, "--disk=%s%s=%s%s%s",
			       o->needed ? "" : "path=/d,", o->name, value,
			       with ? "," : "", with ? with : "");
	else if (of)
		(void)snprintf(buf, TEXT_MAX, "--%s=%s,%s%s%s=%s",
			       option_flag(of), sample(of, first),
			       with ? with : "", with ? "," : "", o->name,
			       value);
	else if (o->type == OPTION_SWITCH)
		(void)snprintf(buf, TEXT_MAX, "--%s", option_flag(o));
	else
		(void)snprintf(buf, TEXT_MAX, "--%s=%s", option_flag(o), value);
}

static char *print_table(const struct option_entry *table, const void *obj)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	for (const struct option_entry *o = table; o->name; o++) {
		if (!option_is_given(o, obj))
			continue;
		fprintf(f, "%s=", o->name);
		option_print(o, obj, f);
		fprintf(f, "\n");
	}
	assert_int_equal(fclose(f), 0);
	return text;
}

static void same_by_table(const struct option_entry *table, const void *a,
			  const void *b)
{
	char *ta = print_table(table, a), *tb = print_table(table, b);

	assert_string_equal(ta, tb);
	free(ta);
	free(tb);
}

static void same_vm(const struct vm_config *a, const struct vm_config *b)
{
	same_by_table(vm_options, a, b);
	assert_int_equal(a->nr_disks, b->nr_disks);
	for (unsigned i = 0; i < a->nr_disks; i++)
		same_by_table(disk_options, &a->disks[i], &b->disks[i]);
	assert_int_equal(a->nr_nets, b->nr_nets);
	for (unsigned i = 0; i < a->nr_nets; i++)
		same_by_table(net_options, &a->nets[i], &b->nets[i]);
	assert_int_equal(a->nr_shms, b->nr_shms);
	for (unsigned i = 0; i < a->nr_shms; i++)
		same_by_table(shm_options, &a->shms[i], &b->shms[i]);
}

/* --- entries --- */

static void check_entry(const struct option_entry *table,
			const struct option_entry *o, size_t size)
{
	assert_non_null(o->help);
	assert_true(strlen(o->help) > 1);
	assert_true(o->offset + o->bytes <= size);
	if (o->of)
		assert_non_null(option_find(table, NULL, o->of));
	if (o->type != OPTION_SWITCH)
		assert_non_null(o->arg);
	if (o->type == OPTION_NUMBER || o->type == OPTION_SIZE)
		assert_true(o->unit && o->least < o->most);
	if (o->type == OPTION_TOKEN)
		assert_true(o->subject && o->most);
	for (const struct option_entry *p = table; p != o; p++) {
		assert_string_not_equal(p->name, o->name);
		assert_string_not_equal(option_flag(p), option_flag(o));
		assert_true(!o->letter || p->letter != o->letter);
		assert_true(o->type == OPTION_RAW || p->type == OPTION_RAW ||
			    p->offset != o->offset);
	}
}

static void entries_are_complete(void **state)
{
	unsigned nr = 0;

	(void)state;
	for (const struct option_entry *o = vm_options; o->name; o++, nr++)
		check_entry(vm_options, o, sizeof(struct vm_config));
	for (const struct option_entry *o = disk_options; o->name; o++)
		check_entry(disk_options, o, sizeof(struct disk_config));
	for (const struct option_entry *o = run_options; o->name; o++, nr++)
		check_entry(run_options, o, sizeof(struct run_config));
	assert_true(nr <= COMMAND_MAX_OPTIONS);
}

/*
 * Bytes of a struct that no entry has are padding: fewer than what is behind
 * them needs to be aligned.
 */
static void check_fields(const struct option_entry *table, size_t size,
			 const bool *known)
{
	bool *seen = calloc(size + 1, sizeof(*seen));
	size_t gap = 0;

	assert_non_null(seen);
	memcpy(seen, known, size * sizeof(*seen));
	for (const struct option_entry *o = table; o->name; o++)
		if (o->type != OPTION_RAW)
			memset(seen + o->offset, true, o->bytes);
	for (size_t i = 0; i <= size; i++) {
		if (i < size && !seen[i]) {
			gap++;
			continue;
		}
		if (gap >= 8 || (gap && i % (gap >= 4 ? 8 : 4)))
			fail_msg("%zu bytes before %zu are in no entry", gap,
				 i);
		gap = 0;
	}
	free(seen);
}

static void every_field_has_an_entry(void **state)
{
	static bool vm[sizeof(struct vm_config)];
	static const bool disk[sizeof(struct disk_config)];
	static const bool net[sizeof(struct net_config)];
	static const bool shm[sizeof(struct shm_config)];
	static bool run[sizeof(struct run_config)];

	(void)state;
	memset(vm + offsetof(struct vm_config, nr_disks), true,
	       sizeof(unsigned));
	memset(vm + offsetof(struct vm_config, nr_nets), true,
	       sizeof(unsigned));
	memset(vm + offsetof(struct vm_config, nr_shms), true,
	       sizeof(unsigned));
	memset(run + offsetof(struct run_config, vms), true, sizeof(void *));
	memset(run + offsetof(struct run_config, nr_vms), true,
	       sizeof(unsigned));
	check_fields(vm_options, sizeof(vm) / sizeof(*vm), vm);
	check_fields(disk_options, sizeof(disk) / sizeof(*disk), disk);
	check_fields(net_options, sizeof(net) / sizeof(*net), net);
	check_fields(shm_options, sizeof(shm) / sizeof(*shm), shm);
	check_fields(run_options, sizeof(run) / sizeof(*run), run);
}

/* --- values --- */

/* @obj is of @cfg. */
static void there_and_back(const char *what, struct run_config *cfg)
{
	struct run_config back = { .nr_vms = 0 };
	struct diag d = { .status = ST_OK };
	char *json = config_json_write(cfg, NULL);

	assert_non_null(json);
	if (config_json_load_buffer(json, strlen(json), "back", &back, &d))
		fail_msg("%s: %s: %s", what, json, d.text);
	assert_int_equal(back.nr_vms, cfg->nr_vms);
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		same_vm(&cfg->vms[i], &back.vms[i]);
	run_config_destroy(&back);
	free(json);
}

static const void *first_item(const struct run_config *cfg,
			      const struct option_entry *items)
{
	if (items == net_options)
		return &cfg->vms[0].nets[0];
	if (items == shm_options)
		return &cfg->vms[0].shms[0];
	return items ? (const void *)&cfg->vms[0].disks[0] : &cfg->vms[0];
}

static void round_trip(const struct option_entry *o,
		       const struct option_entry *items)
{
	char option[TEXT_MAX], buf[TEXT_MAX];
	struct diag d = { .status = ST_OK };
	struct run_config cfg;
	const char *value = sample(o, buf);
	char *text;
	size_t size;
	FILE *f;

	make_option(o, items, value, option);
	if (parse_line(option, &cfg, &d))
		fail_msg("%s: %s", option, d.text);
	if (strcmp(o->name, "count") == 0) {
		assert_int_equal(cfg.nr_vms, o->most);
		there_and_back(option, &cfg);
		run_config_destroy(&cfg);
		return;
	}
	f = open_memstream(&text, &size);
	assert_non_null(f);
	option_print(o, first_item(&cfg, items), f);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(text, value);
	free(text);
	assert_true(option_is_given(o, first_item(&cfg, items)));
	there_and_back(option, &cfg);
	run_config_destroy(&cfg);
}

static void each_comes_back(void **state)
{
	(void)state;
	for (const struct option_entry *o = vm_options; o->name; o++)
		if (!vm_option_items(o))
			round_trip(o, NULL);
	for (const struct option_entry *o = disk_options; o->name; o++)
		round_trip(o, disk_options);
	for (const struct option_entry *o = net_options; o->name; o++)
		round_trip(o, net_options);
	for (const struct option_entry *o = shm_options; o->name; o++)
		round_trip(o, shm_options);
}

static void defaults_are_left_out(void **state)
{
	struct diag d = { .status = ST_OK };
	struct run_config cfg;
	char *json;

	(void)state;
	assert_int_equal(parse_line(NULL, &cfg, &d), 0);
	json = config_json_write(&cfg, NULL);
	assert_non_null(json);
	assert_string_equal(json, "{\"vms\":[{\"kernel\":\"/k\",\"name\":"
				  "\"vm\",\"disks\":[]}]}");
	free(json);
	run_config_destroy(&cfg);
}

static void relative_paths_get_a_directory(void **state)
{
	static char option[] = "--disk=path=d,cow=/c\\,d";
	struct diag d = { .status = ST_OK };
	struct run_config cfg;
	char *json;

	(void)state;
	assert_int_equal(parse_line(option, &cfg, &d), 0);
	assert_string_equal(vm_relative_path(&cfg.vms[0]), "d");
	json = config_json_write(&cfg, "/dir");
	assert_non_null(json);
	assert_non_null(strstr(json, "{\"path\":\"/dir/d\",\"cow\":\"/c,d\"}"));
	free(json);
	run_config_destroy(&cfg);
}

/* The same value, by the command line and by JSON: is it taken? */
static void check_value(const struct option_entry *o, bool is_disk,
			const char *value, bool is_text, bool good)
{
	char option[TEXT_MAX], json[2 * TEXT_MAX];
	const char *q = is_text ? "\"" : "";
	const char *with = strcmp(o->name, "copies") ? ""
						     : "\"cpus\":2,"
						       "\"nodes\":\"0-1\","
						       "\"views\":\"on\",";
	struct diag d = { .status = ST_OK };
	struct run_config cfg = { .nr_vms = 0 };

	make_option(o, is_disk ? disk_options : NULL, value, option);
	if ((parse_line(option, &cfg, &d) == 0) != good)
		fail_msg("%.80s: %s", option, good ? d.text : "was accepted");
	assert_int_equal(d.status, good ? ST_OK : ST_USAGE);
	run_config_destroy(&cfg);
	d.status = ST_OK;
	(void)snprintf(json, sizeof(json),
		       is_disk ? "{\"kernel\":\"/k\",\"disks\":[{\"path\":"
				 "\"/d\",%s\"%s\":%s%s%s}]}"
			       : "{\"kernel\":\"/k\",%s\"%s\":%s%s%s}",
		       with, o->name, q, value, q);
	if ((config_json_load_buffer(json, strlen(json), "f", &cfg, &d) == 0) !=
	    good)
		fail_msg("%.80s: %s", json, good ? d.text : "was accepted");
	assert_int_equal(d.status, good ? ST_OK : ST_CONFIG);
	run_config_destroy(&cfg);
}

static void check_number(const struct option_entry *o, bool is_disk)
{
	char text[32];

	for (unsigned i = 0; i < 4; i++) {
		uint64_t step = o->multiple ? o->multiple : 1;
		uint64_t v = i == 0   ? o->least - step
			     : i == 1 ? o->least
			     : i == 2 ? o->most
				      : o->most + step;

		(void)snprintf(text, sizeof(text), "%llu",
			       (unsigned long long)v);
		check_value(o, is_disk, text, false, i == 1 || i == 2);
	}
}

static void check_length(const struct option_entry *o, bool is_disk)
{
	char text[TEXT_MAX];

	assert_true(o->most + 2 < sizeof(text));
	memset(text, 'x', sizeof(text));
	text[o->most + 1] = '\0';
	check_value(o, is_disk, text, true, false);
	text[o->most] = '\0';
	check_value(o, is_disk, text, true, true);
	if (o->type == OPTION_TOKEN)
		check_value(o, is_disk, "", true, false);
}

static void check_range(const struct option_entry *o, bool is_disk)
{
	if (o->type == OPTION_NUMBER || o->type == OPTION_SIZE)
		check_number(o, is_disk);
	else if ((o->type == OPTION_TEXT || o->type == OPTION_TOKEN) && o->most)
		check_length(o, is_disk);
	else if (o->type == OPTION_CHOICE || o->type == OPTION_WORD ||
		 o->type == OPTION_NODE || o->type == OPTION_POLICY ||
		 o->type == OPTION_NODES)
		check_value(o, is_disk, "other", true, false);
}

static void ranges_hold(void **state)
{
	(void)state;
	for (const struct option_entry *o = vm_options; o->name; o++)
		check_range(o, false);
	for (const struct option_entry *o = disk_options; o->name; o++)
		check_range(o, true);
}

/* A VM with a value for each option, and a disk with one for each. */
static void fill(struct vm_config *vm)
{
	struct diag d = { .status = ST_OK };
	const struct config_at at = { "fill", ST_USAGE, &d };
	struct disk_config *disk = NULL;
	struct net_config *net = NULL;
	struct shm_config *shm = NULL;
	char buf[TEXT_MAX];

	vm_config_init(vm);
	for (const struct option_entry *o = vm_options; o->name; o++)
		if (!vm_option_items(o))
			assert_int_equal(
				option_parse(o, vm, sample(o, buf), &at), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(vm_add_disk(vm, &disk, &at), 0);
		for (const struct option_entry *o = disk_options; o->name; o++)
			assert_int_equal(
				option_parse(o, disk, sample(o, buf), &at), 0);
	}
	assert_int_equal(vm_add_net(vm, &net, &at), 0);
	for (const struct option_entry *o = net_options; o->name; o++)
		assert_int_equal(option_parse(o, net, sample(o, buf), &at), 0);
	assert_int_equal(vm_add_shm(vm, &shm, &at), 0);
	for (const struct option_entry *o = shm_options; o->name; o++)
		assert_int_equal(option_parse(o, shm, sample(o, buf), &at), 0);
}

static void own_strings(const struct option_entry *table, const void *a,
			const void *b)
{
	for (const struct option_entry *o = table; o->name; o++)
		if (option_is_text(o))
			assert_ptr_not_equal(option_text(o, a),
					     option_text(o, b));
}

static void copies_have_everything(void **state)
{
	struct vm_config vm, copy;

	(void)state;
	fill(&vm);
	assert_int_equal(vm_config_copy(&copy, &vm), 0);
	same_vm(&vm, &copy);
	own_strings(vm_options, &vm, &copy);
	for (unsigned i = 0; i < vm.nr_disks; i++)
		own_strings(disk_options, &vm.disks[i], &copy.disks[i]);
	own_strings(net_options, &vm.nets[0], &copy.nets[0]);
	own_strings(shm_options, &vm.shms[0], &copy.shms[0]);
	vm_config_destroy(&vm);
	assert_string_equal(copy.disks[1].path, "/dir/path");
	vm_config_destroy(&copy);
	assert_null(copy.name);
	assert_int_equal(copy.nr_disks, 0);
}

/* --- who names them --- */

/* What @print writes to standard output. */
static char *printed(void (*print)(void))
{
	FILE *f = tmpfile();
	int saved = dup(STDOUT_FILENO);
	char *text = calloc(1, 65536);

	assert_true(f && saved >= 0 && text);
	(void)fflush(stdout);
	assert_true(dup2(fileno(f), STDOUT_FILENO) >= 0);
	print();
	(void)fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	(void)close(saved);
	rewind(f);
	assert_true(fread(text, 1, 65535, f) > 0);
	(void)fclose(f);
	return text;
}

static void names(const char *text, const char *where, const char *before,
		  const char *name, const char *behind)
{
	char want[160];

	(void)snprintf(want, sizeof(want), "%s%s%s", before, name, behind);
	if (!strstr(text, want))
		fail_msg("%s does not name '%s'", where, want);
}

/* Each option of @c, and each key of @run's, as @where writes them. */
static void names_options(const char *text, const char *where,
			  const struct command *c, const char *before)
{
	for (unsigned i = 0; i < ARRAY_SIZE(c->options); i++)
		for (const struct option_entry *o = c->options[i]; o && o->name;
		     o++)
			if (command_is_option(o))
				names(text, where, before, option_flag(o), "");
}

static void names_keys(const char *text, const char *where, const char *before)
{
	for (const struct option_entry *o = vm_options; o->name; o++)
		if (o->of)
			names(text, where, before, o->name, "");
	for (const struct option_entry *o = disk_options; o->name; o++)
		names(text, where, before, o->name, "");
	for (const struct option_entry *o = net_options; o->name; o++)
		names(text, where, before, o->name, "");
	for (const struct option_entry *o = shm_options; o->name; o++)
		names(text, where, before, o->name, "");
}

static char *help_of(const struct command *c)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	command_help(c, f);
	assert_int_equal(fclose(f), 0);
	return text;
}

/* But for an option whose value takes more, alone in its line. */
static void fits_a_terminal(const char *text, const char *where)
{
	while (*text) {
		int len = (int)strcspn(text, "\n");
		bool alone = strncmp(text, "  --", 4) == 0 &&
			     !memchr(text + 2, ' ', (size_t)len - 2);

		if (len > 79 && !alone)
			fail_msg("%s: '%.*s'", where, len, text);
		text += len + 1;
	}
}

static void check_help(const struct command *c)
{
	char *text = help_of(c);

	fits_a_terminal(text, c->name);
	for (size_t i = 0; c->commands && c->commands[i]; i++) {
		names(text, c->name, "  ", c->commands[i]->name, " ");
		assert_non_null(c->commands[i]->brief);
		check_help(c->commands[i]);
	}
	if (!c->commands) {
		names_options(text, c->name, c, "--");
		names(text, c->name, "", "--help", "");
		assert_non_null(c->run);
	}
	free(text);
}

static void help_names_each(void **state)
{
	char *text = help_of(command_find(&disco_command, "run"));

	(void)state;
	names_keys(text, "run --help", "\n    ");
	free(text);
	check_help(&disco_command);
}

static void print_completion(const char *shell)
{
	char *argv[] = { "disco", "completion", (char *)(uintptr_t)shell,
			 NULL };
	struct diag d = { .status = ST_OK };

	assert_int_equal(command_run(&disco_command, 3, argv, &d), ST_OK);
}

static void print_bash(void)
{
	print_completion("bash");
}

static void print_zsh(void)
{
	print_completion("zsh");
}

static void check_completion(const char *text, const char *where,
			     const struct command *c)
{
	for (size_t i = 0; c->commands && c->commands[i]; i++) {
		names(text, where, "", c->commands[i]->name, "");
		check_completion(text, where, c->commands[i]);
	}
	if (!c->commands)
		names_options(text, where, c, "--");
}

static void completion_names_each(void **state)
{
	char *bash = printed(print_bash), *zsh = printed(print_zsh);

	(void)state;
	check_completion(bash, "bash", &disco_command);
	names_keys(bash, "bash", "");
	names(bash, "bash", "'image') words='boot ", "", "");
	names(bash, "bash", "'image check') opts='--json --help'", "", "");
	check_completion(zsh, "zsh", &disco_command);
	names_keys(zsh, "zsh", "");
	free(bash);
	free(zsh);
}

static const struct man_keys keys[] = {
	{ "vm", vm_options },		{ "disk", disk_options },
	{ "net", net_options },		{ "shm", shm_options },
	{ "cluster", cluster_options }, { "role", cluster_role_options },
	{ "nfs", cluster_nfs_options }, { .name = NULL },
};

static char *page(const char *path, int want)
{
	FILE *in = fopen(path, "r"), *out;
	char *text = NULL;
	size_t size;

	if (!in)
		fail_msg("cannot open %s", path);
	out = open_memstream(&text, &size);
	assert_non_null(out);
	assert_int_equal(man_page(in, out, &disco_command, keys), want);
	assert_int_equal(fclose(out), 0);
	(void)fclose(in);
	return text;
}

static void manual_names_each(void **state)
{
	char *text = page("docs/disco.1.in", 0);

	(void)state;
	assert_null(strstr(text, ".\\\" @"));
	for (size_t i = 0; disco_command.commands[i]; i++) {
		const struct command *c = disco_command.commands[i];

		names(text, "disco.1", "\n.Nm\n.Cm ", c->name, "");
		names_options(text, "disco.1", c, "Fl -");
	}
	names_keys(text, "disco.1", ".It Cm ");
	free(text);
	text = page("docs/disco.json.5.in", 0);
	for (const struct man_keys *k = keys; k->name; k++)
		for (const struct option_entry *o = k->table; o->name; o++)
			names(text, "disco.json.5", ".It ", o->name, " Ta ");
	free(text);
}

static void page_of_an_unknown_list(void **state)
{
	char path[] = "/tmp/disco-page.XXXXXX";
	static const char line[] = ".\\\" @options fly\n";
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, line, strlen(line)), strlen(line));
	(void)close(fd);
	free(page(path, -EINVAL));
	(void)unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_complete),
		cmocka_unit_test(every_field_has_an_entry),
		cmocka_unit_test(each_comes_back),
		cmocka_unit_test(defaults_are_left_out),
		cmocka_unit_test(relative_paths_get_a_directory),
		cmocka_unit_test(ranges_hold),
		cmocka_unit_test(copies_have_everything),
		cmocka_unit_test(help_names_each),
		cmocka_unit_test(completion_names_each),
		cmocka_unit_test(manual_names_each),
		cmocka_unit_test(page_of_an_unknown_list),
	};

	return cmocka_run_group_tests_name("option_tables", tests, NULL, NULL);
}
