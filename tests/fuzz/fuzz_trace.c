/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traces from anywhere. The input is taken for the unpacked payloads of blocks,
 * which are packed here, so that the fuzzer gets past the checksum; or for a file
 * as it is; or for a file of another tool to import.
 *
 * Checked: what is refused is refused with a place; what is read holds what
 * trace_read.h promises; simulator, optimum and replay take all of it.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "memory/import/import.h"
#include "memory/sim/optimum.h"
#include "memory/sim/replay.h"
#include "memory/trace/trace_bytes.h"
#include "tests/fuzz/bytes.h"
#include "tests/must.h"

#define PAGES_MAX 65536u /* of a VM: what is played has memory */

static void put_block(int fd, uint32_t kind, uint32_t count, const uint8_t *raw,
		      size_t n)
{
	static uint8_t packed[FUZZ_FILE_MAX * 2], head[16];
	size_t len = ZSTD_compress(packed, sizeof(packed), raw, n, 1);
	uint8_t *p = head;

	must(!ZSTD_isError(len));
	trace_put(&p, kind, 4);
	trace_put(&p, count, 4);
	trace_put(&p, n, 4);
	trace_put(&p, len, 4);
	must(write(fd, head, sizeof(head)) == (ssize_t)sizeof(head));
	must(write(fd, packed, len) == (ssize_t)len);
}

/* A head that is sound, mostly: few inputs would get past it. */
static void put_head(int fd, struct bytes *b)
{
	static uint8_t raw[4096];
	uint32_t nodes = 1 + (uint32_t)take(b, 1) % 4;
	uint32_t vms = 1 + (uint32_t)take(b, 1) % 2;
	uint8_t *p = raw, file[16];

	memset(raw, 0, sizeof(raw));
	trace_put(&p, nodes, 4);
	p += 4 + 8 + 32 + 256 + 16 * nodes;
	for (uint32_t i = 0; i < nodes * nodes; i++) {
		trace_put(&p, 10, 4);
		trace_put(&p, 1 + take(b, 1), 4);
		trace_put(&p, take(b, 2), 4);
	}
	for (uint32_t i = 0; i < vms; i++) {
		trace_put(&p, take(b, 2), 8);
		p += 64 + 256;
	}
	if (take(b, 1) == 1)
		raw[take(b, 2) % sizeof(raw)] = (uint8_t)take(b, 1);
	p = file;
	trace_put(&p, TRACE_MAGIC, 8);
	trace_put(&p, TRACE_VERSION, 4);
	trace_put(&p, 0, 4);
	must(write(fd, file, 16) == 16);
	put_block(fd, TRACE_HEAD, vms, raw,
		  304 + 16 * nodes + 12 * nodes * nodes + vms * 328);
}

static void put_blocks(int fd, struct bytes *b)
{
	static uint8_t raw[FUZZ_FILE_MAX];

	put_head(fd, b);
	while (b->n) {
		uint32_t kind = (uint32_t)take(b, 1) % 6;
		uint32_t count = (uint32_t)take(b, 2);
		size_t n = take_into(b, raw, take(b, 2) % FUZZ_FILE_MAX);

		put_block(fd, kind, count, raw, n);
	}
}

struct played {
	struct sim *sim;
	struct optimum *optimum;
	struct replay *replay;
};

static void begin_playing(const struct trace_info *i,
			  const struct sim_machine *m, struct played *p)
{
	struct sim_config c = {
		.info = i, .machine = m, .replicas = true, .proof_ns = 1000
	};
	struct diag d = { .status = ST_OK };

	must(policy_parse("balanced", NULL, &c.choice, &d) == 0);
	must(sim_create(&p->sim, &c) == 0);
	must(optimum_create(&p->optimum, i, m, true) == 0);
	must(replay_create(&p->replay, i, NULL) == 0);
}

