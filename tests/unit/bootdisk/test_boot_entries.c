/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The texts of boot entries: versions, entries of the Boot Loader Specification,
 * GRUB's scripts, command lines. What update-grub writes is read in
 * tests/cli/boot.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/bootentry/bls.h"
#include "monitor/bootentry/grub_cfg.h"
#include "monitor/bootentry/grub_words.h"
#include "monitor/bootentry/version_order.h"
#include "tests/unit/support.h"

static void versions(void **state)
{
	/* Ascending. */
	static const char *const order[] = {
		"6.1~rc1",
		"6.1",
		"6.1-1",
		"6.1.0-9",
		"6.1.0-9a",
		"6.1.0-18",
		"6.1.0-180",
		"6.12",
		"10",
		"99999999999999999999999998",
		"99999999999999999999999999",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(order); k++) {
			int got = version_compare(order[i], order[k]);

			if ((i < k && got >= 0) || (i == k && got) ||
			    (i > k && got <= 0))
				fail_msg("%s %s: %d", order[i], order[k], got);
		}
	}
	assert_int_equal(version_compare("6.01", "6.1"), 0);
	assert_int_equal(version_compare("6_1", "6:1"), 0);
}

static void consoles(void **state)
{
	char line[CMDLINE_MAX + 1] = "";

	(void)state;
	assert_int_equal(boot_cmdline_add_console(line), 0);
	assert_string_equal(line, "console=ttyS0");
	assert_int_equal(boot_cmdline_add_console(line), 0);
	assert_string_equal(line, "console=ttyS0");
	(void)strcpy(line, "a console=tty0");
	assert_int_equal(boot_cmdline_add_console(line), 0);
	assert_string_equal(line, "a console=tty0 console=ttyS0");
	assert_true(boot_cmdline_has_console("x console=ttyS1,9600"));
	assert_true(boot_cmdline_has_console("console=hvc0"));
	assert_false(boot_cmdline_has_console("noconsole=ttyS0 console=tty1"));
	memset(line, 'a', CMDLINE_MAX);
	assert_int_equal(boot_cmdline_add_console(line), -E2BIG);
}

/* --- BLS --- */

static int parse_bls(const char *name, const char *text, struct bls_entry *e)
{
	char copy[4096];

	(void)snprintf(copy, sizeof(copy), "%s", text);
	return bls_parse(name, copy, "# GRUB\nkernelopts=root=/dev/x ro\n", e);
}

static void bls_good(void **state)
{
	struct bls_entry e;

	(void)state;
	assert_int_equal(parse_bls("fedora-6.1+3-1.conf",
				   "# a\n\ttitle\tThe Title \r\nlinux /v\n"
				   "initrd /i $tuned\ninitrd /j\n"
				   "options  $kernelopts quiet\n"
				   "options $none b\nunknown x",
				   &e),
			 0);
	assert_string_equal(e.name, "fedora-6.1");
	assert_false(e.bad);
	assert_string_equal(e.item.title, "The Title");
	assert_string_equal(e.item.kernel, "/v");
	assert_int_equal(e.item.nr_initrds, 2);
	assert_string_equal(e.item.initrds[1], "/j");
	assert_string_equal(e.item.cmdline, "root=/dev/x ro quiet b");
	assert_int_equal(parse_bls("a+0.conf", "linux v", &e), 0);
	assert_true(e.bad);
	assert_string_equal(e.item.title, "a");
}

static void bls_bad(void **state)
{
	char text[4096] = "linux /v\noptions ";
	struct bls_entry e;

	(void)state;
	assert_int_equal(parse_bls("a.conf", "efi /shell.efi", &e), -ENOENT);
	assert_int_equal(parse_bls("a.conf", "", &e), -ENOENT);
	assert_int_equal(parse_bls("a.conf", "linux v\narchitecture aa64", &e),
			 -ENOENT);
	memset(text + strlen(text), 'x', CMDLINE_MAX + 1);
	assert_int_equal(parse_bls("a.conf", text, &e), -E2BIG);
	assert_int_equal(
		parse_bls("a.conf", "linux v\ninitrd 1 2 3 4 5 6 7 8 9", &e),
		-E2BIG);
	assert_false(bls_is_name(".conf"));
	assert_false(bls_is_name("a.confx"));
	assert_false(bls_is_name(".a.conf"));
	assert_true(bls_is_name("a.conf"));
}

/* --- GRUB --- */

static int parse_grub(const char *text, const char *env, struct boot_item *out)
{
	const char *why = "";
	int err = grub_cfg_default(text, env, out, &why);

	if (err && !*why)
		fail_msg("%s: %d without a reason", text, err);
	return err;
}

/* The kernel of the default entry is @want. */
static void boots(const char *text, const char *want)
{
	struct boot_item item;
	int err = parse_grub(text, NULL, &item);

	if (err || strcmp(item.kernel, want) != 0)
		fail_msg("%s: %d %s", text, err, err ? "" : item.kernel);
}

#define ENTRY(name) "menuentry " name " { linux /" name "\n}\n"

