/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/fixtures/config: pass/NAME.json gives the VMs of pass/NAME.txt;
 * fail/TOPIC/NAME.json gives the status and the start of the message of the
 * NAME.txt beside it. Runs from the top of the tree.
 */
#include <errno.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/control/config/config_json.h"

#define FIXTURES "tests/fixtures/config/"

static char *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "r");
	char *buf = calloc(1, 65536);

	if (!f)
		fail_msg("cannot open %s", path);
	assert_non_null(buf);
	*len = fread(buf, 1, 65535, f);
	assert_int_equal(fclose(f), 0);
	return buf;
}

/* The text file next to a fixture. */
static char *expected(const char *json)
{
	char path[256];
	size_t len;

	(void)snprintf(path, sizeof(path), "%.*stxt",
		       (int)(strlen(json) - strlen("json")), json);
	return slurp(path, &len);
}

static void dump_vm(const struct vm_config *vm, FILE *f)
{
	fprintf(f, "name=%s kernel=%s%s", vm->name, vm->kernel,
		vm->keep_packed ? " packed" : "");
	if (vm->initrd)
		fprintf(f, " initrd=%s", vm->initrd);
	if (vm->cmdline)
		fprintf(f, " cmdline=\"%s\"", vm->cmdline);
	fprintf(f, " cpus=%u memory=%llu node=%d%s%s%s%s", vm->nr_vcpus,
		(unsigned long long)vm->memory_bytes, vm->node,
		vm->strict ? " strict" : "",
		vm->huge == HUGE_THP   ? " thp"
		: vm->huge == HUGE_OFF ? " small"
				       : "",
		vm->keep_panicked ? " keep" : "", vm->merge ? " merge" : "");
	if (vm->no_hints)
		fprintf(f, " no hints");
	if (vm->nodes)
		fprintf(f, " nodes=%s%s%s", vm->nodes,
			vm->numa_show ? " show" : "",
			vm->views ? " views" : "");
	if (vm->copies_bytes)
		fprintf(f, " copies=%llu",
			(unsigned long long)vm->copies_bytes);
	if (vm->group)
		fprintf(f, " group=%s", vm->group);
	for (unsigned i = 0; i < vm->nr_disks; i++) {
		fprintf(f, " disk=%s%s%s", vm->disks[i].path,
			vm->disks[i].read_only ? ",ro" : "",
			vm->disks[i].snapshot ? ",snapshot" : "");
		if (vm->disks[i].no_cache)
			fprintf(f, ",cache=off");
		if (vm->disks[i].pmem)
			fprintf(f, ",pmem");
		if (vm->disks[i].cow)
			fprintf(f, ",cow=%s", vm->disks[i].cow);
		if (vm->disks[i].serial)
			fprintf(f, ",serial=%s", vm->disks[i].serial);
		if (vm->disks[i].queues)
			fprintf(f, ",queues=%u", vm->disks[i].queues);
		if (vm->disks[i].iops || vm->disks[i].bps)
			fprintf(f, ",iops=%llu,bps=%llu",
				(unsigned long long)vm->disks[i].iops,
				(unsigned long long)vm->disks[i].bps);
	}
	fprintf(f, "\n");
}

static char *dump(const struct run_config *cfg)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	for (unsigned i = 0; i < cfg->nr_vms; i++)
		dump_vm(&cfg->vms[i], f);
	assert_int_equal(fclose(f), 0);
	return text;
}

static void check_pass(const char *path)
{
	struct run_config cfg = { 0 };
	struct diag d = { 0 };
	size_t len;
	char *json = slurp(path, &len), *want = expected(path), *got;

	if (config_json_load_buffer(json, len, path, &cfg, &d))
		fail_msg("%s: %s", path, d.text);
	got = dump(&cfg);
	assert_string_equal(got, want);
	free(got);
	free(want);
	free(json);
	run_config_destroy(&cfg);
}

static void check_fail(const char *path)
{
	struct run_config cfg = { .nr_vms = 77 };
	struct diag d = { 0 };
	char got[600];
	size_t len;
	char *json = slurp(path, &len), *want = expected(path);

	if (config_json_load_buffer(json, len, path, &cfg, &d) >= 0)
		fail_msg("%s was accepted", path);
	(void)snprintf(got, sizeof(got), "%d %s", (int)d.status, d.text);
	want[strcspn(want, "\n")] = '\0';
	if (strncmp(got, want, strlen(want)) != 0)
		fail_msg("%s: got '%s', want '%s'", path, got, want);
	assert_null(strchr(d.text, '\n'));
	assert_int_equal(cfg.nr_vms, 77);
	free(want);
	free(json);
}