static void check_chunk(const struct trace_info *i, const struct trace_chunk *c)
{
	uint64_t time = 0, at = c->first;

	must(c->nr || c->nr_events);
	for (uint32_t n = 0; n < c->nr; n++) {
		const struct access_record *r = &c->records[n];

		must(r->time_ns >= time && r->vm < i->nr_vms);
		must(r->page < i->vms[r->vm].pages && r->weight);
		must(r->node < i->nr_nodes || r->node == ACCESS_NO_NODE);
		must(r->home < i->nr_nodes || r->home == ACCESS_NO_NODE);
		time = r->time_ns;
	}
	for (uint32_t n = 0; n < c->nr_events; n++) {
		must(c->events[n].at >= at);
		must(c->events[n].at <= c->first + c->nr);
		at = c->events[n].at;
	}
}

static void read_trace(int fd)
{
	static struct sim_machine m;
	struct diag d = { .status = ST_OK };
	struct played p = { 0 };
	struct trace_reader *r = NULL;
	struct trace_chunk c;
	bool play = true;
	int got = trace_open(&r, fd, "f", &d);

	if (got) {
		must(d.status == ST_TRACE && d.text[0]);
		(void)close(fd);
		return;
	}
	m.nr_nodes = trace_info(r)->nr_nodes;
	m.collapse_ns = 10;
	memcpy(m.latency_ns, trace_info(r)->latency_ns, sizeof(m.latency_ns));
	memcpy(m.move_ns, trace_info(r)->move_ns, sizeof(m.move_ns));
	for (uint32_t v = 0; v < trace_info(r)->nr_vms; v++)
		play = play && trace_info(r)->vms[v].pages <= PAGES_MAX;
	if (play)
		begin_playing(trace_info(r), &m, &p);
	while ((got = trace_next(r, &c, &d)) > 0) {
		check_chunk(trace_info(r), &c);
		if (!play)
			continue;
		must(sim_feed(p.sim, c.records, c.nr) == 0);
		must(optimum_feed(p.optimum, c.records, c.nr) == 0);
		if (replay_feed(p.replay, &c, &d))
			break;
	}
	must(got >= 0 || strstr(d.text, "block "));
	if (play) {
		(void)sim_result(p.sim);
		(void)optimum_cost_ns(p.optimum);
		(void)replay_end(p.replay);
	}
	sim_destroy(p.sim);
	optimum_destroy(p.optimum);
	replay_destroy(p.replay);
	trace_close(r);
}

static void import_input(const char *kind, struct bytes *b)
{
	static uint8_t nodes[IMPORT_MAX_CPUS];
	static struct trace_info info;
	struct import_config c = { .kind = import_find(kind),
				   .step_ns = 1 + take(b, 1),
				   .cache_bytes = take(b, 1) * 64 };
	int fd = memfd_create("fuzz", MFD_CLOEXEC), err;
	FILE *f = fmemopen((void *)(uintptr_t)b->p, b->n ? b->n : 1, "r");
	struct diag d = { .status = ST_OK };
	struct import_run *im;

	must(fd >= 0 && f && import_create(&im, &c) == 0);
	err = b->n ? import_file(im, f, "f", &d) : -1;
	memset(&info, 0, sizeof(info));
	info.nr_nodes = 2;
	for (unsigned i = 0; i < 4; i++)
		info.latency_ns[i] = 300;
	must(!err || !b->n || d.text[0]);
	if (!err)
		err = import_write(im, fd, &info, nodes, &d);
	import_destroy(im);
	(void)fclose(f);
	if (err)
		(void)close(fd);
	else
		read_trace(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const kinds[] = { "perf", "damo", "lackey",
					     "ramulator", "csv" };
	struct bytes b = { data, size };
	unsigned what = (unsigned)take(&b, 1) % 10;
	int fd;

	if (what < 5) {
		import_input(kinds[what], &b);
		return 0;
	}
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	must(fd >= 0);
	if (what == 5)
		must(write(fd, b.p, b.n) == (ssize_t)b.n);
	else
		put_blocks(fd, &b);
	read_trace(fd);
	return 0;
}
