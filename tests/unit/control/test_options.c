/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/control/config/config_draft.h"
#include "monitor/control/config/options.h"

#define FIXTURES "tests/fixtures/config/"
#define MAX_ARGS 24

/* Splits @line at blanks; getopt may permute, so the array is ours. */
static int parse(const char *line, struct run_config *cfg, bool *helped,
		 struct diag *d)
{
	static const struct command run = { OPTIONS_RUN };
	char *copy, *argv[MAX_ARGS + 1] = { NULL };
	struct command_args args;
	int argc = 0, ret;

	assert_true(asprintf(&copy, "run %s", line) > 0);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) {
		assert_true(argc < MAX_ARGS);
		argv[argc++] = w;
	}
	ret = command_parse(&run, argc, argv, &args, d);
	*helped = ret == 1;
	if (ret == 0)
		ret = options_run(&args, cfg, d);
	command_args_destroy(&args);
	free(copy);
	return ret;
}

static void accept(const char *line, struct run_config *cfg)
{
	struct diag d = { 0 };
	bool helped = false;

	memset(cfg, 0, sizeof(*cfg));
	if (parse(line, cfg, &helped, &d))
		fail_msg("'%s': %s", line, d.text);
	assert_false(helped);
}

static void refuse(const char *line, enum exit_status status, const char *text)
{
	struct run_config cfg = { .nr_vms = 77 };
	struct diag d = { 0 };
	bool helped = false;

	if (parse(line, &cfg, &helped, &d) >= 0)
		fail_msg("'%s' was accepted", line);
	if (d.status != status || strcmp(d.text, text) != 0)
		fail_msg("'%s': got %d '%s', want %d '%s'", line, (int)d.status,
			 d.text, (int)status, text);
	assert_int_equal(cfg.nr_vms, 77);
}

static void defaults(void **state)
{
	struct run_config cfg;

	(void)state;
	accept("--kernel /boot/vmlinuz", &cfg);
	assert_int_equal(cfg.nr_vms, 1);
	assert_string_equal(cfg.vms[0].name, "vm");
	assert_string_equal(cfg.vms[0].kernel, "/boot/vmlinuz");
	assert_null(cfg.vms[0].initrd);
	assert_null(cfg.vms[0].cmdline);
	assert_int_equal(cfg.vms[0].nr_vcpus, 1);
	assert_int_equal(cfg.vms[0].memory_bytes, MIB(256));
	assert_int_equal(cfg.vms[0].node, NODE_AUTO);
	assert_false(cfg.vms[0].strict);
	assert_false(cfg.vms[0].keep_packed);
	assert_false(cfg.dry_run);
	assert_false(cfg.summary);
	assert_null(cfg.report);
	run_config_destroy(&cfg);
}

static void every_option(void **state)
{
	struct run_config cfg;
	const struct vm_config *vm;

	(void)state;
	accept("--kernel k,unpack=off --initrd i --cmdline quiet --cpus 4 "
	       "--memory 1GiB,node=2,strict,huge=thp --name web --dry-run "
	       "--disk path=a,ro,serial=s,queues=3 --disk "
	       "path=b,iops=50,bps=10M --summary "
	       "--report r.json --mark ready",
	       &cfg);
	vm = &cfg.vms[0];
	assert_true(vm->keep_packed);
	assert_string_equal(vm->initrd, "i");
	assert_string_equal(vm->cmdline, "quiet");
	assert_int_equal(vm->nr_vcpus, 4);
	assert_int_equal(vm->memory_bytes, GIB(1));
	assert_int_equal(vm->node, 2);
	assert_true(vm->strict && vm->huge == HUGE_THP);
	assert_string_equal(vm->name, "web");
	assert_int_equal(vm->nr_disks, 2);
	assert_true(vm->disks[0].read_only && !vm->disks[1].read_only);
	assert_string_equal(vm->disks[0].serial, "s");
	assert_int_equal(vm->disks[0].queues, 3);
	assert_int_equal(vm->disks[1].queues, 0);
	assert_int_equal(vm->disks[0].iops, 0);
	assert_int_equal(vm->disks[1].iops, 50);
	assert_int_equal(vm->disks[1].bps, MIB(10));
	assert_string_equal(vm->disks[1].path, "b");
	assert_true(cfg.dry_run && cfg.summary);
	assert_string_equal(cfg.report, "r.json");
	assert_string_equal(cfg.mark, "ready");
	run_config_destroy(&cfg);
}

