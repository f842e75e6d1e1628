/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/placement/model_machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/support.h"

#include "lab/flash.c"

#define WINDOW_BYTES MIB(64)

/* --- QEMU ----------------------------------------------------------------- */

static uint64_t executed[FLASH_MAX_CPUS];
static plugin_tb_fn *translated;
static plugin_mem_fn *accessed;

struct qemu_plugin_hwaddr {
	uint64_t at;
};
static struct qemu_plugin_hwaddr hwaddr;

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, plugin_tb_fn *fn)
{
	(void)id;
	translated = fn;
}

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb)
{
	(void)tb;
	return 1;
}

struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i)
{
	(void)tb;
	(void)i;
	return NULL;
}

void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      plugin_mem_fn *fn, int flags, int rw,
				      void *arg)
{
	(void)insn;
	(void)flags;
	(void)rw;
	(void)arg;
	accessed = fn;
}

void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
	struct qemu_plugin_tb *tb, int op, struct plugin_u64 entry, uint64_t n)
{
	(void)tb;
	(void)op;
	(void)entry;
	(void)n;
}

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t bytes)
{
	(void)bytes;
	return (void *)executed;
}

uint64_t qemu_plugin_u64_get(struct plugin_u64 entry, unsigned cpu)
{
	(void)entry;
	return executed[cpu];
}

struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr)
{
	(void)info;
	hwaddr.at = vaddr;
	return &hwaddr;
}

bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *addr)
{
	(void)addr;
	return false;
}

uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *addr)
{
	return addr->at;
}

bool qemu_plugin_mem_is_store(uint32_t info)
{
	return info;
}

/* --- the machine ---------------------------------------------------------- */

static char path[] = "/tmp/test_model.XXXXXX";
struct flash model_window;

static void write_map(void)
{
	struct flash_control *c = model.control;

	memset(c->node_of_cpu, UINT8_MAX, sizeof(c->node_of_cpu));
	memset(c->number_of_cpu, UINT8_MAX, sizeof(c->number_of_cpu));
	for (unsigned n = 0; n < MODEL_NODES; n++) {
		c->node_of_cpu[n] = c->number_of_cpu[n] = (uint8_t)n;
		for (unsigned m = 0; m < MODEL_NODES; m++)
			c->distance[n][m] = n == m ? 10 : 30;
		c->ranges[n] = (struct flash_range){
			.first = n * MODEL_FRAMES,
			.end = (n + 1) * MODEL_FRAMES,
			.node = n,
		};
	}
	c->nr_ranges = MODEL_NODES;
	c->map_version++;
	c->on = 1;
}

void model_create(unsigned trigger)
{
	char window[64], hot[32];
	const char *args[] = { window, hot, "nodes=4", "cpus=4" };
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, WINDOW_BYTES), 0);
	(void)close(fd);
	(void)snprintf(window, sizeof(window), "window=%s", path);
	(void)snprintf(hot, sizeof(hot), "trigger=%u", trigger);
	assert_int_equal(
		qemu_plugin_install(1, NULL, 4, (char **)(uintptr_t)args), 0);
	translated(1, NULL);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(flash_attach(&model_window, fd), 0);
	(void)close(fd);
	write_map();
}

void model_destroy(void)
{
	flash_close(&model_window);
	(void)unlink(path);
}

void model_reset(void)
{
	model.control->generation++;
	for (unsigned cpu = 0; cpu < MODEL_NODES; cpu++)
		model_access(cpu, 0, false);
}

void model_access(unsigned cpu, uint64_t at, bool store)
{
	accessed(cpu, store, at, NULL);
}

void model_execute(unsigned cpu, uint64_t instructions)
{
	executed[cpu] += instructions;
}