static void for_each_fixture(const char *pattern, size_t at_least,
			     void (*check)(const char *path))
{
	glob_t g;

	assert_int_equal(glob(pattern, 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= at_least);
	for (size_t i = 0; i < g.gl_pathc; i++)
		check(g.gl_pathv[i]);
	globfree(&g);
}

static void good_files_pass(void **state)
{
	(void)state;
	for_each_fixture(FIXTURES "pass/*.json", 4, check_pass);
}

static void bad_files_say_where(void **state)
{
	(void)state;
	for_each_fixture(FIXTURES "fail/*/*.json", 30, check_fail);
}

/* Cut anywhere, a good file is refused (or is blank after the end). */
static void every_cut_is_refused(void **state)
{
	size_t len;
	char *json = slurp(FIXTURES "pass/full.json", &len);

	(void)state;
	while (json[len - 1] == '\n')
		len--;
	for (size_t n = 0; n < len; n++) {
		struct run_config cfg = { 0 };
		struct diag d = { 0 };

		if (config_json_load_buffer(json, n, "f", &cfg, &d) >= 0)
			fail_msg("cut at %zu was accepted", n);
		assert_int_equal(d.status, ST_JSON);
	}
	free(json);
}

static void too_large_is_refused_unread(void **state)
{
	size_t len = CONFIG_JSON_MAX + 1;
	struct run_config cfg = { 0 };
	struct diag d = { 0 };
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', len);
	assert_int_equal(config_json_load_buffer(text, len, "f", &cfg, &d),
			 -E2BIG);
	assert_int_equal(d.status, ST_CONFIG);
	assert_string_equal(d.text, "f: larger than 1024 KiB");
	free(text);
}

static void too_many_vms(void **state)
{
	struct run_config cfg = { 0 };
	struct diag d = { 0 };
	char text[257 * 3 + 16];
	size_t len;

	(void)state;
	len = (size_t)snprintf(text, sizeof(text), "{\"vms\":[{}");
	for (int i = 1; i < 257; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, ",{}");
	len += (size_t)snprintf(text + len, sizeof(text) - len, "]}");
	assert_true(config_json_load_buffer(text, len, "f", &cfg, &d) < 0);
	assert_string_equal(d.text, "f: vms: 1 to 256 VMs, not 257");
}

static void messages_are_one_line(void **state)
{
	static const char text[] = "{\"kernel\": \"/k\", \"a\\nb\": 1}";
	struct run_config cfg = { 0 };
	struct diag d = { 0 };

	(void)state;
	assert_true(config_json_load_buffer(text, sizeof(text) - 1, "f", &cfg,
					    &d) < 0);
	assert_string_equal(d.text, "f: a?b: unknown key");
}

static void missing_file(void **state)
{
	struct config_draft c = { 0 };
	struct diag d = { 0 };

	(void)state;
	assert_int_equal(config_json_draft_file("/nonexistent.json", &c, &d),
			 -ENOENT);
	assert_int_equal(d.status, ST_CONFIG);
	assert_string_equal(d.text,
			    "/nonexistent.json: No such file or directory");
	d = (struct diag){ 0 };
	assert_int_equal(config_json_draft_file("/", &c, &d), -EISDIR);
	assert_int_equal(d.status, ST_CONFIG);
}

static void destroys_half_built(void **state)
{
	struct run_config cfg = { 0 };

	(void)state;
	run_config_destroy(NULL);
	run_config_destroy(&cfg);
	cfg.vms = calloc(2, sizeof(*cfg.vms));
	assert_non_null(cfg.vms);
	cfg.nr_vms = 2;
	cfg.vms[1].nr_disks = 1;
	cfg.vms[1].name = strdup("half");
	run_config_destroy(&cfg);
	assert_null(cfg.vms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_files_pass),
		cmocka_unit_test(bad_files_say_where),
		cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(too_large_is_refused_unread),
		cmocka_unit_test(too_many_vms),
		cmocka_unit_test(messages_are_one_line),
		cmocka_unit_test(missing_file),
		cmocka_unit_test(destroys_half_built),
	};

	return cmocka_run_group_tests_name("config_json", tests, NULL, NULL);
}