static void node_alone_is_preferred(void **state)
{
	struct run_config cfg;

	(void)state;
	accept("--kernel k --memory 1G,node=3", &cfg);
	assert_int_equal(cfg.vms[0].node, 3);
	assert_false(cfg.vms[0].strict);
	run_config_destroy(&cfg);
}

static void merging_is_asked_for(void **state)
{
	struct run_config cfg;

	(void)state;
	accept("--kernel k --memory 1G", &cfg);
	assert_false(cfg.vms[0].merge);
	run_config_destroy(&cfg);
	accept("--kernel k -n 2 --memory 1G,merge", &cfg);
	assert_true(cfg.vms[0].merge && cfg.vms[1].merge);
	run_config_destroy(&cfg);
	accept("--kernel k --memory 1G,merge=off,huge=thp", &cfg);
	assert_false(cfg.vms[0].merge);
	run_config_destroy(&cfg);
	accept("--kernel k --memory 1G,merge,huge=auto", &cfg);
	assert_true(cfg.vms[0].merge && cfg.vms[0].huge == HUGE_AUTO);
	run_config_destroy(&cfg);
	refuse("--kernel k --memory 1G,merge,huge=thp", ST_CONFIG,
	       "vm: huge pages are not merged: leave out 'merge' or "
	       "'huge=thp'");
}

static void huge_pages_are_asked_for(void **state)
{
	static const struct {
		const char *line;
		unsigned huge;
	} lines[] = {
		{ "--kernel k", HUGE_AUTO },
		{ "--kernel k --memory 1G", HUGE_AUTO },
		{ "--kernel k --memory 1G,huge=auto", HUGE_AUTO },
		{ "--kernel k --memory 1G,huge=thp,strict", HUGE_THP },
		{ "--kernel k --memory 1G,merge,huge=off", HUGE_OFF },
	};
	struct run_config cfg;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		accept(lines[i].line, &cfg);
		assert_int_equal(cfg.vms[0].huge, lines[i].huge);
		run_config_destroy(&cfg);
	}
}

static void several_nodes_are_asked_for(void **state)
{
	struct run_config cfg;

	(void)state;
	accept("--kernel k --memory 1G", &cfg);
	assert_null(cfg.vms[0].nodes);
	assert_false(cfg.vms[0].numa_show);
	run_config_destroy(&cfg);
	accept("--kernel k -n 2 --cpus 8 --memory 8G,nodes=0-3", &cfg);
	assert_string_equal(cfg.vms[0].nodes, "0-3");
	assert_string_equal(cfg.vms[1].nodes, "0-3");
	assert_false(cfg.vms[1].numa_show);
	run_config_destroy(&cfg);
	accept("--kernel k --cpus 2 --memory 64M,nodes=2+0,numa=show,huge=thp",
	       &cfg);
	assert_true(cfg.vms[0].numa_show && cfg.vms[0].huge == HUGE_THP);
	assert_false(cfg.vms[0].views);
	run_config_destroy(&cfg);
	accept("--kernel k --cpus 2 --memory 64M,nodes=2+0,views=on", &cfg);
	assert_true(cfg.vms[0].views && !cfg.vms[0].numa_show);
	assert_int_equal(cfg.vms[0].copies_bytes, 0);
	run_config_destroy(&cfg);
	accept("--kernel k --cpus 2 --memory 64M,nodes=2+0,views=on,copies=8M",
	       &cfg);
	assert_int_equal(cfg.vms[0].copies_bytes, MIB(8));
	run_config_destroy(&cfg);
	accept("--kernel k --memory 1G,nodes=2,numa=hide", &cfg);
	assert_string_equal(cfg.vms[0].nodes, "2");
	run_config_destroy(&cfg);
}

