/* SPDX-License-Identifier: BSD-2-Clause */
/* disco down: the VMs of a cluster, the roles in the reverse of their order. */
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

/* The VMs from @first on that have the role of that one. */
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

/* A server outlives its clients: the monitor has the VMs in the file's order. */
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

/* Of a file: what has a '/', or is one. */
static int down_name(const char *word, char name[VM_NAME_MAX + 1],
		     struct diag *d)
{
	struct cluster c = { .name = NULL };
	struct stat st;
	int err = 0;

	if (strchr(word, '/') || (stat(word, &st) == 0 && S_ISREG(st.st_mode)))
		err = cluster_load(word, &c, d);
	if (!err)
		(void)snprintf(name, VM_NAME_MAX + 1, "%s",
			       c.name ? c.name : word);
	cluster_destroy(&c);
	return err;
}

static int cluster_down_run(const struct command_args *a, struct diag *d)
{
	struct cluster_vms v = { .nr = 0 };
	unsigned limit_s = SHUTDOWN_LIMIT_S;
	char name[VM_NAME_MAX + 1] = "";
	int ret = down_name(a->words[0], name, d);

	if (!ret && a->given[DOWN_TIMEOUT])
		ret = cli_whole(a->value[DOWN_TIMEOUT], 0, &limit_s, d);
	if (!ret)
		ret = cluster_vms_get(name, &v, d);
	if (!ret)
		ret = down_all(&v, limit_s, d);
	cluster_vms_free(&v);
	return ret;
}

const struct command cluster_down = {
	.name = "down",
	.brief = "shut a cluster down",
	.words = "CLUSTER|FILE.json",
	.help = "Shut the VMs of a cluster down, as 'disco stop' does: the "
		"roles "
		"in the reverse\nof the order in which they came up. Their "
		"copy-on-write files stay.",
	.min_words = 1,
	.max_words = 1,
	.options = { down_options },
	.run = cluster_down_run,
};
