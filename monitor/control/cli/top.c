/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco top: figures of all virtual machines, every second, and below each machine
 * a line for each of its ports.
 */
#include <curses.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/run/report.h"

#define TOP_MS	1000
#define TOP_MAX 1024 /* machines whose rates are known */

/* Counts of a port that are shown as rates. */
enum { TOP_SENT, TOP_SENT_BYTES, TOP_GOT, TOP_GOT_BYTES, TOP_DROPPED, TOP_NR };

/* What was known of a machine a moment ago, for rates. */
struct sample {
	char name[VM_NAME_MAX + 1];
	json_int_t cpu_ns, exits;
	json_int_t nets[VM_MAX_NETS][TOP_NR];
	uint64_t at_ns;
};

struct top {
	struct sample old[TOP_MAX], new[TOP_MAX];
	unsigned nr_old, nr_new;
};

static const struct sample *top_find(const struct top *t, const char *name)
{
	for (unsigned i = 0; i < t->nr_old; i++)
		if (strcmp(t->old[i].name, name) == 0)
			return &t->old[i];
	return NULL;
}

static void top_net_counts(json_t *net, json_int_t counts[TOP_NR])
{
	static const char *const keys[] = {
		[TOP_SENT] = "sent_frames",
		[TOP_SENT_BYTES] = "sent_bytes",
		[TOP_GOT] = "received_frames",
		[TOP_GOT_BYTES] = "received_bytes",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		counts[i] = json_integer_value(json_object_get(net, keys[i]));
	counts[TOP_DROPPED] = cli_net_dropped(net);
}

/*
 * A line for each port of a machine. @was: NULL: nothing is known of a moment ago.
 * Return: the next row.
 */
static int draw_nets(json_t *vm, const struct sample *was, uint64_t now,
		     json_int_t nets[VM_MAX_NETS][TOP_NR], int row)
{
	double seconds = was ? (double)(now - was->at_ns) / 1e9 : 0.0;
	size_t i;
	json_t *net;

	json_array_foreach(json_object_get(vm, "nets"), i, net)
	{
		double rates[TOP_NR] = { 0.0 };

		if (i == VM_MAX_NETS)
			break;
		top_net_counts(net, nets[i]);
		for (unsigned k = 0; k < TOP_NR && seconds > 0.0; k++)
			if (nets[i][k] >= was->nets[i][k])
				rates[k] =
					(double)(nets[i][k] - was->nets[i][k]) /
					seconds;
		(void)mvprintw(row++, 0,
			       "  %-14.38s  sent %8.0f/s %7.1fM/s  received "
			       "%8.0f/s %7.1fM/s  dropped %6.0f/s",
			       cli_text(net, "name"), rates[TOP_SENT],
			       rates[TOP_SENT_BYTES] / 1e6, rates[TOP_GOT],
			       rates[TOP_GOT_BYTES] / 1e6, rates[TOP_DROPPED]);
	}
	return row;
}

/* Return: the next row. */
static int draw_vm(struct top *t, int row, json_t *vm, uint64_t now)
{
	json_int_t nets[VM_MAX_NETS][TOP_NR] = { { 0 } };
	const char *name = "", *state = "";
	json_int_t cpu = 0, exits = 0, pages = 0, local = 0;
	const struct sample *was;
	double seconds = 0.0, percent = 0.0, rate = 0.0;
	char share[16], age[32], nodes[NODE_LIST_TEXT_MAX];

	if (json_unpack(vm, "{s:s, s:s, s:I, s:I, s:I, s:I}", "name", &name,
			"state", &state, "cpu_ns", &cpu, "exits", &exits,
			"ram_pages", &pages, "ram_pages_local", &local) < 0)
		return row;
	was = top_find(t, name);
	if (was)
		seconds = (double)(now - was->at_ns) / 1e9;
	if (was && seconds > 0.0 && cpu >= was->cpu_ns && exits >= was->exits) {
		percent = (double)(cpu - was->cpu_ns) / seconds / 1e7;
		rate = (double)(exits - was->exits) / seconds;
	}
	report_share((uint64_t)local, (uint64_t)pages, share, sizeof(share));
	cli_memory_age(vm, age, sizeof(age));
	(void)mvprintw(row++, 0,
		       "%-16.40s  %-10s  %4s  %6.1f  %8s  %7lldM  %7s  "
		       "%8.0f",
		       name, state, cli_nodes(vm, nodes), percent, share,
		       (long long)pages >> 8, age, rate);
	row = draw_nets(vm, was, now, nets, row);
	if (t->nr_new < TOP_MAX) {
		struct sample *s = &t->new[t->nr_new++];

		(void)snprintf(s->name, sizeof(s->name), "%s", name);
		s->cpu_ns = cpu;
		s->exits = exits;
		memcpy(s->nets, nets, sizeof(s->nets));
		s->at_ns = now;
	}
	return row;
}

static int top_draw(struct top *t, struct diag *d)
{
	json_t *root = NULL, *list;
	uint64_t now = clock_now_ns();
	size_t i;
	int row = 1;
	int err = http_json("GET", "/v1/stats", NULL, &root, d);

	if (err)
		return err;
	list = json_object_get(root, "vms");
	t->nr_new = 0;
	(void)erase();
	(void)attron(A_REVERSE);
	(void)mvprintw(0, 0, "%-16s  %-10s  %4s  %6s  %8s  %8s  %7s  %8s", "VM",
		       "STATE", "NODE", "CPU %", "LOCAL", "MEMORY", "AGE",
		       "EXITS/s");
	(void)attroff(A_REVERSE);
	for (i = 0; i < json_array_size(list); i++)
		row = draw_vm(t, row, json_array_get(list, i), now);
	(void)refresh();
	memcpy(t->old, t->new, sizeof(t->old));
	t->nr_old = t->nr_new;
	json_decref(root);
	return 0;
}

static int top_watch(struct top *t, struct diag *d)
{
	int err, key;

	do {
		err = top_draw(t, d);
		key = err ? 'q' : getch();
	} while (key != 'q' && key != 'Q');
	return err;
}

static int top_run(const struct command_args *a, struct diag *d)
{
	SCREEN *screen;
	struct top *t;
	int err;

	(void)a;
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return diag_fail(d, ST_USAGE, ENOTTY,
				 "wants a terminal; 'disco stats --watch=1' "
				 "does not");
	t = calloc(1, sizeof(*t));
	if (!t)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	/* Not initscr(): it would exit by itself. */
	screen = newterm(NULL, stdout, stdin);
	if (!screen) {
		free(t);
		return diag_fail(d, ST_HOST, ENOTTY,
				 "this terminal (TERM) is not known");
	}
	(void)cbreak();
	(void)noecho();
	(void)curs_set(0);
	timeout(TOP_MS);
	err = top_watch(t, d);
	(void)endwin();
	delscreen(screen);
	free(t);
	return err ? err : ST_OK;
}

const struct command cli_top = {
	.name = "top",
	.brief = "watch the figures of VMs",
	.help = "Watch the virtual machines of the monitor; q leaves.",
	.run = top_run,
};