static void nodes_that_do_not_go_together(void **state)
{
	(void)state;
	refuse("--kernel k --cpus 4 --memory 1G,nodes=0-", ST_USAGE,
	       "--memory: '0-' is not a list of nodes, as 0-3 or 0+2");
	refuse("--kernel k --cpus 4 --memory 1G,nodes=0-3+1", ST_USAGE,
	       "--memory: '0-3+1' names a node twice");
	refuse("--kernel k --cpus 4 --memory 1G,nodes=0-64", ST_USAGE,
	       "--memory: '0-64' has more than 64 nodes");
	refuse("--kernel k --memory 1G,numa=both", ST_USAGE,
	       "--memory: numa must be show or hide, not 'both'");
	refuse("--kernel k --cpus 3 --memory 1G,nodes=0-3", ST_CONFIG,
	       "vm: nodes=0-3 are 4 nodes for 3 virtual CPUs: give it more "
	       "CPUs or fewer nodes");
	refuse("--kernel k --cpus 4 --memory 1G,nodes=0-3,node=1", ST_CONFIG,
	       "vm: 'nodes' and 'node' both say where its memory is: give one "
	       "of them");
	refuse("--kernel k --cpus 4 --memory 1G,nodes=0-3,strict", ST_CONFIG,
	       "vm: 'strict' memory is on one node: leave out 'strict' or "
	       "'nodes'");
	refuse("--kernel k --cpus 4 --memory 1G,nodes=0-3,merge", ST_CONFIG,
	       "vm: equal pages are merged on one node: leave out 'merge' or "
	       "'nodes'");
	refuse("--kernel k --cpus 4 --memory 1G,numa=show", ST_CONFIG,
	       "vm: numa=show needs 'nodes', two or more");
	refuse("--kernel k --cpus 4 --memory 1G,nodes=1,numa=show", ST_CONFIG,
	       "vm: numa=show needs 'nodes', two or more");
	refuse("--kernel k --cpus 4 --memory 127M,nodes=0-3,numa=show",
	       ST_CONFIG,
	       "vm: numa=show needs at least 32 MiB of memory per node");
	refuse("--kernel k --cpus 4 --memory 1G,views=on", ST_CONFIG,
	       "vm: views=on is one view per node, of 2 to 16 nodes: give it "
	       "'nodes', or leave out 'views'");
	refuse("--kernel k --cpus 4 --memory 1G,views=on,nodes=1", ST_CONFIG,
	       "vm: views=on is one view per node, of 2 to 16 nodes: give it "
	       "'nodes', or leave out 'views'");
	refuse("--kernel k --cpus 32 --memory 1G,views=on,nodes=0-16",
	       ST_CONFIG,
	       "vm: views=on is one view per node, of 2 to 16 nodes: give it "
	       "'nodes', or leave out 'views'");
	refuse("--kernel k --cpus 4 --memory 1G,nodes=0-1,copies=8M", ST_CONFIG,
	       "vm: views show copies of pages: give it views=on, or leave out "
	       "'copies'");
	refuse("--kernel k --cpus 4 --memory 1G,views=on,nodes=0-1,merge",
	       ST_CONFIG,
	       "vm: equal pages are merged on one node: leave out 'merge' or "
	       "'nodes'");
	refuse("--kernel k --memory 1G,views=yes", ST_USAGE,
	       "--memory: views must be on or off, not 'yes'");
}

static void count_numbers_names(void **state)
{
	struct run_config cfg;

	(void)state;
	accept("--kernel k -n 3 --name w --disk path=d,ro", &cfg);
	assert_int_equal(cfg.nr_vms, 3);
	assert_string_equal(cfg.vms[0].name, "w-0");
	assert_string_equal(cfg.vms[2].name, "w-2");
	assert_string_equal(cfg.vms[0].disks[0].path, "d");
	assert_ptr_not_equal(cfg.vms[0].kernel, cfg.vms[2].kernel);
	run_config_destroy(&cfg);
	accept("--kernel k --count=1", &cfg);
	assert_string_equal(cfg.vms[0].name, "vm");
	run_config_destroy(&cfg);
}

static void who_shares_cached_blocks(void **state)
{
	struct run_config cfg;

	(void)state;
	accept("--kernel k -n 2 --group g.1 --disk path=d,ro,cache=off "
	       "--disk path=e,ro",
	       &cfg);
	for (unsigned i = 0; i < 2; i++) {
		assert_string_equal(cfg.vms[i].group, "g.1");
		assert_true(cfg.vms[i].disks[0].no_cache);
		assert_false(cfg.vms[i].disks[1].no_cache);
	}
	run_config_destroy(&cfg);
	accept("--kernel k --disk path=d,ro,cache=on", &cfg);
	assert_null(cfg.vms[0].group);
	assert_false(cfg.vms[0].disks[0].no_cache);
	run_config_destroy(&cfg);
	refuse("--kernel k --disk path=d,cache=no", ST_USAGE,
	       "--disk: cache must be on or off, not 'no'");
	refuse("--kernel k --group -", ST_USAGE,
	       "--group: '-' is not a name: letters, digits and '._-', a "
	       "letter or digit first");
}

