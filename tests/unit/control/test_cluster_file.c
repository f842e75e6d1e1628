/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file of a cluster: which VMs come of it, what is refused and in which
 * words, and what is run in its guests.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "monitor/control/cluster/cluster_file.h"
#include "monitor/control/cluster/cluster_scripts.h"
#include "tests/unit/support.h"

static char dir[64], file[96];

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/disco-test-cluster.XXXXXX");
	assert_non_null(mkdtemp(dir));
	(void)snprintf(file, sizeof(file), "%s/c.json", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(file);
	return rmdir(dir);
}

static int load(const char *text, struct cluster *c, struct diag *d)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	*d = (struct diag){ .status = ST_OK };
	return cluster_load(file, c, d);
}

static void loaded(const char *text, struct cluster *c)
{
	struct diag d;

	if (load(text, c, &d))
		fail_msg("%s", d.text);
}

static void refused(const char *text, enum exit_status status, const char *why)
{
	struct cluster c = { .name = NULL };
	struct diag d;

	assert_true(load(text, &c, &d) < 0);
	assert_int_equal(d.status, status);
	if (!strstr(d.text, why))
		fail_msg("'%s' in: %s", why, d.text);
	assert_null(c.name);
}

#define VM "\"kernel\": \"/k\""

static const char farm[] =
	"{\"cluster\": \"farm\","
	" \"nfs\": {\"role\": \"srv\", \"export\": \"/srv/x\"},"
	" \"roles\": ["
	"{\"name\": \"srv\", " VM ", \"memory\": \"512M\","
	" \"disks\": [{\"path\": \"b.img\", \"cow\": \"{vm}.cow\"}]},"
	"{\"name\": \"node\", " VM ", \"count\": 3, \"nodes\": [2, 0],"
	" \"disks\": [{\"path\": \"b.img\", \"cow\": \"d/{vm}-x.cow\"}],"
	" \"start\": [\"a\", \"b c\"], \"health\": [\"h\"],"
	" \"deadline\": 7}]}";

static void roles_become_vms(void **state)
{
	struct cluster c;
	char path[128];

	(void)state;
	loaded(farm, &c);
	assert_string_equal(c.name, "farm");
	assert_int_equal(c.cfg.nr_vms, 4);
	assert_string_equal(c.cfg.vms[0].name, "farm-srv");
	assert_string_equal(c.cfg.vms[1].name, "farm-node-0");
	assert_string_equal(c.cfg.vms[3].name, "farm-node-2");
	for (unsigned i = 0; i < 4; i++) {
		assert_string_equal(c.cfg.vms[i].cluster, "farm");
		assert_string_equal(c.cfg.vms[i].role, i ? "node" : "srv");
		/* None was given: one of the cluster's name. */
		assert_int_equal(c.cfg.vms[i].nr_nets, 1);
		assert_string_equal(c.cfg.vms[i].nets[0].name, "farm");
	}
	assert_int_equal(c.cfg.vms[0].memory_bytes, MIB(512));
	assert_int_equal(c.cfg.vms[0].node, NODE_AUTO);
	assert_int_equal(c.cfg.vms[1].node, 2);
	assert_int_equal(c.cfg.vms[2].node, 0);
	assert_int_equal(c.cfg.vms[3].node, 2);
	(void)snprintf(path, sizeof(path), "%s/d/farm-node-1-x.cow", dir);
	assert_string_equal(c.cfg.vms[2].disks[0].cow, path);
	assert_int_equal(c.roles[1].start.nr, 2);
	assert_string_equal(c.roles[1].start.text[1], "b c");
	assert_int_equal(c.roles[1].health.nr, 1);
	assert_int_equal(c.roles[1].deadline_s, 7);
	assert_int_equal(c.roles[0].deadline_s, CLUSTER_DEADLINE_S);
	assert_ptr_equal(cluster_role_of(&c, 0), &c.roles[0]);
	assert_ptr_equal(cluster_role_of(&c, 1), &c.roles[1]);
	assert_ptr_equal(cluster_role_of(&c, 3), &c.roles[1]);
	assert_ptr_equal(cluster_role_find(&c, "node"), &c.roles[1]);
	assert_null(cluster_role_find(&c, "farm"));
	cluster_destroy(&c);
}

static void networks_of_ones_own(void **state)
{
	struct cluster c;

	(void)state;
	loaded("{\"cluster\": \"c\", \"roles\": ["
	       "{\"name\": \"a\", " VM ", \"nets\": [{\"name\": \"lan\"}]},"
	       "{\"name\": \"b\", " VM ", \"nets\": []}]}",
	       &c);
	assert_string_equal(c.cfg.vms[0].nets[0].name, "lan");
	assert_int_equal(c.cfg.vms[1].nr_nets, 0);
	cluster_destroy(&c);
}

