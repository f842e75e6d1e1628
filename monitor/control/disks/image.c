/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/image.h"

#include <errno.h>
#include <string.h>

struct subcommand {
	const char *name;
	unsigned nr_files;
	bool json, from;
	int (*run)(const struct image_args *a, struct diag *d);
	const char *usage, *help;
};

static const struct subcommand subcommands[] = {
	{ "create", 2, false, false, image_create, "BASE COW",
	  "make an empty copy-on-write file for a base" },
	{ "info", 1, true, false, image_info, "[--json] COW",
	  "say what is in a copy-on-write file" },
	{ "check", 2, true, false, image_check, "[--json] BASE COW",
	  "look for damage, read every block" },
	{ "commit", 2, false, false, image_commit, "BASE COW",
	  "write its blocks into the base, empty it" },
	{ "export", 3, false, false, image_export, "BASE COW OUT",
	  "write what a guest sees to a new raw file" },
	{ "import", 2, false, false, image_import, "SOURCE OUT",
	  "make a raw file of what qemu-img reads" },
	{ "rebase", 2, false, true, image_rebase, "[--from OLD] BASE COW",
	  "let it belong to another base" },
};

static void print_usage(void)
{
	printf("Usage: disco image COMMAND ...\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
		printf("  %-7s%-23s%s\n", subcommands[i].name,
		       subcommands[i].usage, subcommands[i].help);
	printf("\nBASE is a raw file and is only read, but by commit. disco(1) "
	       "has the exit statuses.\n");
}

static const struct subcommand *image_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(subcommands); i++)
		if (strcmp(subcommands[i].name, name) == 0)
			return &subcommands[i];
	return NULL;
}

static int bad_usage(const struct subcommand *s, struct diag *d)
{
	return diag_fail(d, ST_USAGE, EINVAL, "usage: disco image %s %s",
			 s->name, s->usage);
}

/* @argv: behind the subcommand's name. */
static int image_parse(const struct subcommand *s, int argc, char **argv,
		       struct image_args *a, struct diag *d)
{
	for (int i = 0; i < argc; i++) {
		if (s->json && strcmp(argv[i], "--json") == 0) {
			a->json = true;
		} else if (s->from && strcmp(argv[i], "--from") == 0) {
			if (++i == argc)
				return bad_usage(s, d);
			a->from = argv[i];
		} else if (argv[i][0] == '-') {
			return diag_fail(d, ST_USAGE, EINVAL,
					 "unrecognized option '%.64s'; usage: "
					 "disco image %s %s",
					 argv[i], s->name, s->usage);
		} else if (a->nr == s->nr_files) {
			return bad_usage(s, d);
		} else {
			a->files[a->nr++] = argv[i];
		}
	}
	return a->nr == s->nr_files ? 0 : bad_usage(s, d);
}

int image_main(int argc, char **argv, struct diag *d)
{
	struct image_args a = { .nr = 0 };
	const struct subcommand *s;
	int err;

	if (argc < 2)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "no command; see 'disco image --help'");
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		print_usage();
		return ST_OK;
	}
	s = image_find(argv[1]);
	if (!s)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "unknown command '%.64s'; see 'disco image "
				 "--help'",
				 argv[1]);
	if (argc > 2 && strcmp(argv[2], "--help") == 0) {
		printf("Usage: disco image %s %s - %s\n", s->name, s->usage,
		       s->help);
		return ST_OK;
	}
	err = image_parse(s, argc - 2, argv + 2, &a, d);
	return err ? err : s->run(&a, d);
}