static void line_goes_over_the_file(void **state)
{
	struct run_config cfg;

	(void)state;
	accept("--config " FIXTURES "pass/count.json --memory 128M -n 2 "
	       "--disk path=x,ro --cpus 2",
	       &cfg);
	assert_int_equal(cfg.nr_vms, 2);
	assert_string_equal(cfg.vms[1].name, "w-1");
	assert_string_equal(cfg.vms[0].kernel, "/k");
	assert_int_equal(cfg.vms[0].memory_bytes, MIB(128));
	assert_int_equal(cfg.vms[0].nr_vcpus, 2);
	assert_int_equal(cfg.vms[0].nr_disks, 1);
	assert_string_equal(cfg.vms[0].disks[0].path, "x");
	run_config_destroy(&cfg);
	accept("--config " FIXTURES "fail/vm/no-kernel.json --kernel k", &cfg);
	assert_string_equal(cfg.vms[0].name, "a");
	run_config_destroy(&cfg);
}

static void several_vms_take_no_vm_options(void **state)
{
	struct run_config cfg;

	(void)state;
	accept("--summary --config " FIXTURES "pass/full.json --dry-run", &cfg);
	assert_int_equal(cfg.nr_vms, 2);
	assert_true(cfg.summary);
	run_config_destroy(&cfg);
	refuse("--config " FIXTURES "pass/full.json -n 2", ST_USAGE,
	       "--count cannot be given here: " FIXTURES
	       "pass/full.json describes 2 VMs; set it there");
	refuse("--cpus 2 --config " FIXTURES "pass/full.json", ST_USAGE,
	       "--cpus cannot be given here: " FIXTURES
	       "pass/full.json describes 2 VMs; set it there");
}

static void bad_options_are_one_line(void **state)
{
	(void)state;
	refuse("--foo", ST_USAGE,
	       "unrecognized option '--foo'; see 'disco run --help'");
	refuse("--kernel k --foo=3 --cpus 2", ST_USAGE,
	       "unrecognized option '--foo=3'; see 'disco run --help'");
	refuse("-x", ST_USAGE,
	       "unrecognized option '-x'; see 'disco run --help'");
	refuse("--kernel k -xn 3", ST_USAGE,
	       "unrecognized option '-xn'; see 'disco run --help'");
	refuse("--co x", ST_USAGE,
	       "option '--co' is ambiguous; see 'disco run --help'");
	refuse("--kernel", ST_USAGE,
	       "option '--kernel' needs a value, PATH[,unpack=on|off]");
	refuse("--kernel k -n", ST_USAGE, "option '-n' needs a value, COUNT");
	refuse("--dry-run=yes", ST_USAGE, "option '--dry-run' takes no value");
	refuse("--kernel k stray", ST_USAGE,
	       "unexpected argument 'stray'; see 'disco run --help'");
	refuse("", ST_USAGE,
	       "no kernel: give --kernel PATH, or a --disk that has one");
	refuse("--initrd i --disk path=d", ST_USAGE,
	       "--initrd: needs --kernel; without it the disk's initrd is "
	       "used");
}

