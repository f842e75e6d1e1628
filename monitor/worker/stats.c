/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/worker/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/worker/text.h"
#include "monitor/worker/vm/cpu_time.h"
#include "numa/bind.h"

#define PRIVATE_NS 10000000000ull /* how old that figure may be */

static int smaps_fd = -1; /* [I after stats_init()] */

int stats_init(void)
{
	smaps_fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	return smaps_fd < 0 ? -errno : 0;
}

/* One line of smaps: which mapping, or how many private KiB it has. */
struct smaps_sum {
	const struct ram_view *ram;
	bool in_ram;
	uint64_t private_bytes;
};

static bool stats_inside(const uint8_t *hva, uint64_t bytes, uint64_t start,
			 uint64_t end)
{
	return start >= (uintptr_t)hva && end <= (uintptr_t)hva + bytes;
}

/* RAM, or a window above it. */
static bool is_guests(const struct ram_view *ram, uint64_t start, uint64_t end)
{
	bool is = stats_inside(ram->hva, ram->bytes, start, end);

	for (unsigned i = 0; i < ram->nr_windows && !is; i++)
		is = stats_inside(ram->windows[i]->hva, ram->windows[i]->bytes,
				  start, end);
	return is;
}

static void smaps_line(struct smaps_sum *s, const char *line)
{
	uint64_t start, end, kib;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2) {
		s->in_ram = is_guests(s->ram, start, end);
		return;
	}
	if (s->in_ram)
		return;
	if (sscanf(line, "Private_Clean: %" SCNu64, &kib) == 1 ||
	    sscanf(line, "Private_Dirty: %" SCNu64, &kib) == 1)
		s->private_bytes += kib * 1024;
}

/* Memory of the worker that is its alone and not the guest's. */
static uint64_t count_private(const struct vm *vm)
{
	struct smaps_sum s = { .ram = &vm->ram };
	char buf[4096 + 1], *line, *nl;
	size_t have = 0;
	ssize_t n;

	if (lseek(smaps_fd, 0, SEEK_SET) < 0)
		return 0;
	while ((n = read(smaps_fd, buf + have, sizeof(buf) - 1 - have)) > 0) {
		have += (size_t)n;
		buf[have] = '\0';
		for (line = buf; (nl = strchr(line, '\n')); line = nl + 1) {
			*nl = '\0';
			smaps_line(&s, line);
		}
		have = strlen(line);
		if (have == sizeof(buf) - 1)
			have = 0; /* a line that long is a path: not needed */
		memmove(buf, line, have);
	}
	return s.private_bytes;
}

/*
 * The kernel walks every mapping for it, and overlays make many: not again for
 * each of those who ask all the time.
 */
static uint64_t stats_private_bytes(const struct vm *vm)
{
	static uint64_t bytes, until_ns;
	uint64_t now = clock_now_ns();

	if (now >= until_ns) {
		bytes = count_private(vm);
		until_ns = now + PRIVATE_NS;
	}
	return bytes;
}

void stats_fill(struct vm *vm, struct worker_usage *u)
{
	nodeid_t node = vm->node == NODE_AUTO ? 0 : vm->node;

	u->cpu_ns = cpu_time_ns();
	u->first_run_cpu_ns = atomic_load_explicit(&vm->first_run_cpu_ns,
						   memory_order_relaxed);
	u->exits = vm_exits(vm);
	if (node_pages_local(vm->ram.hva, vm->ram.bytes, node, &u->ram_pages,
			     &u->ram_pages_local) < 0)
		u->ram_pages = u->ram_pages_local = 0;
	u->private_bytes = stats_private_bytes(vm);
	text_pages(node, &u->text_pages, &u->text_pages_local);
}
