/* SPDX-License-Identifier: BSD-2-Clause */
/* disco top: figures of all virtual machines, every second. */
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

/* What was known of a machine a moment ago, for rates. */
struct sample {
	char name[VM_NAME_MAX + 1];
	json_int_t cpu_ns, exits;
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

static void draw_vm(struct top *t, int row, json_t *vm, uint64_t now)
{
	const char *name = "", *state = "";
	json_int_t cpu = 0, exits = 0, pages = 0, local = 0;
	const struct sample *was;
	double seconds = 0.0, percent = 0.0, rate = 0.0;
	char share[16], age[32], nodes[NODE_LIST_TEXT_MAX];

	if (json_unpack(vm, "{s:s, s:s, s:I, s:I, s:I, s:I}", "name", &name,
			"state", &state, "cpu_ns", &cpu, "exits", &exits,
			"ram_pages", &pages, "ram_pages_local", &local) < 0)
		return;
	was = top_find(t, name);
	if (was)
		seconds = (double)(now - was->at_ns) / 1e9;
	if (was && seconds > 0.0 && cpu >= was->cpu_ns && exits >= was->exits) {
		percent = (double)(cpu - was->cpu_ns) / seconds / 1e7;
		rate = (double)(exits - was->exits) / seconds;
	}
	report_share((uint64_t)local, (uint64_t)pages, share, sizeof(share));
	cli_memory_age(vm, age, sizeof(age));
	(void)mvprintw(row, 0,
		       "%-16.40s  %-10s  %4s  %6.1f  %8s  %7lldM  %7s  "
		       "%8.0f",
		       name, state, cli_nodes(vm, nodes), percent, share,
		       (long long)pages >> 8, age, rate);
	if (t->nr_new < TOP_MAX) {
		struct sample *s = &t->new[t->nr_new++];

		(void)snprintf(s->name, sizeof(s->name), "%s", name);
		s->cpu_ns = cpu;
		s->exits = exits;
		s->at_ns = now;
	}
}

static int top_draw(struct top *t, struct diag *d)
{
	json_t *root = NULL, *list;
	uint64_t now = clock_now_ns();
	size_t i;
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
		draw_vm(t, (int)i + 1, json_array_get(list, i), now);
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