static void bad_values_name_the_option(void **state)
{
	(void)state;
	refuse("--kernel k --memory 12Q", ST_USAGE,
	       "--memory: '12Q' is not a number of bytes, or one with K, M, G "
	       "or T (as in 256M)");
	refuse("--kernel k --memory 1M,node=x", ST_USAGE,
	       "--memory: 'x' is not a number");
	refuse("--kernel k --memory 1M,node=", ST_USAGE,
	       "--memory: 'node' needs a value, node=...");
	refuse("--kernel k --memory 1M,node=1024", ST_USAGE,
	       "--memory: must be 'auto' or a node's number, 0 to 1023");
	refuse("--kernel k --memory 1M,huge=hugetlb", ST_USAGE,
	       "--memory: huge must be one of auto|thp|off, not "
	       "'hugetlb'");
	refuse("--kernel k --memory 1M,strict=maybe", ST_USAGE,
	       "--memory: strict must be on or off, not 'maybe'");
	refuse("--kernel k --memory 1M,foo", ST_USAGE,
	       "--memory: unknown key 'foo'; known: node, nodes, numa, "
	       "views, copies, strict, huge, merge");
	refuse("--kernel k --cpus 65", ST_USAGE,
	       "--cpus: a VM has 1 to 64 CPUs, not 65");
	refuse("--kernel k --cpus 1x", ST_USAGE,
	       "--cpus: '1x' is not a number");
	refuse("--kernel k -n 0", ST_USAGE, "--count: 1 to 256 VMs, not 0");
	refuse("--kernel k --name a/b", ST_USAGE,
	       "--name: 'a/b' is not a name: letters, digits and '._-', a "
	       "letter or digit first");
	refuse("--kernel k,pack", ST_USAGE,
	       "--kernel: unknown key 'pack'; known: unpack");
	refuse("--kernel k --disk ro", ST_USAGE,
	       "--disk: 'ro' has no path=FILE");
	refuse("--kernel k --disk file", ST_USAGE,
	       "--disk: unknown key 'file'; known: path, format, cow, "
	       "snapshot, ro, pmem, serial, cache, queues, iops, bps");
	refuse("--kernel k --disk path=d,format=qcow2", ST_USAGE,
	       "--disk: format must be raw or auto, not 'qcow2'");
	refuse("--kernel k --disk path=d,pmem=1", ST_USAGE,
	       "--disk: pmem must be on or off, not '1'");
	refuse("--kernel k --disk path=d,iops=0", ST_USAGE,
	       "--disk: 1 to 1000000000 requests a second, not 0");
	refuse("--kernel k --disk path=d,iops=50x", ST_USAGE,
	       "--disk: '50x' is not a number");
	refuse("--kernel k --disk path=d,bps=511", ST_USAGE,
	       "--disk: 512 B to 1 TiB a second, not 511 B");
	refuse("--kernel k --disk path=d,bps=2T", ST_USAGE,
	       "--disk: 512 B to 1 TiB a second, not 2 TiB");
	refuse("--kernel k --disk path=d,bps=fast", ST_USAGE,
	       "--disk: 'fast' is not a number of bytes, or one with K, M, "
	       "G or T (as in 256M)");
	refuse("--kernel k --disk path=d,queues=9", ST_USAGE,
	       "--disk: a disk has 1 to 8 queues, not 9");
	refuse("--kernel k --disk path=d,queues=0", ST_USAGE,
	       "--disk: a disk has 1 to 8 queues, not 0");
	refuse("--kernel k --disk path=d,queues", ST_USAGE,
	       "--disk: 'queues' needs a value, queues=...");
}

static void one_writer_a_disk(void **state)
{
	(void)state;
	refuse("--kernel k -n 2 --disk path=d", ST_CONFIG,
	       "disk 'd' is writable for vm 'vm-0' and also used by vm 'vm-1'; "
	       "a disk has one writer or only readers: make it 'ro' "
	       "everywhere, or give each its own 'cow' file");
	refuse("--kernel k --disk path=d --disk path=d,ro", ST_CONFIG,
	       "disk 'd' is writable for vm 'vm' and also used by vm 'vm'; a "
	       "disk has one writer or only readers: make it 'ro' everywhere, "
	       "or give each its own 'cow' file");
}

static void file_errors_keep_their_status(void **state)
{
	(void)state;
	refuse("--config /nonexistent", ST_CONFIG,
	       "/nonexistent: No such file or directory");
	refuse("--config " FIXTURES "fail/vm/cpus-zero.json", ST_CONFIG,
	       FIXTURES
	       "fail/vm/cpus-zero.json: cpus: a VM has 1 to 64 CPUs, not 0");
	refuse("--config " FIXTURES "fail/vm/no-kernel.json", ST_CONFIG,
	       FIXTURES "fail/vm/no-kernel.json: kernel: missing, and no disk "
			"that may have one");
}

static void help_stops_there(void **state)
{
	int saved = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY);
	struct run_config cfg = { 0 };
	struct diag d = { 0 };
	bool helped = false;
	int ret;

	(void)state;
	assert_true(saved >= 0 && null >= 0);
	assert_true(dup2(null, STDOUT_FILENO) >= 0);
	ret = parse("--help", &cfg, &helped, &d);
	(void)fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	(void)close(saved);
	(void)close(null);
	assert_int_equal(ret, 1);
	assert_true(helped);
	assert_null(cfg.vms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(every_option),
		cmocka_unit_test(node_alone_is_preferred),
		cmocka_unit_test(merging_is_asked_for),
		cmocka_unit_test(huge_pages_are_asked_for),
		cmocka_unit_test(several_nodes_are_asked_for),
		cmocka_unit_test(nodes_that_do_not_go_together),
		cmocka_unit_test(count_numbers_names),
		cmocka_unit_test(who_shares_cached_blocks),
		cmocka_unit_test(line_goes_over_the_file),
		cmocka_unit_test(several_vms_take_no_vm_options),
		cmocka_unit_test(bad_options_are_one_line),
		cmocka_unit_test(bad_values_name_the_option),
		cmocka_unit_test(one_writer_a_disk),
		cmocka_unit_test(file_errors_keep_their_status),
		cmocka_unit_test(help_stops_there),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
