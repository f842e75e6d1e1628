/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * follow [MIB [POLICY [MS]]] - in a lab of lab/run --flash: memory of a process
 * is on node 0, which reads it over and over on a CPU of node 2. The agent's part
 * of the placement (monitor/agent/placing/placing.h) runs here, on node 0, with
 * the lab's counters and the kernel's move_pages(2), and without a guest: pages
 * have to come to node 2.
 *
 * Prints the share of local misses of the reader, by time of the modelled
 * machine, until 19 of 20 are local, or for MS at most. Exit status: 0; 1 they
 * did not become local, or the memory has changed; 77 no window.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disco/agent_proto.h"
#include "disco/clock.h"
#include "disco/placement.h"
#include "monitor/agent/placing/placing.h"
#include "monitor/ipc/fds.h"
#include "numa/bind.h"
#include "numa/flash.h"
#include "numa/region.h"
#include "numa/topology.h"
#include "tests/lab/run_on_node.h"

#define HOME	 0
#define READER	 2
#define LINE	 64u
#define SLICE_MS 50u
/*
 * Of the reader, after each time that it has read all: the lab emulates it and
 * the agent at one pace, but its misses cost it nothing there. The machine that
 * is modelled takes 118 ms for 8 MiB of remote misses, the lab 3 ms.
 */
#define REST_MS 20
#define ENOUGH	95u /* percent */

static struct flash flash;
static struct flash_clock ticks;
static struct placing *placing;
static struct region_view figures;
static struct topology topology;
static volatile uint64_t *memory;
static uint64_t bytes = 8 << 20;

static void need(int status, const char *what)
{
	if (status >= 0)
		return;
	fprintf(stderr, "follow: %s: %s\n", what, strerror(-status));
	exit(1);
}

/* A word per line, each with its own value. */
static bool is_whole(void)
{
	bool whole = true;

	for (uint64_t i = 0; i < bytes / LINE; i++)
		whole &= memory[i * LINE / sizeof(*memory)] == i * 7;
	return whole;
}

static pid_t start_reader(void)
{
	pid_t pid;
	int fd = memfd_create(AGENT_RAM_NAME, MFD_CLOEXEC);

	need(ftruncate(fd, (off_t)bytes) ? -errno : 0, "ftruncate");
	(void)run_on_node(&flash, HOME);
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(memory == MAP_FAILED ? -errno : 0, "mmap");
	for (uint64_t i = 0; i < bytes / LINE; i++)
		memory[i * LINE / sizeof(*memory)] = i * 7;
	pid = fork();
	need(pid, "fork");
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)run_on_node(&flash, READER);
		while (is_whole())
			(void)poll(NULL, 0, REST_MS);
		_exit(1);
	}
	/* Pages that two processes map are not moved. */
	(void)munmap((void *)memory, bytes);
	(void)close(fd);
	return pid;
}

static void obey(const struct agent_request *r, int a, int b, int c)
{
	int fds[FDS_MAX];

	for (unsigned i = 0; i < FDS_MAX; i++)
		fds[i] = -1;
	fds[0] = a;
	fds[1] = b;
	fds[2] = c;
	placing_obey(placing, r, fds);
}

