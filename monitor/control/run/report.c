/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/run/report.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "monitor/control/base/replace_file.h"
#include "version.h" /* generated */

#define NS_A_MS 1000000.0

void report_share(uint64_t part, uint64_t whole, char *out, size_t size)
{
	/* Doubles are exact here: pages are far below 2^53. */
	double permille = whole ? (double)part / (double)whole * 1000.0 : 0.0;
	unsigned down = (unsigned)permille;

	if (whole == 0)
		(void)snprintf(out, size, "-");
	else if (part == whole)
		(void)snprintf(out, size, "100 %%");
	else
		(void)snprintf(out, size, "%u.%u %%",
			       down > 999 ? 99 : down / 10,
			       down > 999 ? 9 : down % 10);
}

static int name_width(const struct vm_watch *vms, unsigned nr)
{
	size_t width = strlen("VM");

	for (unsigned i = 0; i < nr; i++)
		width = max_u64(width, strlen(vms[i].name));
	return (int)width;
}

/* "2"; of a wide VM "0-3". */
static const char *report_vm_nodes(const struct vm_watch *vm,
				   char buf[NODE_LIST_TEXT_MAX])
{
	if (vm->nodes.nr)
		return node_list_text(&vm->nodes, buf);
	(void)snprintf(buf, NODE_LIST_TEXT_MAX, "%d", vm->node);
	return buf;
}

void report_summary(const struct vm_watch *vms, unsigned nr, FILE *out)
{
	int width = name_width(vms, nr);

	(void)fprintf(out, "%-*s  %4s  %16s  %12s  %s\n", width, "VM", "node",
		      "ms to user space", "local memory", "exit status");
	for (unsigned i = 0; i < nr; i++) {
		const struct vm_figures *f = &vms[i].figures;
		char mark[24] = "-", share[16], nodes[NODE_LIST_TEXT_MAX];

		if (f->mark_ns)
			(void)snprintf(mark, sizeof(mark), "%.0f",
				       (double)f->mark_ns / NS_A_MS);
		report_share(f->ram_pages_local, f->ram_pages, share,
			     sizeof(share));
		(void)fprintf(out, "%-*s  %4s  %16s  %12s  %d %s\n", width,
			      vms[i].name, report_vm_nodes(&vms[i], nodes),
			      mark, share, (int)f->status,
			      status_word(f->status));
	}
}

static json_t *make_mark(const struct vm_figures *f)
{
	return f->mark_ns ? json_real((double)f->mark_ns / NS_A_MS)
			  : json_null();
}

/* How old the figures of memory were when the VM ended. */
static json_t *report_age(const struct vm_watch *vm)
{
	const struct vm_figures *f = &vm->figures;
	uint64_t end = vm->worker.start_ns + f->wall_ns;

	if (!f->ram_ns)
		return json_null();
	return json_real((double)(end - min_u64(end, f->ram_ns)) / NS_A_MS);
}

json_t *report_node_pages(const struct vm_figures *f)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < MAX_NODES; i++)
		if (f->ram_on[i].pages)
			(void)json_array_append_new(
				list,
				json_pack("{s:i, s:I}", "node",
					  (int)f->ram_on[i].node, "pages",
					  (json_int_t)f->ram_on[i].pages));
	return list;
}

const char *report_sent_name(enum worker_sent kind)
{
	static const char *const names[WORKER_NR_SENT] = {
		[WORKER_SENT_NOTHING] = "idle_wakeups",
		[WORKER_SENT_VECTORS] = "vectors",
		[WORKER_SENT_NMIS] = "nmis",
		[WORKER_SENT_INITS] = "inits",
		[WORKER_SENT_STARTUPS] = "startups",
	};

	return names[kind];
}

static json_t *report_view_copies(const struct vm_figures *f)
{
	json_t *list;

	if (!f->copies_limit)
		return json_null();
	list = json_array();
	for (unsigned i = 0; i < f->nr_views; i++) {
		const struct worker_copies *c = &f->copies[i];

		(void)json_array_append_new(
			list, json_pack("{s:I, s:I, s:I, s:I}", "now",
					(json_int_t)c->now, "made",
					(json_int_t)c->made, "dropped",
					(json_int_t)c->dropped, "waits",
					(json_int_t)c->waits));
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:o}", "limit",
			 (json_int_t)f->copies_limit, "pages",
			 (json_int_t)f->copied_pages, "collapsed",
			 (json_int_t)f->collapsed, "device_waits",
			 (json_int_t)f->device_waits, "views", list);
}

json_t *report_views(const struct vm_figures *f)
{
	json_t *views;

	if (!f->nr_views)
		return json_null();
	views = json_pack("{s:i}", "count", (int)f->nr_views);
	for (unsigned k = 0; k < WORKER_NR_SENT; k++)
		(void)json_object_set_new(views,
					  report_sent_name((enum worker_sent)k),
					  json_integer((json_int_t)f->sent[k]));
	(void)json_object_set_new(views, "copies", report_view_copies(f));
	return views;
}

static json_t *make_vm(const struct vm_watch *vm)
{
	const struct vm_figures *f = &vm->figures;

	return json_pack(
		"{s:s, s:i, s:i, s:s, s:s, s:o, s:f, s:I, s:I, s:o, s:o, s:b, "
		"s:I, s:I, s:I, s:I, s:o}",
		"name", vm->name, "node", vm->node, "status", (int)f->status,
		"status_word", status_word(f->status), "status_text",
		status_meaning(f->status), "mark_ms", make_mark(f), "wall_ms",
		(double)f->wall_ns / NS_A_MS, "ram_pages",
		(json_int_t)f->ram_pages, "ram_pages_local",
		(json_int_t)f->ram_pages_local, "ram_on", report_node_pages(f),
		"ram_age_ms", report_age(vm), "ram_exact", (int)f->ram_exact,
		"private_bytes", (json_int_t)f->private_bytes, "exits",
		(json_int_t)f->exits, "cpu_ns_before_first_run",
		(json_int_t)f->cpu_ns_before_first_run, "cpu_ns",
		(json_int_t)f->cpu_ns, "views", report_views(f));
}

static json_t *make_report(const struct vm_watch *vms, unsigned nr)
{
	json_t *list = json_array();
	struct utsname host = { .release = "" };

	(void)uname(&host);
	for (unsigned i = 0; i < nr; i++) {
		/* Takes the reference; NULL is refused. */
		if (json_array_append_new(list, make_vm(&vms[i])) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return json_pack("{s:i, s:s, s:s, s:o}", "version", REPORT_FORMAT,
			 "disco", DISCO_VERSION, "host_kernel", host.release,
			 "vms", list);
}

int report_write(const struct vm_watch *vms, unsigned nr, const char *path,
		 struct diag *d)
{
	json_t *root = make_report(vms, nr);
	char *json =
		root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(9))
		     : NULL;
	char *text = NULL;
	int err, n = json ? asprintf(&text, "%s\n", json) : -1;

	err = n < 0 ? -ENOMEM : replace_file_write(path, text, (size_t)n);
	if (n >= 0)
		free(text);
	free(json);
	json_decref(root);
	if (err < 0)
		return diag_fail(d, ST_HOST, -err,
				 "report %.300s was not written: %s", path,
				 err == -ENXIO ? "nobody reads it"
					       : strerror(-err));
	return 0;
}
