/* SPDX-License-Identifier: BSD-2-Clause */
/* disco net ls; and what ports count for each other, of disco stats as well. */
#include <string.h>

#include "monitor/control/base/column.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"

enum { NET_LS_JSON, NET_LS_PAIRS, NET_LS_ADDRESSES };

static const struct option_entry net_ls_options[] = {
	[NET_LS_JSON] = { .name = "json",
			  .help = "print the answer of the API" },
	[NET_LS_PAIRS] = { .name = "pairs",
			   .help = "print who exchanges frames with whom" },
	[NET_LS_ADDRESSES] = { .name = "addresses",
			       .help = "print all addresses that VMs hold" },
	{ .name = NULL },
};

static const char *const dropped_keys[] = { "dropped_refused",
					    "dropped_unknown", "dropped_full",
					    "dropped_lost", "dropped_bad" };

static long long net_count(json_t *port, const char *key)
{
	return json_integer_value(json_object_get(port, key));
}

long long cli_net_dropped(json_t *port)
{
	long long sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dropped_keys); i++)
		sum += net_count(port, dropped_keys[i]);
	return sum;
}

/* --- pairs --- */

#define PAIR_COLUMNS "%-16s  %-16s  %-16s  "

void cli_pairs_head(void)
{
	printf(PAIR_COLUMNS "%10s  %12s  %10s  %12s  %7s  %7s  %7s\n",
	       "NETWORK", "VM", "OTHER", "SENT", "BYTES", "RECEIVED", "BYTES",
	       "FULL", "LOST", "BAD");
}

void cli_pairs_print(const char *net, const char *vm, json_t *port)
{
	size_t i;
	json_t *p;

	json_array_foreach(json_object_get(port, "pairs"), i, p)
	{
		printf(PAIR_COLUMNS "%10lld  %12lld  %10lld  %12lld  %7lld  "
				    "%7lld  %7lld\n",
		       net, vm, cli_text(p, "peer"),
		       net_count(p, "sent_frames"), net_count(p, "sent_bytes"),
		       net_count(p, "received_frames"),
		       net_count(p, "received_bytes"),
		       net_count(p, "dropped_full"),
		       net_count(p, "dropped_lost"),
		       net_count(p, "dropped_bad"));
	}
}

static void print_pairs(json_t *list)
{
	size_t i, k;
	json_t *net, *p;

	cli_pairs_head();
	json_array_foreach(list, i, net)
	{
		json_array_foreach(json_object_get(net, "ports"), k, p)
		{
			cli_pairs_print(cli_text(net, "name"),
					cli_text(p, "vm"), p);
		}
	}
}

/* --- addresses --- */

#define ADDRESS_COLUMNS "%-16s  %-16s  %-39s  %s\n"

static void print_port_addresses(const char *net, json_t *port)
{
	const char *vm = cli_text(port, "vm");
	size_t i;
	json_t *one;

	printf(ADDRESS_COLUMNS, net, vm, cli_text(port, "ip"), "planned");
	json_array_foreach(json_object_get(port, "ip6"), i, one)
	{
		bool chosen = json_is_true(json_object_get(one, "chosen"));

		printf(ADDRESS_COLUMNS, net, vm, cli_text(one, "address"),
		       chosen ? "chosen" : "planned");
	}
}

static void print_addresses(json_t *list)
{
	size_t i, k;
	json_t *net, *p;

	printf(ADDRESS_COLUMNS, "NETWORK", "VM", "ADDRESS", "BY");
	json_array_foreach(list, i, net)
	{
		json_array_foreach(json_object_get(net, "ports"), k, p)
		{
			print_port_addresses(cli_text(net, "name"), p);
		}
	}
}

/* --- ports --- */

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
		       net_count(p, "received_frames"), cli_net_dropped(p));
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
	void (*print)(json_t * list) = print_nets;

	if (a->given[NET_LS_PAIRS])
		print = print_pairs;
	else if (a->given[NET_LS_ADDRESSES])
		print = print_addresses;
	return cli_list("/v1/nets", "nets", a->given[NET_LS_JSON], print, d);
}

static const struct command net_ls = {
	.group = "net",
	.name = "ls",
	.brief = "list the networks of the monitor's VMs",
	.help = "List the networks of the monitor's virtual machines, and who "
		"is in them. With --pairs: which ports exchange frames, or did "
		"so in the last seconds, what they have sent each other since "
		"they know each other, and what was dropped, by reason. With "
		"--addresses: all addresses that VMs hold, those of the plan "
		"and IPv6 addresses that guests have chosen.",
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