static int open_proc(pid_t pid, const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void tell_machine(void)
{
	struct agent_request r = { .kind = AGENT_MACHINE };
	struct diag d = { 0 };

	need(topology_create(&topology, &d), "topology");
	r.machine.nr_nodes = topology.nr_nodes;
	for (unsigned i = 0; i < topology.nr_nodes; i++) {
		r.machine.nodes[i] = topology.nodes[i].id;
		for (unsigned j = 0; j < topology.nr_nodes; j++)
			r.machine.distance[i][j] =
				(uint8_t)topology.distance[i][j];
	}
	obey(&r, flash_open_fd(), -1, -1);
}

static void tell_place(pid_t pid, const char *policy)
{
	struct agent_request r = { .kind = AGENT_PLACE };
	int rw, ro;

	r.place = (struct agent_req_place){ .vm = 1,
					    .ram_pages = bytes / PAGE_BYTES,
					    .bound_ns = 1000000000,
					    .pid = pid };
	(void)snprintf(r.place.policy, sizeof(r.place.policy), "%s", policy);
	need(region_prepare("placement", PLACEMENT_BYTES, HOME, &rw), "region");
	need(region_reader_fd(rw, &ro), "region");
	need(region_attach(&figures, ro, PLACEMENT_BYTES), "region");
	obey(&r, open_proc(pid, "pagemap"), open_proc(pid, "maps"), rw);
}

static uint64_t said(const _Atomic(uint64_t) *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

static void print_slice(unsigned percent, uint64_t wall_ns)
{
	const struct placement_figures *f = figures.base;
	uint64_t moves = said(&f->moves);

	printf("%5" PRIu64 " ms: %3u %% local, %" PRIu64 " records, %" PRIu64
	       " moved in %.1f us each, %" PRIu64 " failed, %" PRIu64
	       " lost, %" PRIu64 " dropped; wall %" PRIu64 " ms\n",
	       ticks.now_ns / 1000000, percent, said(&f->records), moves,
	       moves ? (double)said(&f->spent_ns) / 1e3 / (double)moves : 0,
	       said(&f->failed), said(&f->lost), said(&f->dropped),
	       wall_ns / 1000000);
	(void)fflush(stdout);
}

/* Percent of local misses of a CPU in a slice of time. */
static unsigned watch_slice(unsigned cpu)
{
	struct flash_counts before, after;
	struct flash_cost cost = FLASH_COST_DEFAULT;
	struct flash_time t = { 0 };
	uint64_t end = flash_clock_read(&flash, &ticks) + SLICE_MS * 1000000ull;
	uint64_t wall = clock_now_ns();

	flash_read_cpu(&flash, cpu, FLASH_NOW, &before);
	do {
		int ms = placing_wait_ms(placing);

		(void)poll(NULL, 0, ms < 10 ? ms : 10);
		placing_turn(placing);
	} while (flash_clock_read(&flash, &ticks) < end);
	flash_read_cpu(&flash, cpu, FLASH_NOW, &after);
	flash_subtract(&after, &before);
	flash_model_time(&flash, &after, READER, &cost, &t);
	wall = clock_now_ns() - wall;
	after.accesses = t.local + t.remote;
	print_slice(after.accesses ? (unsigned)(t.local * 100 / after.accesses)
				   : 0,
		    wall);
	return after.accesses ? (unsigned)(t.local * 100 / after.accesses) : 0;
}

int main(int argc, char *argv[])
{
	const char *policy = argc > 2 ? argv[2] : "balanced";
	uint64_t limit_ms = argc > 3 ? strtoull(argv[3], NULL, 10) : 5000;
	unsigned cpu, percent = 0;
	struct diag d = { 0 };
	pid_t reader;
	int status = 0;

	if (argc > 1)
		bytes = strtoull(argv[1], NULL, 10) << 20;
	if (flash_open(&flash, NULL, &d)) {
		fprintf(stderr, "follow: %s\n", d.text);
		return 77;
	}
	need(flash_map_nodes(&flash, &d), "flash_map_nodes");
	need(placing_create(&placing), "placing_create");
	cpu = run_on_node(&flash, READER);
	reader = start_reader();
	tell_machine();
	need(flash_reset(&flash), "flash_reset");
	flash_on(&flash, true);
	tell_place(reader, policy);
	while (percent < ENOUGH && ticks.now_ns / 1000000 < limit_ms)
		percent = watch_slice(cpu);
	flash_on(&flash, false);
	if (waitpid(reader, &status, WNOHANG))
		printf("the memory has changed\n");
	else
		(void)kill(reader, SIGKILL);
	placing_destroy(placing);
	return percent < ENOUGH || status;
}
