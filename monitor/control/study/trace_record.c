/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco trace record: asks the monitor for what has come, every READ_MS, and
 * writes it. What is not read in time is overwritten in the agent's ring, and
 * counted as lost.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "disco/clock.h"
#include "disco/placement.h"
#include "memory/trace/trace_ring.h"
#include "memory/trace/trace_write.h"
#include "monitor/control/base/new_file.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/study/trace_commands.h"

#define READ_MS	   20
#define ITEM_CHARS (TRACE_ITEM_WORDS * 16)

static volatile sig_atomic_t record_interrupted; /* by a signal's handler */

struct trace_recording {
	const char *vm;
	char path[CLI_PATH_MAX];
	json_int_t id, next;
	uint64_t lost, refused;
	struct trace_writer *w;
};

static void record_on_signal(int signal_number)
{
	(void)signal_number;
	record_interrupted = 1;
}

static int record_call(struct trace_recording *r, const char *what,
		       json_t **out, struct diag *d)
{
	char body[128];

	(void)snprintf(body, sizeof(body),
		       "{\"do\": \"%s\", \"id\": %lld, \"after\": %lld}", what,
		       (long long)r->id, (long long)r->next);
	return http_json("POST", r->path, body, out, d);
}

/* --- the machine ---------------------------------------------------------- */

static int record_bad(struct diag *d, const char *what)
{
	return diag_fail(d, ST_NO_MONITOR, EPROTO,
			 "the monitor's answer about a recording has no %s",
			 what);
}

static int record_describe(const json_t *root, const char *vm,
			   struct trace_info *info, struct diag *d)
{
	json_t *nodes = json_object_get(root, "nodes"), *node;
	json_t *distances = json_object_get(root, "distances");
	const char *policy = "", *source = "";
	json_int_t pages = 0;
	size_t i, nr = json_array_size(nodes);

	if (!nr || nr > POLICY_MAX_NODES ||
	    json_array_size(distances) != nr * nr ||
	    json_unpack((json_t *)(uintptr_t)root, "{s:s, s:s, s:I}", "policy",
			&policy, "source", &source, "pages", &pages))
		return record_bad(d, "machine");
	info->nr_nodes = (uint32_t)nr;
	info->nr_vms = 1;
	info->start_unix_ns = (uint64_t)time(NULL) * 1000000000;
	(void)snprintf(info->origin, sizeof(info->origin), "%s", source);
	(void)snprintf(info->text, sizeof(info->text),
		       "a run of %s, recorded live", vm);
	(void)snprintf(info->vms[0].name, sizeof(info->vms[0].name), "%s", vm);
	(void)snprintf(info->vms[0].policy, sizeof(info->vms[0].policy), "%s",
		       policy);
	info->vms[0].pages = (uint64_t)pages;
	json_array_foreach(nodes, i, node)
	{
		json_int_t number = 0, cpus = 0, memory = 0;

		(void)json_unpack(node, "{s:I, s:I, s:I}", "node", &number,
				  "cpus", &cpus, "pages", &memory);
		info->nodes[i] = (struct trace_node){ (int32_t)number,
						      (uint32_t)cpus,
						      (uint64_t)memory };
	}
	for (i = 0; i < nr * nr; i++) {
		uint32_t far =
			(uint32_t)max_u64((uint64_t)json_integer_value(
						  json_array_get(distances, i)),
					  10);

		info->distance[i] = far;
		info->latency_ns[i] = far * PLACEMENT_NS_PER_DISTANCE;
		info->move_ns[i] = i % (nr + 1) ? PLACEMENT_MOVE_NS : 0;
	}
	return 0;
}

/* --- entries -------------------------------------------------------------- */

static int record_write_item(struct trace_recording *r,
			     const struct trace_item *i)
{
	int err = i->is_event ? trace_writer_event(r->w, &i->event)
			      : trace_writer_add(r->w, &i->access);

	/* An agent may write anything; what cannot be is left out. */
	if (err == -EINVAL)
		r->refused++;
	return err == -EINVAL ? 0 : err;
}

static bool record_decode(const char *text, uint64_t words[TRACE_ITEM_WORDS])
{
	for (unsigned w = 0; w < TRACE_ITEM_WORDS; w++) {
		char word[17] = { 0 }, *end;

		memcpy(word, text + w * 16, 16);
		words[w] = strtoull(word, &end, 16);
		if (end != word + 16)
			return false;
	}
	return true;
}

