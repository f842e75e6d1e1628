/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco down: the VMs of a cluster, the roles in the reverse of their order, so
 * that a server outlives its clients.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "monitor/control/cli/cli.h"
#include "monitor/control/cluster/cluster_cli.h"
#include "monitor/control/cluster/cluster_file.h"
#include "monitor/control/cluster/cluster_vms.h"
#include "monitor/control/workers/shutdown.h"

enum { DOWN_TIMEOUT };

static const struct option_entry down_options[] = {
	[DOWN_TIMEOUT] = { .name = "timeout",
			   .arg = "SECONDS",
			   .help = "kill VMs of a role that are not off by "
				   "then "
				   "(default 60)" },
	{ .name = NULL },
};

/* The last VMs of @v[0 .. last - 1], as many as have the same role. */
static unsigned down_same_role(const struct cluster_vms *v, unsigned last,
			       char **names)
{
	unsigned nr = 0;

	while (last > nr &&
	       strcmp(v->vms[last - 1 - nr].role, v->vms[last - 1].role) == 0) {
		names[nr] = v->vms[last - 1 - nr].name;
		nr++;
	}
	return nr;
}

static int down_all(const struct cluster_vms *v, unsigned limit_s,
		    struct diag *d)
{
	char **names = calloc(v->nr, sizeof(*names));
	unsigned left = v->nr;
	int status = ST_OK;

	if (!names)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	while (left && status >= 0) {
		unsigned nr = down_same_role(v, left, names);
		int one = cli_stop_vms(names, nr, limit_s, d);

		status = one < 0 || !status ? one : status;
		left -= nr;
	}
	free(names);
	return status;
}

/* Number of the role in the file; of one that is not there: the last. */
static unsigned down_rank(const struct cluster *c, const char *role)
{
	unsigned i = 0;

	while (i < c->nr_roles && strcmp(c->roles[i].name, role) != 0)
		i++;
	return i;
}

/*
 * In the order of the file, as the monitor has VMs that were started again at
 * the end. By insertion, so that the VMs of a role keep their order.
 */
static void down_sort(struct cluster_vms *v, const struct cluster *c)
{
	for (unsigned i = 1; i < v->nr; i++) {
		struct cluster_vm vm = v->vms[i];
		unsigned rank = down_rank(c, vm.role), k = i;

		for (; k && down_rank(c, v->vms[k - 1].role) > rank; k--)
			v->vms[k] = v->vms[k - 1];
		v->vms[k] = vm;
	}
}

/* Is it a file: what has a '/', or is one? */
static bool down_is_file(const char *word)
{
	struct stat st;

	return strchr(word, '/') ||
	       (stat(word, &st) == 0 && S_ISREG(st.st_mode));
}

static int cluster_down_run(const struct command_args *a, struct diag *d)
{
	struct cluster_vms v = { .nr = 0 };
	struct cluster c = { .name = NULL };
	unsigned limit_s = SHUTDOWN_LIMIT_S;
	const char *word = a->words[0];
	int ret = down_is_file(word) ? cluster_load(word, &c, d) : 0;

	if (!ret && a->given[DOWN_TIMEOUT])
		ret = cli_whole(a->value[DOWN_TIMEOUT], 0, &limit_s, d);
	if (!ret)
		ret = cluster_vms_get(c.name ? c.name : word, &v, d);
	if (!ret) {
		down_sort(&v, &c);
		ret = down_all(&v, limit_s, d);
	}
	cluster_vms_free(&v);
	cluster_destroy(&c);
	return ret;
}

const struct command cluster_down = {
	.name = "down",
	.brief = "shut a cluster down",
	.words = "CLUSTER|FILE.json",
	.help = "Shut the VMs of a cluster down, as 'disco stop' does: the "
		"roles in the reverse order of the file or, if only the "
		"cluster's name is given, of the starts of their VMs. Their "
		"copy-on-write files stay.",
	.min_words = 1,
	.max_words = 1,
	.options = { down_options },
	.run = cluster_down_run,
};
