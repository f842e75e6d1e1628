/* SPDX-License-Identifier: BSD-2-Clause */
/* disco net ls. */
#include <string.h>

#include "monitor/control/base/column.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"

enum { NET_LS_JSON };

static const struct option_entry net_ls_options[] = {
	[NET_LS_JSON] = { .name = "json",
			  .help = "print the answer of the API" },
	{ .name = NULL },
};

static const char *const dropped_keys[] = { "dropped_refused",
					    "dropped_unknown", "dropped_full",
					    "dropped_lost", "dropped_bad" };

static long long net_count(json_t *port, const char *key)
{
	return json_integer_value(json_object_get(port, key));
}

static long long net_dropped(json_t *port)
{
	long long sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dropped_keys); i++)
		sum += net_count(port, dropped_keys[i]);
	return sum;
}

static void print_ports(json_t *net, int net_width, int vm_width)
{
	size_t i;
	json_t *p;

	json_array_foreach(json_object_get(net, "ports"), i, p)
	{
		printf("%-*s  %-*s  %-15s  %-17s  %-8s  %10lld  %10lld  "
		       "%7lld\n",
		       net_width, cli_text(net, "name"), vm_width,
		       cli_text(p, "vm"), cli_text(p, "ip"), cli_text(p, "mac"),
		       cli_text(p, "link"), net_count(p, "sent_frames"),
		       net_count(p, "received_frames"), net_dropped(p));
	}
}

static void print_nets(json_t *list)
{
	int net_width = 7, vm_width = 2;
	size_t i, k;
	json_t *net, *p;

	json_array_foreach(list, i, net)
	{
		net_width = column_widest(net_width, cli_text(net, "name"));
		json_array_foreach(json_object_get(net, "ports"), k, p)
		{
			vm_width = column_widest(vm_width, cli_text(p, "vm"));
		}
	}
	printf("%-*s  %-*s  %-15s  %-17s  %-8s  %10s  %10s  %7s\n", net_width,
	       "NETWORK", vm_width, "VM", "ADDRESS", "MAC", "LINK", "SENT",
	       "RECEIVED", "DROPPED");
	json_array_foreach(list, i, net)
	{
		print_ports(net, net_width, vm_width);
	}
}

static int net_ls_run(const struct command_args *a, struct diag *d)
{
	return cli_list("/v1/nets", "nets", a->given[NET_LS_JSON], print_nets,
			d);
}

static const struct command net_ls = {
	.group = "net",
	.name = "ls",
	.brief = "list the networks of the monitor's VMs",
	.help = "List the networks of the monitor's virtual machines, and who "
		"is in them.",
	.options = { net_ls_options },
	.run = net_ls_run,
};

static const struct command *const net_commands[] = { &net_ls, &cli_net_dump,
						      NULL };

const struct command cli_net = {
	.name = "net",
	.brief = "look at the networks between VMs",
	.commands = net_commands,
};
