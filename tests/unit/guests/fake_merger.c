/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/guests/fake_merger.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/ipc/worker_messages.h"
#include "tests/unit/guests/fake_worker.h"
#include "tests/unit/worker/merge_host.h"

static struct machine machine;

static bool twins;

static uint32_t word_of(unsigned page)
{
	if (page < MERGER_EQUAL)
		return page + 1;
	return (uint32_t)getpid() * 1000u + (twins ? 0 : page);
}

static uint32_t *words(unsigned page)
{
	return (uint32_t *)(void *)(machine.vm.ram.hva +
				    (size_t)page * PAGE_BYTES);
}

static void fill(void)
{
	for (unsigned p = 0; p < MERGER_EQUAL + MERGER_OWN; p++)
		for (size_t i = 0; i < PAGE_BYTES / sizeof(uint32_t); i++)
			words(p)[i] = word_of(p);
}

static void verify(void)
{
	for (unsigned p = 0; p < MERGER_EQUAL + MERGER_OWN; p++)
		for (size_t i = 0; i < PAGE_BYTES / sizeof(uint32_t); i += 64)
			if (words(p)[i] != word_of(p))
				fake_worker_fail("its memory has changed");
}

static void answer(void *arg, uint64_t id, uint64_t pages, int err)
{
	const struct worker_event ev = {
		.kind = WORKER_MERGED,
		.id = id,
		.merged = { .pages = pages, .error = (uint32_t)-err }
	};

	(void)arg;
	atomic_fetch_add(&machine.vm.figures->cache.words[FIGURES_HIT_BLOCKS],
			 1);
	if (worker_event_send(WORKER_FD_CONTROL, &ev))
		_exit(99);
}

/* Another's pages, whatever it said it has. */
static void lie(uint64_t id, const int fds[FDS_MAX])
{
	static const char rubbish[PAGE_BYTES] = "rubbish";

	for (unsigned p = 0; p < MERGER_EQUAL; p++)
		if (pwrite(fds[0], rubbish, PAGE_BYTES,
			   (off_t)(p * PAGE_BYTES)) != PAGE_BYTES)
			_exit(98);
	fds_close(fds, FDS_MAX);
	answer(NULL, id, 0, 0);
}

static void attend(const struct worker_spec *spec)
{
	struct worker_request r;
	int fds[FDS_MAX];

	if (worker_request_receive(WORKER_FD_CONTROL, &r, fds))
		_exit(0); /* control is gone */
	if (r.kind == WORKER_REQ_GIVE && strcmp(spec->name, "dies") == 0)
		_exit(1);
	if (r.kind == WORKER_REQ_GIVE && strcmp(spec->name, "cheat") == 0)
		lie(r.id, fds);
	else if (r.kind >= WORKER_REQ_SUM && r.kind <= WORKER_REQ_SHARE)
		merge_obey(&machine.merge, &r, fds);
	else
		fake_worker_obey(&r);
}

void fake_merger(const struct worker_spec *spec, struct figures *f)
{
	struct pollfd p[2] = { { .fd = WORKER_FD_CONTROL, .events = POLLIN } };
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	struct vm *vm = &machine.vm;
	bool restless;

	vm->figures = f;
	if (ram_view_create(&vm->ram, WORKER_FD_RAM, spec->ram_bytes) ||
	    pmap_create(&vm->ram, pmap_budget(), &vm->pmap) || pagemap < 0 ||
	    merge_create(&machine.merge, vm, &machine.disks, pagemap, answer,
			 NULL))
		_exit(93);
	twins = strcmp(spec->name, "twins") == 0;
	restless = strcmp(spec->name, "restless") == 0;
	fill();
	p[1] = (struct pollfd){ .fd = machine.merge.timer.fd,
				.events = POLLIN };
	for (unsigned turn = 1;; turn++) {
		verify();
		if (restless && turn % 16 == 0)
			fill();
		merge_turned(&machine.merge);
		(void)poll(p, 2, 20);
		if (p[1].revents)
			merge_step(&machine.merge);
		if (p[0].revents)
			attend(spec);
	}
}
