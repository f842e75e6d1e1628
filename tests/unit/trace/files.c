/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/trace/files.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "tests/unit/support.h"

int file_make(void)
{
	int fd = memfd_create("trace", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

struct trace_info *info_make(void)
{
	struct trace_info *i = calloc(1, sizeof(*i));

	assert_non_null(i);
	i->nr_nodes = 2;
	i->nr_vms = 1;
	(void)snprintf(i->origin, sizeof(i->origin), "test");
	(void)snprintf(i->vms[0].name, sizeof(i->vms[0].name), "a");
	i->vms[0].pages = 100;
	for (unsigned n = 0; n < 4; n++) {
		bool here = n == 0 || n == 3;

		i->distance[n] = here ? 10 : 30;
		i->latency_ns[n] = here ? 300 : 900;
		i->move_ns[n] = here ? 0 : 10000;
	}
	return i;
}

struct access_record access_of(uint64_t ms, uint64_t page, uint8_t node)
{
	return (struct access_record){ .time_ns = ms * 1000000,
				       .page = page,
				       .weight = 1,
				       .vcpu = node,
				       .node = node,
				       .home = ACCESS_NO_NODE };
}

int synth_file(const char *text)
{
	struct diag d = { .status = ST_OK };
	int fd = file_make();
	struct synth s;

	assert_int_equal(synth_parse(text, &s, &d), 0);
	assert_int_equal(synth_write(&s, fd), 0);
	return fd;
}

void machine_of(const struct trace_info *i, struct sim_machine *m)
{
	m->nr_nodes = i->nr_nodes;
	m->collapse_ns = 5000;
	memcpy(m->latency_ns, i->latency_ns, sizeof(m->latency_ns));
	memcpy(m->move_ns, i->move_ns, sizeof(m->move_ns));
}