static void what_is_refused(void **state)
{
	(void)state;
	refused("{", ST_JSON, "c.json:1:");
	refused("{\"roles\": []}", ST_CONFIG, "roles: 1 to 32 roles, not 0");
	refused("{\"cluster\": \"c\"}", ST_CONFIG, "has no 'roles'");
	refused("{\"roles\": [{\"name\": \"a\", " VM "}]}", ST_CONFIG,
		"has no 'cluster'");
	refused("{\"cluster\": \"c\", \"roles\": [{" VM "}]}", ST_CONFIG,
		"roles[0]: has no 'name'");
	refused("{\"cluster\": \"c\", \"roles\": [{\"name\": \"a\"}]}",
		ST_CONFIG, "kernel: missing");
	refused("{\"cluster\": \"c\", \"roles\": [{\"name\": \"a\", " VM
		", \"colour\": 1}]}",
		ST_CONFIG, "roles[0].colour: unknown key");
	refused("{\"cluster\": \"c\", \"roles\": [{\"name\": \"a\", " VM
		", \"role\": \"x\"}]}",
		ST_CONFIG, "roles[0].role: unknown key");
	refused("{\"cluster\": \"c\", \"roles\": [{\"name\": \"a\", " VM
		"}, {\"name\": \"a\", " VM "}]}",
		ST_CONFIG, "roles[1]: a second role 'a'");
	refused("{\"cluster\": \"c\", \"roles\": [{\"name\": \"a\", " VM
		", \"start\": [1]}]}",
		ST_CONFIG, "roles[0].start[0]: must be a string");
	refused("{\"cluster\": \"c\", \"roles\": [{\"name\": \"a\", " VM
		", \"health\": [\"\"]}]}",
		ST_CONFIG, "a command has 1 to");
	refused("{\"cluster\": \"c\", \"roles\": [{\"name\": \"a\", " VM
		", \"node\": 1, \"nodes\": [1]}]}",
		ST_CONFIG, "give one of them");
	refused("{\"cluster\": \"c\", \"roles\": [{\"name\": \"a\", " VM
		", \"nodes\": [-7]}]}",
		ST_CONFIG, "roles[0].nodes[0]");
	refused("{\"cluster\": \"c\", \"roles\": [{\"name\": \"a\", " VM
		", \"count\": 200}, {\"name\": \"b\", " VM
		", \"count\": 200}]}",
		ST_CONFIG, "at most 256 VMs");
	refused("{\"cluster\": \"c\", \"roles\": [{\"name\": \"a\", " VM
		", \"count\": 2, \"disks\": [{\"path\": \"b\", \"cow\": "
		"\"x\"}]}]}",
		ST_CONFIG, "its own 'cow' file");
}

#define NFS(nfs, roles)                                                        \
	"{\"cluster\": \"c\", \"nfs\": {" nfs "}, \"roles\": [" roles "]}"

static void what_nfs_needs(void **state)
{
	(void)state;
	refused(NFS("\"role\": \"a\"", "{\"name\": \"a\", " VM "}"), ST_CONFIG,
		"has no 'export'");
	refused(NFS("\"export\": \"/x\"", "{\"name\": \"a\", " VM "}"),
		ST_CONFIG, "has no 'role'");
	refused(NFS("\"role\": \"b\", \"export\": \"/x\"",
		    "{\"name\": \"a\", " VM "}"),
		ST_CONFIG, "'b' is no role of one VM");
	refused(NFS("\"role\": \"a\", \"export\": \"/x\"",
		    "{\"name\": \"a\", \"count\": 2, " VM "}"),
		ST_CONFIG, "'a' is no role of one VM");
	refused(NFS("\"role\": \"a\", \"export\": \"/x\"",
		    "{\"name\": \"a\", " VM "}, {\"name\": \"b\", " VM
		    ", \"nets\": [{\"name\": \"other\"}]}"),
		ST_CONFIG, "no network in common");
	refused(NFS("\"role\": \"a\", \"export\": \"/x y\"",
		    "{\"name\": \"a\", " VM "}"),
		ST_CONFIG, "absolute paths of letters");
	refused(NFS("\"role\": \"a\", \"export\": \"x\"",
		    "{\"name\": \"a\", " VM "}"),
		ST_CONFIG, "absolute paths of letters");
}

/* The words as a shell here gets them: exit status of the command. */
static int run(const struct cluster_words *w)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		char *words[CLUSTER_MAX_WORDS + 1] = { NULL };

		memcpy(words, w->words, w->nr * sizeof(words[0]));
		(void)execv(words[0], words);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void commands_are_not_mixed_up(void **state)
{
	struct cluster_words w;
	struct cluster c;

	(void)state;
	loaded(farm, &c);
	/* By the name of its VM, nothing of it is taken for shell. */
	cluster_words_command(&w, &c, 3,
			      "[ \"$DISCO_VM:$DISCO_ROLE:$DISCO_INDEX:"
			      "$DISCO_COUNT\" = 'farm-node-2:node:2:3' ]");
	assert_string_equal(w.words[0], "/bin/sh");
	if (access("/run", W_OK) == 0)
		assert_int_equal(run(&w), 0);
	cluster_words_command(&w, &c, 3, "exit 7");
	if (access("/run", W_OK) == 0)
		assert_int_equal(run(&w), 7);
	cluster_words_mount(&w, &c);
	assert_string_equal(w.words[4], "farm-srv");
	assert_string_equal(w.words[5], "/srv/x");
	assert_string_equal(w.words[6], "/srv/x");
	assert_string_equal(w.words[7], "vers=4.2,hard");
	cluster_words_export(&w, &c);
	assert_string_equal(w.words[4], "/srv/x");
	assert_int_equal(w.nr, 5);
	cluster_destroy(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(roles_become_vms, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(networks_of_ones_own, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_is_refused, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_nfs_needs, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(commands_are_not_mixed_up,
						set_up, tear_down),
	};

	return cmocka_run_group_tests_name("cluster_file", tests, NULL, NULL);
}
