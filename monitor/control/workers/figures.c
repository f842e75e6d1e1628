/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/figures.h"

#include <errno.h>
#include <unistd.h>

#include "monitor/control/workers/worker_file.h"
#include "numa/bind.h"

const char *figures_exit_name(enum figures_exit why)
{
	static const char *const names[FIGURES_NR_EXITS] = {
		[FIGURES_IO] = "io",
		[FIGURES_MMIO] = "mmio",
		[FIGURES_HLT] = "hlt",
		[FIGURES_INTR] = "intr",
		[FIGURES_SHUTDOWN] = "shutdown",
		[FIGURES_EVENT] = "system_event",
		[FIGURES_ERROR] = "error",
		[FIGURES_OTHER] = "other",
	};

	return names[why];
}

int figures_open(struct figures_view *f, pid_t pid, unsigned nr_vcpus)
{
	struct stat st;
	int fd, err;

	if (f->region.base)
		return 0;
	fd = worker_file_open(pid, WORKER_FD_FIGURES, &st);
	if (fd < 0)
		return fd;
	err = region_attach(&f->region, fd, FIGURES_BYTES);
	(void)close(fd);
	f->nr_vcpus = (unsigned)min_u64(nr_vcpus, VM_MAX_VCPUS);
	return err;
}

static uint64_t figures_word(const _Atomic(uint64_t) *at)
{
	return min_u64(atomic_load_explicit(at, memory_order_relaxed),
		       FIGURES_MAX);
}

void figures_look(struct figures_view *f)
{
	const struct figures *r = f->region.base;

	if (!r)
		return;
	/* Not before the worker came to it; or of another layout. */
	f->known = atomic_load_explicit(&r->magic, memory_order_relaxed) ==
		   FIGURES_MAGIC;
	for (unsigned i = 0; i < f->nr_vcpus; i++)
		for (unsigned k = 0; k < FIGURES_NR_EXITS; k++)
			f->last.exits[i][k] =
				figures_word(&r->vcpus[i].exits[k]);
	f->last.io_wakeups = figures_word(&r->io.wakeups);
	f->last.io_events = figures_word(&r->io.events);
	f->last.freed_pages = figures_word(&r->io.freed_pages);
	f->last.ports = figures_word(&r->io.ports);
	for (unsigned i = 0; i < FIGURES_NR_CACHE; i++)
		f->last.cache[i] = figures_word(&r->cache.words[i]);
	for (unsigned i = 0; i < VM_MAX_NETS; i++) {
		const _Atomic(uint64_t) *words = r->nets[i].words;

		for (unsigned k = 0; k < FIGURES_NET_CLAIMS; k++)
			f->last.nets[i][k] = figures_word(&words[k]);
		for (unsigned k = 0; k < VNET_CLAIM_WORDS; k++)
			f->last.claims[i][k] = atomic_load_explicit(
				&words[FIGURES_NET_CLAIMS + k],
				memory_order_relaxed);
	}
	for (unsigned i = 0; i < FIGURES_NR_HINTS; i++)
		f->last.hints[i] = figures_word(&r->hints.words[i]);
	for (unsigned i = 0; i < FIGURES_NR_SAMPLES; i++)
		f->last.samples[i] = figures_word(&r->samples.words[i]);
	for (unsigned i = 0; i < FIGURES_NR_HUGE; i++)
		f->last.huge[i] = figures_word(&r->huge.words[i]);
}

enum figures_stand figures_stand_now(const struct figures_view *f)
{
	const struct figures *r = f->region.base;
	uint64_t stand = FIGURES_RUNS;

	if (r && atomic_load_explicit(&r->magic, memory_order_relaxed) ==
			 FIGURES_MAGIC)
		stand = atomic_load_explicit(&r->io.stand,
					     memory_order_relaxed);
	if (stand == FIGURES_HALTED)
		return FIGURES_HALTED;
	return stand == FIGURES_PANICKED ? FIGURES_PANICKED : FIGURES_RUNS;
}

bool figures_pair(const struct figures_view *f, unsigned net, unsigned i,
		  uint64_t *who, uint64_t counts[VNET_PAIR_WORDS])
{
	const struct figures *r = f->region.base;

	if (!r || net >= VM_MAX_NETS || i >= VNET_PAIRS ||
	    atomic_load_explicit(&r->magic, memory_order_relaxed) !=
		    FIGURES_MAGIC ||
	    !vnet_pair_read(&r->pairs[net][i], who, counts))
		return false;
	for (unsigned k = 0; k < VNET_PAIR_WORDS; k++)
		counts[k] = min_u64(counts[k], FIGURES_MAX);
	return true;
}

uint64_t figures_ports_now(const struct figures_view *f)
{
	const struct figures *r = f->region.base;

	if (!r)
		return f->last.ports;
	if (atomic_load_explicit(&r->magic, memory_order_relaxed) !=
	    FIGURES_MAGIC)
		return 0;
	return figures_word(&r->io.ports);
}

pid_t figures_vcpu_thread(const struct figures_view *f, unsigned i)
{
	const struct figures *r = f->region.base;
	uint64_t thread = 0;

	if (r && i < f->nr_vcpus &&
	    atomic_load_explicit(&r->magic, memory_order_relaxed) ==
		    FIGURES_MAGIC)
		thread = figures_word(&r->vcpus[i].thread);
	return thread <= INT32_MAX ? (pid_t)thread : 0;
}

void figures_leave(struct figures_view *f, nodeid_t node)
{
	void *base = (void *)(uintptr_t)f->region.base;

	/* What is there already is pulled; so refused is no loss. */
	if (base)
		(void)!node_bind_memory(base, f->region.bytes, node, false);
	figures_close(f);
}

void figures_close(struct figures_view *f)
{
	figures_look(f);
	region_detach(&f->region);
}