static void grub_flow(void **state)
{
	(void)state;
	boots(ENTRY("a") ENTRY("b"), "/a");
	boots("set default=1\n" ENTRY("a") ENTRY("b"), "/b");
	boots("default=b;" ENTRY("a") ENTRY("b"), "/b");
	boots("if [ a = a ]; then set default=1; fi\n" ENTRY("a") ENTRY("b"),
	      "/b");
	boots("if false; then\nset default=1\nelif true\nthen\n"
	      "set default=2\nelse\nset default=1\nfi\n" ENTRY("a") ENTRY("b")
		      ENTRY("c"),
	      "/c");
	boots("if [ x = y ]; then if [ a = a ]; then default=1; fi; "
	      "else default=2; fi\n" ENTRY("a") ENTRY("b") ENTRY("c"),
	      "/c");
	boots("if ! [ x = y ]; then default=1; fi;" ENTRY("a") ENTRY("b"),
	      "/b");
	boots("if [ ! -f /x ]; then default=1; fi;" ENTRY("a") ENTRY("b"),
	      "/b");
	boots("if [ \"${none}\" ]; then default=1; fi\n" ENTRY("a") ENTRY("b"),
	      "/a");
	boots("function f { default=1; if true; then x; fi; }\n" ENTRY("a")
		      ENTRY("b"),
	      "/a");
	boots("while true; do default=1; done\n" ENTRY("a") ENTRY("b"), "/a");
	boots("for i in a b; do default=1; done\n" ENTRY("a") ENTRY("b"), "/a");
	boots("if false; then " ENTRY("a") "fi\n" ENTRY("b"), "/b");
	boots("menuentry a { if true; then linux /x; fi }", "/x");
	boots("menuentry a { linux (hd0,gpt2)/x }", "/x");
	boots("# menuentry a { linux /a }\nmenuentry b { linux /b # x\n}",
	      "/b");
	boots("submenu s { " ENTRY("a") ENTRY("b") "}\n" ENTRY("c"), "/a");
	boots("default='s>b'\nsubmenu s { " ENTRY("a") ENTRY("b") "}", "/b");
}

static void grub_words(void **state)
{
	struct boot_item item;

	(void)state;
	assert_int_equal(
		parse_grub("x='two words'; e=\nmenuentry 'A \"B\"' --id q {\n"
			   "search --set=root --label L\n"
			   "linux ($root)/k a\\ b \"c $x\" $x $e '$x' \\\n"
			   "d=\"\\$1\" ${x}e\n"
			   "initrd /i /j\n}",
			   NULL, &item),
		0);
	assert_string_equal(item.title, "A \"B\"");
	assert_string_equal(item.device, "label:L");
	assert_string_equal(item.kernel, "/k");
	assert_string_equal(item.cmdline,
			    "a b c two words two words $x d=$1 two wordse");
	/* The initrds' device counts: both files are on one in any real menu. */
	assert_int_equal(item.nr_initrds, 2);
	assert_string_equal(item.initrds[1], "/j");
	assert_int_equal(parse_grub("load_env\ndefault=$saved_entry\n" ENTRY(
					    "a") ENTRY("b"),
				    "# GRUB\nsaved_entry=b\n####", &item),
			 0);
	assert_string_equal(item.kernel, "/b");
}

static void repeat(char *to, const char *what, unsigned n)
{
	size_t len = strlen(what);

	for (unsigned i = 0; i < n; i++)
		memcpy(to + i * len, what, len + 1);
}

static void grub_bad(void **state)
{
	static const char *const broken[] = {
		"menuentry 'a { linux /x }",
		"menuentry a { linux /x",
		"menuentry { linux /x }",
		"if true; then x",
		"if true; x",
		"while true; do x",
		"if true; then x; else y; done",
		"menuentry a\n{ linux /x }",
	};
	char *text = malloc(MIB(2));
	struct boot_item item;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++)
		if (parse_grub(broken[i], NULL, &item) != -EBADMSG)
			fail_msg("%s", broken[i]);
	assert_int_equal(parse_grub("", NULL, &item), -ENOENT);
	assert_int_equal(
		parse_grub("menuentry a { chainloader /x }", NULL, &item),
		-ENOENT);
	/* One more than each bound. */
	repeat(text, "if true; then\n", 20);
	assert_int_equal(parse_grub(text, NULL, &item), -EBADMSG);
	repeat(text, ENTRY("a"), 600);
	assert_int_equal(parse_grub(text, NULL, &item), -EBADMSG);
	repeat(text, "x ", GRUB_WORDS_MAX + 1);
	assert_int_equal(parse_grub(text, NULL, &item), -EBADMSG);
	repeat(text, "a", GRUB_TEXT_MAX);
	assert_int_equal(parse_grub(text, NULL, &item), -EBADMSG);
	repeat(text, "x\n", 110000);
	assert_int_equal(parse_grub(text, NULL, &item), -EBADMSG);
	/* A value that doubles with each line. */
	repeat(text, "x=aa$x$x\n", 30);
	assert_int_equal(parse_grub(text, NULL, &item), -EBADMSG);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions),  cmocka_unit_test(consoles),
		cmocka_unit_test(bls_good),  cmocka_unit_test(bls_bad),
		cmocka_unit_test(grub_flow), cmocka_unit_test(grub_words),
		cmocka_unit_test(grub_bad),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
