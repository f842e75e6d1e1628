/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of all commands: options, words, "--", and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/control/config/command.h"

#define MAX_ARGS 16

enum { COLOUR, COUNT, QUIET, QUICK };

static const struct option_entry fly_options[] = {
	[COLOUR] = { .name = "colour", .arg = "NAME", .help = "of it" },
	[COUNT] = { .name = "count", .arg = "N", .letter = 'n', .help = "N" },
	[QUIET] = { .name = "quiet", .letter = 'q', .help = "say nothing" },
	[QUICK] = { .name = "quick", .help = "take less time" },
	{ .name = NULL },
};

/* What the last command that ran was given. */
static struct {
	unsigned nr_runs, nr_words;
	char first[32];
	bool quiet;
	int ret;
} seen;

static int fly_run(const struct command_args *a, struct diag *d)
{
	seen.nr_runs++;
	seen.nr_words = a->nr_words;
	seen.quiet = a->given[QUIET];
	(void)snprintf(seen.first, sizeof(seen.first), "%s",
		       a->nr_words ? a->words[0] : "");
	assert_non_null(a->root);
	return seen.ret < 0 ? diag_fail(d, ST_HOST, -seen.ret, "no wind")
			    : seen.ret;
}

static const struct command fly = {
	.name = "fly",
	.brief = "leave the ground",
	.words = "WHERE...",
	.help = "Leave the ground.",
	.min_words = 1,
	.max_words = 3,
	.options = { fly_options },
	.run = fly_run,
};

static const struct command land = {
	.group = "trip",
	.name = "land",
	.brief = "come down",
	.help = "Come down.",
	.run = fly_run,
};

static const struct command *const trips[] = { &land, NULL };

static const struct command trip = {
	.name = "trip",
	.brief = "there and back",
	.commands = trips,
};

static const struct command where = {
	.name = "where",
	.brief = "say where it is",
	.help = "Say where it is.",
	.as_option = true,
	.run = fly_run,
};

static const struct command *const all[] = { &fly, &trip, &where, NULL };

static const struct command root = { .name = "disco", .commands = all };

static int split(char *copy, char *argv[MAX_ARGS + 1])
{
	int argc = 0;

	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) {
		assert_true(argc < MAX_ARGS);
		argv[argc++] = w;
	}
	argv[argc] = NULL;
	return argc;
}

static int run_line(const char *line, struct diag *d)
{
	char *copy = strdup(line), *argv[MAX_ARGS + 1];
	int ret;

	assert_non_null(copy);
	memset(&seen, 0, sizeof(seen));
	ret = command_run(&root, split(copy, argv), argv, d);
	free(copy);
	return ret;
}

static void refuse(const char *line, const char *text)
{
	struct diag d = { .status = ST_OK };

	assert_int_equal(run_line(line, &d), -EINVAL);
	assert_int_equal(d.status, ST_USAGE);
	assert_string_equal(d.text, text);
	assert_int_equal(seen.nr_runs, 0);
}

static void accept(const char *line, unsigned nr_words, const char *first)
{
	struct diag d = { .status = ST_OK };

	if (run_line(line, &d) != 0)
		fail_msg("'%s': %s", line, d.text);
	assert_int_equal(seen.nr_runs, 1);
	assert_int_equal(seen.nr_words, nr_words);
	assert_string_equal(seen.first, first);
}

static void parse(const char *line, struct command_args *a, char **copy)
{
	static char *argv[MAX_ARGS + 1];
	struct diag d = { .status = ST_OK };

	*copy = strdup(line);
	assert_non_null(*copy);
	if (command_parse(&fly, split(*copy, argv), argv, a, &d))
		fail_msg("'%s': %s", line, d.text);
}

