/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/disks/image.h"

static const struct option_entry json_options[] = {
	[IMAGE_JSON] = { .name = "json", .help = "as JSON" },
	{ .name = NULL },
};

#define FORMAT_OPTION                                                          \
	{                                                                      \
		.name = "format", .arg = "raw",                                \
		.help = "take BASE as it is, even if it looks like an image "  \
			"of "                                                  \
			"another format"                                       \
	}

static const struct option_entry create_options[] = {
	[IMAGE_CREATE_FORMAT] = FORMAT_OPTION,
	{ .name = NULL },
};

static const struct option_entry import_options[] = {
	[IMAGE_BACKING] = { .name = "backing",
			    .arg = "FILE",
			    .help = "the image may refer to this file; may be "
				    "given several times" },
	{ .name = NULL },
};

static const struct option_entry rebase_options[] = {
	[IMAGE_FROM] = { .name = "from",
			 .arg = "OLD",
			 .help = "copy what differs between this base and the "
				 "new one, so that a guest sees no change" },
	[IMAGE_REBASE_FORMAT] = FORMAT_OPTION,
	{ .name = NULL },
};

/* As many files as @nr, none of them optional. */
#define FILES(nr, text) .words = (text), .min_words = (nr), .max_words = (nr)

static const struct command boot = {
	.group = "image",
	.name = "boot",
	.words = "IMAGE [COW]",
	.min_words = 1,
	.max_words = 2,
	.brief = "print what 'disco run' would boot from a disk",
	.help = "Print the boot entry of a raw disk, or of a base under its "
		"copy-on-write file: what 'disco run' boots without "
		"--kernel.",
	.options = { json_options },
	.run = image_boot,
};

static const struct command create = {
	.group = "image",
	.name = "create",
	FILES(2, "BASE COW"),
	.brief = "make an empty copy-on-write file for a base",
	.help = "Make an empty copy-on-write file for a base.",
	.options = { create_options },
	.run = image_create,
};

static const struct command info = {
	.group = "image",
	.name = "info",
	FILES(1, "COW"),
	.brief = "print the header of a copy-on-write file",
	.help = "Print what a copy-on-write file contains.",
	.options = { json_options },
	.run = image_info,
};

static const struct command check = {
	.group = "image",
	.name = "check",
	FILES(2, "BASE COW"),
	.brief = "check for damage, reading every block",
	.help = "Check for damage, and read every block.",
	.options = { json_options },
	.run = image_check,
};

static const struct command commit = {
	.group = "image",
	.name = "commit",
	FILES(2, "BASE COW"),
	.brief = "write the blocks of COW into BASE, and empty COW",
	.help = "Write the blocks of a copy-on-write file into its base, and "
		"empty the file.",
	.run = image_commit,
};

static const struct command export = {
	.group = "image",
	.name = "export",
	FILES(3, "BASE COW OUT"),
	.brief = "write the disk as a guest sees it to a raw file",
	.help = "Write what a guest sees to a new raw file.",
	.run = image_export,
};

static const struct command import = {
	.group = "image",
	.name = "import",
	FILES(2, "SOURCE OUT"),
	.brief = "convert a compressed image, or one of another format, to a "
		 "raw file",
	.help = "Make a raw file of a compressed raw image (gzip, xz, zstd), "
		"or of an image that qemu-img reads. Other files that the "
		"image names, such as its backing file, are only read if "
		"--backing names them, too.",
	.options = { import_options },
	.run = image_import,
};

static const struct command rebase = {
	.group = "image",
	.name = "rebase",
	FILES(2, "BASE COW"),
	.brief = "make COW belong to another base",
	.help = "Make a copy-on-write file belong to another base.",
	.options = { rebase_options },
	.run = image_rebase,
};

static const struct command *const image_commands[] = {
	&boot, &create, &info, &check, &commit, &export, &import, &rebase, NULL,
};

const struct command image_command = {
	.name = "image",
	.brief = "make, check and convert disk images",
	.commands = image_commands,
	.more = "BASE is a raw file; only 'commit' writes to it. disco(1) has "
		"the exit statuses.",
};
