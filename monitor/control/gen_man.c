/* SPDX-License-Identifier: BSD-2-Clause */
/* gen_man <PAGE.in >PAGE: at build time, the tables of options into a page. */
#include <string.h>

#include "monitor/control/cluster/cluster_file.h"
#include "monitor/control/commands.h"
#include "monitor/control/config/man.h"
#include "monitor/control/config/vm_options.h"

static const struct man_keys keys[] = {
	{ "vm", vm_options },		{ "disk", disk_options },
	{ "net", net_options },		{ "shm", shm_options },
	{ "cluster", cluster_options }, { "role", cluster_role_options },
	{ "nfs", cluster_nfs_options }, { .name = NULL },
};

int main(void)
{
	int err = man_page(stdin, stdout, &disco_command, keys);

	if (err)
		(void)fprintf(stderr, "gen_man: %s\n", strerror(-err));
	return err ? 1 : 0;
}