static void options_and_words(void **state)
{
	struct command_args a;
	char *copy;

	(void)state;
	parse("fly up --colour=red -qn 3 --count 4 down", &a, &copy);
	assert_true(a.given[COLOUR] && a.given[COUNT] && a.given[QUIET]);
	assert_false(a.given[QUICK]);
	assert_string_equal(a.value[COLOUR], "red");
	assert_string_equal(a.value[COUNT], "4");
	assert_int_equal(a.nr_words, 2);
	assert_string_equal(a.words[1], "down");
	assert_int_equal(a.nr_items, 4);
	assert_ptr_equal(a.items[0].option, &fly_options[COLOUR]);
	assert_null(a.items[1].value);
	assert_string_equal(a.items[2].value, "3");
	assert_ptr_equal(a.items[3].option, &fly_options[COUNT]);
	command_args_destroy(&a);
	free(copy);
	/* A part of a name that only one has is enough. */
	parse("fly --col x up", &a, &copy);
	assert_string_equal(a.value[COLOUR], "x");
	command_args_destroy(&a);
	command_args_destroy(NULL);
	free(copy);
}

static void behind_two_dashes_are_words(void **state)
{
	(void)state;
	accept("disco fly -- --quiet", 1, "--quiet");
	assert_false(seen.quiet);
	accept("disco fly --quiet -- -n --help", 2, "-n");
	assert_true(seen.quiet);
	accept("disco -- fly up", 1, "up");
	accept("disco -- trip -- land --", 0, "");
	refuse("disco fly --", "wants WHERE...; see 'disco fly --help'");
}

static void refusals_name_the_word(void **state)
{
	(void)state;
	refuse("disco fly up --red",
	       "unrecognized option '--red'; see 'disco fly --help'");
	refuse("disco fly --red=3 up",
	       "unrecognized option '--red=3'; see 'disco fly --help'");
	refuse("disco fly --quiet -x up",
	       "unrecognized option '-x'; see 'disco fly --help'");
	refuse("disco fly --quiet -xq up",
	       "unrecognized option '-xq'; see 'disco fly --help'");
	refuse("disco fly up -qx",
	       "unrecognized option '-qx'; see 'disco fly --help'");
	refuse("disco fly up --qui",
	       "option '--qui' is ambiguous; see 'disco fly --help'");
	refuse("disco fly up --colour",
	       "option '--colour' needs a value, NAME");
	refuse("disco fly up -n", "option '-n' needs a value, N");
	refuse("disco fly up --quiet=yes", "option '--quiet' takes no value");
	refuse("disco fly up --help=yes", "option '--help' takes no value");
	refuse("disco fly", "wants WHERE...; see 'disco fly --help'");
	refuse("disco fly a b c d",
	       "unexpected argument 'd'; see 'disco fly --help'");
}

static void commands_below_commands(void **state)
{
	(void)state;
	accept("disco trip land", 0, "");
	accept("disco --where", 0, "");
	refuse("disco", "no command; see 'disco help'");
	refuse("disco --", "no command; see 'disco help'");
	refuse("disco swim", "unknown command 'swim'; see 'disco help'");
	refuse("disco --fly", "unrecognized option '--fly'; see 'disco help'");
	refuse("disco trip", "no command; see 'disco trip --help'");
	refuse("disco trip fly",
	       "unknown command 'fly'; see 'disco trip --help'");
	refuse("disco trip --red",
	       "unrecognized option '--red'; see 'disco trip --help'");
	refuse("disco trip land x",
	       "unexpected argument 'x'; see 'disco trip land --help'");
}

static void what_a_command_returns(void **state)
{
	char *argv[] = { "fly", "up", NULL };
	struct diag d = { .status = ST_OK };

	(void)state;
	memset(&seen, 0, sizeof(seen));
	seen.ret = ST_KVM;
	assert_int_equal(command_run(&fly, 2, argv, &d), ST_KVM);
	seen.ret = -ENOENT;
	assert_int_equal(command_run(&fly, 2, argv, &d), -ENOENT);
	assert_int_equal(d.status, ST_HOST);
	assert_string_equal(d.text, "no wind");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_words),
		cmocka_unit_test(behind_two_dashes_are_words),
		cmocka_unit_test(refusals_name_the_word),
		cmocka_unit_test(commands_below_commands),
		cmocka_unit_test(what_a_command_returns),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
