/* SPDX-License-Identifier: BSD-2-Clause */
/* disco trace: the table of its commands. */
#include "monitor/control/study/study.h"
#include "monitor/control/study/trace_commands.h"

static const struct option_entry info_options[] = {
	[TRACE_INFO_JSON] = { .name = "json", .help = "as JSON" },
	[TRACE_INFO_DECISIONS] = { .name = "decisions",
				   .help = "print what the engine decided when "
					   "it was recorded" },
	[TRACE_INFO_CHECK] = { .name = "check",
			       .help = "replay the recorded engine, and check "
				       "that it decides the same, bit by bit" },
	{ .name = NULL },
};

static const struct option_entry export_options[] = {
	[TRACE_EXPORT_JSON] = { .name = "json",
				.help = "a JSON object per line, instead of "
					"CSV" },
	{ .name = NULL },
};

static const struct option_entry import_options[] = {
	[TRACE_IMPORT_FROM] = { .name = "from",
				.arg = "KIND",
				.needed = true,
				.help = "perf, damo, lackey, ramulator or "
					"csv" },
	[TRACE_IMPORT_OUT] = { .name = "output",
			       .letter = 'o',
			       .arg = "TRACE",
			       .needed = true,
			       .help = "the new file" },
	[TRACE_IMPORT_NODES] = { .name = "nodes",
				 .arg = "N",
				 .help = "CPUs belong to N nodes, in their "
					 "order (default 1)" },
	[TRACE_IMPORT_CPUS] = { .name = "cpus",
				.arg = "N",
				.help = "there are N CPUs (default: as many as "
					"were seen)" },
	[TRACE_IMPORT_TOPOLOGY] = { .name = "topology",
				    .arg = "XML|TEXT",
				    .help = "the machine, instead of --nodes "
					    "and --cpus: hwloc's XML file, or "
					    "text such as 'numa:4 pu:2'" },
	[TRACE_IMPORT_STEP] = { .name = "step-ns",
				.arg = "NS",
				.help = "time of an instruction, where the "
					"source has no clock (default 1)" },
	[TRACE_IMPORT_CACHE] = { .name = "cache-kib",
				 .arg = "KIB",
				 .help = "a cache per CPU, whose misses count "
					 "(default 1024 for lackey, else 0)" },
	{ .name = NULL },
};

static const struct option_entry make_options[] = {
	[TRACE_MAKE_OUT] = { .name = "output",
			     .letter = 'o',
			     .arg = "TRACE",
			     .needed = true,
			     .help = "the new file" },
	{ .name = NULL },
};

static const struct option_entry record_options[] = {
	[TRACE_RECORD_OUT] = { .name = "output",
			       .letter = 'o',
			       .arg = "TRACE",
			       .needed = true,
			       .help = "the new file" },
	[TRACE_RECORD_SECONDS] = { .name = "seconds",
				   .arg = "N",
				   .help = "how long (default: until it is "
					   "interrupted, or the VM ends)" },
	{ .name = NULL },
};

static const struct command trace_info_command = {
	.group = "trace",
	.name = "info",
	.words = "TRACE",
	.min_words = 1,
	.max_words = 1,
	.brief = "print what is in a recorded run",
	.help = "Print what is in a recorded run: machine, VMs, time, "
		"accesses, "
		"phases and decisions.",
	.options = { info_options },
	.run = trace_run_info,
};

static const struct command trace_export_command = {
	.group = "trace",
	.name = "export",
	.words = "TRACE",
	.min_words = 1,
	.max_words = 1,
	.brief = "print the accesses of a recorded run",
	.help = "Print all accesses of a recorded run as CSV, which 'disco "
		"trace import --from csv' reads, or as JSON.",
	.options = { export_options },
	.run = trace_run_export,
};

static const struct command trace_import_command = {
	.group = "trace",
	.name = "import",
	.words = "FILE...",
	.min_words = 1,
	.max_words = 256,
	.brief = "make a trace of what another tool has recorded",
	.help = "Make a trace of what another tool has recorded: text of 'perf "
		"script' over memory samples, records of damo, Valgrind's "
		"lackey with --trace-mem=yes, CPU traces of Ramulator (a file "
		"per core), or CSV.",
	.options = { import_options },
	.run = trace_run_import,
};

static const struct command trace_make_command = {
	.group = "trace",
	.name = "make",
	.words = "KIND[,KEY=N]...",
	.min_words = 1,
	.max_words = 1,
	.brief = "make up a trace",
	.help = "Make up a trace, to try policies without a machine or a "
		"guest. KIND is engineering, raytrace, splash, database, "
		"pmake, "
		"radix or phases; KEY is nodes, cpus, ms or seed. The same "
		"words make the same bytes.",
	.options = { make_options },
	.run = trace_run_make,
};

static const struct command trace_record_command = {
	.group = "trace",
	.name = "record",
	.words = "VM",
	.min_words = 1,
	.max_words = 1,
	.brief = "record a VM's accesses, and what is decided about them",
	.help = "Record the accesses of a running virtual machine that its "
		"placement engine gets, and what it decides. The engine "
		"begins "
		"anew for that.",
	.options = { record_options },
	.run = trace_run_record,
};

static const struct command *const trace_commands[] = {
	&trace_record_command, &trace_info_command, &trace_export_command,
	&trace_import_command, &trace_make_command, NULL,
};

const struct command trace_command = {
	.name = "trace",
	.brief = "record runs for 'disco sim', print and convert them",
	.commands = trace_commands,
	.more = "docs/placement.md describes how traces are used. disco(1) has "
		"the exit statuses.",
};
