/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/agent/placing_rig.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/flash.h"
#include "memory/trace/trace_ring.h"
#include "monitor/ipc/fds.h"
#include "numa/region.h"
#include "tests/unit/support.h"

struct placing *placing;
static struct region_view figures;
static char *window;
char *ram;
uint64_t frames[PAGES];

bool find_frames(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t at = (uint64_t)(uintptr_t)ram / PAGE_BYTES + i;

		ram[i * PAGE_BYTES] = 1;
		assert_int_equal(pread(fd, &frames[i], 8, (off_t)(at * 8)), 8);
		frames[i] &= (1ull << 55) - 1;
	}
	(void)close(fd);
	return frames[0] != 0;
}

int make_window(void)
{
	uint64_t pages = 0, bytes;
	struct flash_control *c;
	struct flash_head *h;
	int fd = memfd_create("window", MFD_CLOEXEC);

	for (unsigned i = 0; i < PAGES; i++)
		pages = max_u64(pages, frames[i] + 1);
	bytes = FLASH_PAGES_OFFSET + pages * NODES * FLASH_NR_RW * 4;
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	window = mmap(NULL, FLASH_PAGES_OFFSET, PROT_READ | PROT_WRITE,
		      MAP_SHARED, fd, 0);
	h = (void *)window;
	*h = (struct flash_head){ .magic = FLASH_MAGIC,
				  .version = FLASH_VERSION,
				  .nr_cpus = NODES,
				  .nr_nodes = NODES,
				  .page_shift = 12,
				  .bytes = bytes,
				  .nr_pages = pages,
				  .trigger = 128,
				  .cores = 1 };
	c = (void *)(window + FLASH_CONTROL_OFFSET);
	c->on = 1;
	c->nr_ranges = 1;
	c->ranges[0] = (struct flash_range){ .end = pages };
	return fd;
}

void hot(unsigned node, uint64_t frame)
{
	struct flash_queue *q = (void *)(window + FLASH_QUEUES_OFFSET);
	struct flash_hot *h = &q[node].hots[q[node].head % FLASH_QUEUE_HOTS];

	h->frame = frame;
	h->stamp = ++q[node].head;
}

uint32_t vcpu_node; /* of AGENT_PLACE */

int worker_figures = -1; /* for AGENT_PLACE; of the worker */

void obey(const struct agent_request *r, int a, int b, int c)
{
	int fds[FDS_MAX];

	for (unsigned i = 0; i < FDS_MAX; i++)
		fds[i] = -1;
	fds[0] = a;
	fds[1] = b;
	fds[2] = c;
	if (r->kind == AGENT_PLACE && worker_figures >= 0)
		fds[3] = dup(worker_figures);
	placing_obey(placing, r, fds);
}

void tell_machine(int fd)
{
	struct agent_request r = { .kind = AGENT_MACHINE };

	r.machine = (struct agent_req_machine){ .nr_nodes = NODES,
						.nodes = { 0, 1 },
						.distance = { { 10, 20 },
							      { 20, 10 } } };
	obey(&r, fd, -1, -1);
}

void tell_place(const char *policy)
{
	struct agent_request r = { .kind = AGENT_PLACE };
	int rw, ro;

	r.place = (struct agent_req_place){ .vm = 5,
					    .ram_pages = PAGES,
					    .bound_ns = 20000000,
					    .pid = getpid(),
					    .vcpu_node = vcpu_node };
	(void)strcpy(r.place.policy, policy);
	assert_int_equal(
		region_prepare("placement", PLACEMENT_BYTES, NODE_AUTO, &rw),
		0);
	assert_int_equal(region_reader_fd(rw, &ro), 0);
	region_detach(&figures);
	assert_int_equal(region_attach(&figures, ro, PLACEMENT_BYTES), 0);
	(void)close(ro);
	obey(&r, open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC),
	     open("/proc/self/maps", O_RDONLY | O_CLOEXEC), rw);
}

const struct placement_figures *said(void)
{
	return figures.base;
}

void pass_ms(uint64_t ms)
{
	struct flash_cpu *cpus = (void *)(window + FLASH_CPUS_OFFSET);

	cpus[0].instructions += ms * 200000;
}

void turn(void)
{
	placing_turn(placing);
	assert_true(placing_wait_ms(placing) != 0);
	pass_ms(19);
	assert_true(placing_wait_ms(placing) > 0);
	pass_ms(1);
	assert_int_equal(placing_wait_ms(placing), 0);
	placing_turn(placing);
}

void turn_until(uint64_t records)
{
	uint64_t end = wait_end_ns();

	while (atomic_load(&said()->records) < records) {
		if (clock_now_ns() >= end)
			fail_msg("%llu records, not %llu",
				 (unsigned long long)said()->records,
				 (unsigned long long)records);
		turn();
	}
}

void begin_recording(struct region_view *ring)
{
	struct agent_request r = { .kind = AGENT_TRACE, .trace.vm = 5 };
	int rw, ro;

	assert_int_equal(region_prepare_pair("ring", TRACE_RING_BYTES,
					     NODE_AUTO, &rw, &ro),
			 0);
	assert_int_equal(region_attach(ring, ro, TRACE_RING_BYTES), 0);
	(void)close(ro);
	obey(&r, rw, -1, -1);
}

void end_placing(void)
{
	placing_destroy(placing);
	placing = NULL;
	region_detach(&figures);
}