/* Return: how many entries there were; -errno. */
static int record_write(struct trace_recording *r, const json_t *root,
			struct diag *d)
{
	const char *text = json_string_value(json_object_get(root, "items"));
	json_int_t lost = json_integer_value(json_object_get(root, "lost"));
	size_t len = text ? strlen(text) : 1;
	int err = 0, nr = 0;

	if (len % ITEM_CHARS)
		return record_bad(d, "entries");
	r->next = json_integer_value(json_object_get(root, "next"));
	if (lost > 0) {
		struct trace_event gap = { .kind = TRACE_LOST };

		gap.lost.nr = (uint64_t)lost;
		r->lost += (uint64_t)lost;
		err = trace_writer_event(r->w, &gap);
	}
	for (; !err && len; len -= ITEM_CHARS, text += ITEM_CHARS, nr++) {
		uint64_t words[TRACE_ITEM_WORDS];
		struct trace_item item;

		if (!record_decode(text, words))
			return record_bad(d, "entries");
		trace_item_unpack(words, &item);
		err = record_write_item(r, &item);
	}
	return err ? diag_fail(d, ST_TRACE, -err, "cannot write the trace: %s",
			       strerror(-err))
		   : nr;
}

/* Return: 0 all that was asked for, or the VM has ended; -errno. */
static int record_run(struct trace_recording *r, uint64_t seconds,
		      struct diag *d)
{
	const struct timespec rest = { .tv_nsec = READ_MS * 1000000 };
	uint64_t end = clock_now_ns() + seconds * 1000000000;

	for (;;) {
		bool last = record_interrupted ||
			    (seconds && clock_now_ns() >= end);
		struct diag gone = { .status = ST_OK };
		json_t *root = NULL;
		int nr = record_call(r, "read", &root, &gone);

		if (nr == -EREMOTEIO)
			return 0; /* the VM has ended, or moved */
		if (nr) {
			*d = gone;
			return nr;
		}
		nr = record_write(r, root, d);
		json_decref(root);
		if (nr < 0 || (last && nr == 0))
			return nr;
		if (!nr)
			(void)nanosleep(&rest, NULL);
	}
}

/* --- the command ---------------------------------------------------------- */

static int record_into(struct trace_recording *r, int fd, uint64_t seconds,
		       struct diag *d)
{
	struct trace_info *info = calloc(1, sizeof(*info));
	json_t *root = NULL;
	int err = info ? record_call(r, "begin", &root, d)
		       : diag_fail(d, ST_HOST, ENOMEM, "out of memory");

	if (err)
		goto out;
	r->id = json_integer_value(json_object_get(root, "id"));
	err = record_describe(root, r->vm, info, d);
	json_decref(root);
	if (!err && (err = trace_writer_create(&r->w, fd, info)))
		err = diag_fail(d, ST_TRACE, -err, "cannot write a trace: %s",
				strerror(-err));
	if (!err)
		err = record_run(r, seconds, d);
	root = NULL;
	/* Its errors do not matter: it ends by itself. */
	(void)!record_call(r, "end", &root, &(struct diag){ 0 });
	json_decref(root);
	if (!err && trace_writer_end(r->w, r->lost, 0))
		err = diag_fail(d, ST_TRACE, EIO, "cannot write the trace");
	if (!err)
		printf("%s: %llu accesses, %llu lost, %llu bytes\n", r->vm,
		       (unsigned long long)trace_writer_accesses(r->w),
		       (unsigned long long)r->lost + r->refused,
		       (unsigned long long)trace_writer_bytes(r->w));
out:
	trace_writer_destroy(r->w);
	free(info);
	return err;
}

int trace_run_record(const struct command_args *a, struct diag *d)
{
	struct sigaction sa = { .sa_handler = record_on_signal };
	const char *path = a->value[TRACE_RECORD_OUT];
	struct trace_recording r = { .vm = a->words[0] };
	struct new_file f = NEW_FILE_NONE;
	unsigned seconds = 0;
	int err = trace_needs(a, TRACE_RECORD_OUT, "output", d);

	if (!err && a->given[TRACE_RECORD_SECONDS])
		err = cli_whole(a->value[TRACE_RECORD_SECONDS], 1, &seconds, d);
	if (!err)
		err = cli_vm_path(r.vm, "trace", r.path, d);
	if (!err)
		err = trace_new_file(&f, path, d);
	/* What was recorded until then is kept. */
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
	if (!err)
		err = record_into(&r, f.fd, seconds, d);
	if (!err)
		err = trace_publish(&f, path, d);
	new_file_close(&f);
	return err;
}
