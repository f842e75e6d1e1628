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
#include "monitor/control/cli/top.h"
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

static json_t *top_copies(const json_t *vm)
{
	return json_object_get(json_object_get(vm, "views"), "copies");
}

bool top_has_copies(const json_t *vms)
{
	json_t *vm;
	size_t i;

	json_array_foreach(vms, i, vm)
	{
		if (json_is_object(top_copies(vm)))
			return true;
	}
	return false;
}

void top_title(bool copies, char out[TOP_LINE])
{
	(void)snprintf(out, TOP_LINE,
		       "%-16s  %-10s  %4s  %6s  %8s  %8s  %7s  %8s%s", "VM",
		       "STATE", "NODE", "CPU %", "LOCAL", "MEMORY", "AGE",
		       "EXITS/s", copies ? "    COPIES  COLLAPSED" : "");
}

static json_int_t top_int(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

void top_vm(const json_t *vm, const struct top_rates *r, bool copies,
	    char out[TOP_LINE])
{
	const char *state = json_string_value(json_object_get(vm, "state"));
	json_int_t pages = top_int(vm, "ram_pages");
	char share[16], age[32], nodes[NODE_LIST_TEXT_MAX];
	const json_t *c = top_copies(vm);
	int at;

	report_share((uint64_t)top_int(vm, "ram_pages_local"), (uint64_t)pages,
		     share, sizeof(share));
	cli_memory_age(vm, age, sizeof(age));
	at = snprintf(out, TOP_LINE,
		      "%-16.40s  %-10.20s  %4.40s  %6.1f  %8s  %7lldM  %7s  "
		      "%8.0f",
		      cli_text(vm, "name"), state ? state : "",
		      cli_nodes(vm, nodes), r->cpu_percent, share,
		      (long long)pages >> 8, age, r->exits_per_s);
	if (!copies || at < 0 || at >= (int)TOP_LINE)
		return;
	if (json_is_object(c))
		(void)snprintf(out + at, TOP_LINE - (size_t)at,
			       "  %8lld  %9lld", (long long)top_int(c, "pages"),
			       (long long)top_int(c, "collapsed"));
	else
		(void)snprintf(out + at, TOP_LINE - (size_t)at, "  %8s  %9s",
			       "-", "-");
}

/* A line that is wider than the terminal is cut. */
static void top_print(int row, const char *line)
{
	(void)mvaddnstr(row, 0, line, COLS);
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
		counts[i] = top_int(net, keys[i]);
	counts[TOP_DROPPED] = cli_net_dropped(net);
}

/*
 * A line for each port of a machine. @was: of @seconds ago; 0: nothing is known.
 * Return: the next row.
 */
static int top_draw_nets(json_t *vm, const struct sample *was, double seconds,
			 json_int_t nets[VM_MAX_NETS][TOP_NR], int row)
{
	size_t i;
	json_t *net;

	json_array_foreach(json_object_get(vm, "nets"), i, net)
	{
		double rates[TOP_NR] = { 0.0 };
		char line[TOP_LINE];

		if (i == VM_MAX_NETS)
			break;
		top_net_counts(net, nets[i]);
		for (unsigned k = 0; was && k < TOP_NR && seconds > 0.0; k++)
			if (nets[i][k] >= was->nets[i][k])
				rates[k] =
					(double)(nets[i][k] - was->nets[i][k]) /
					seconds;
		(void)snprintf(line, sizeof(line),
			       "  %-14.38s  sent %8.0f/s %7.1fM/s  received "
			       "%8.0f/s %7.1fM/s  dropped %6.0f/s",
			       cli_text(net, "name"), rates[TOP_SENT],
			       rates[TOP_SENT_BYTES] / 1e6, rates[TOP_GOT],
			       rates[TOP_GOT_BYTES] / 1e6, rates[TOP_DROPPED]);
		top_print(row++, line);
	}
	return row;
}

/* Return: the next row. */
static int top_draw_vm(struct top *t, int row, json_t *vm, bool copies,
		       uint64_t now)
{
	json_int_t nets[VM_MAX_NETS][TOP_NR] = { { 0 } };
	const char *name = cli_text(vm, "name");
	json_int_t cpu = top_int(vm, "cpu_ns"), exits = top_int(vm, "exits");
	const struct sample *was = top_find(t, name);
	struct top_rates r = { 0 };
	double seconds = was ? (double)(now - was->at_ns) / 1e9 : 0.0;
	char line[TOP_LINE];

	if (was && seconds > 0.0 && cpu >= was->cpu_ns && exits >= was->exits) {
		r.cpu_percent = (double)(cpu - was->cpu_ns) / seconds / 1e7;
		r.exits_per_s = (double)(exits - was->exits) / seconds;
	}
	top_vm(vm, &r, copies, line);
	top_print(row++, line);
	row = top_draw_nets(vm, was, seconds, nets, row);
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
	char line[TOP_LINE];
	bool copies;
	size_t i;
	int row = 1;
	int err = http_json("GET", "/v1/stats", NULL, &root, d);

	if (err)
		return err;
	list = json_object_get(root, "vms");
	copies = top_has_copies(list);
	t->nr_new = 0;
	(void)erase();
	(void)attron(A_REVERSE);
	top_title(copies, line);
	top_print(0, line);
	(void)attroff(A_REVERSE);
	for (i = 0; i < json_array_size(list); i++)
		row = top_draw_vm(t, row, json_array_get(list, i), copies, now);
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
