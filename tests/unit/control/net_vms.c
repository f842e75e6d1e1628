/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/control/net_vms.h"

#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/ipc/worker_messages.h"
#include "tests/unit/support.h"

bool net_vms_find_uplink(const char *self)
{
	char path[4096], *copy = strdup(self);

	/* build/VARIANT/tests/unit/control/test_X */
	(void)snprintf(path, sizeof(path), "%s/../../../disco-uplink",
		       copy ? dirname(copy) : ".");
	free(copy);
	if (access(path, X_OK) < 0)
		return false;
	(void)setenv("DISCO_UPLINK", path, 1);
	return true;
}

void net_vms_create(struct net_vms *v)
{
	memset(v, 0, sizeof(*v));
	assert_int_equal(loop_create(&v->watcher.loop), 0);
	assert_int_equal(nets_create(&v->nets), 0);
	for (unsigned i = 0; i < NET_VMS; i++) {
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair),
				 0);
		v->vms[i].watcher = &v->watcher;
		v->vms[i].worker = WORKER_NONE;
		v->vms[i].worker.control = pair[0];
		v->theirs[i] = pair[1];
		(void)snprintf(v->names[i], sizeof(v->names[i]), "vm-%u", i);
		v->configs[i].name = v->names[i];
		v->configs[i].nets[0].name = (char *)(uintptr_t) "lan";
		v->configs[i].nr_nets = 1;
	}
}

void net_vms_destroy(struct net_vms *v)
{
	nets_detach_all(v->nets);
	for (unsigned i = 0; i < NET_VMS; i++) {
		nets_release(v->ports[i].of);
		(void)close(v->vms[i].worker.control);
		(void)close(v->theirs[i]);
		vnet_port_destroy(v->port[i]);
	}
	nets_destroy(v->nets);
	loop_destroy(&v->watcher.loop);
	/* They end with their sockets, and have nobody else to wait for them. */
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void net_vms_open(struct net_vms *v, unsigned i)
{
	const struct net_port *p = v->ports[i].of[0];
	struct vnet_plan plan = { .bits = 24 };
	struct worker_net w;

	net_port_spec(p, &w);
	plan.routed = w.routed;
	memcpy(plan.server, w.server, 4);
	vnet_prefix6(w.net, plan.prefix6);
	assert_int_equal(vnet_port_create(dup(p->region), dup(p->wake_rx),
					  p->slot, p->gen, &p->station, &plan,
					  &v->port[i]),
			 0);
}

void net_vms_start(struct net_vms *v, unsigned i, bool open)
{
	if (nets_reserve(v->nets, &v->configs[i], v->ports[i].of, &v->d))
		fail_msg("%s", v->d.text);
	if (open)
		net_vms_open(v, i);
	nets_attach(v->ports[i].of, &v->vms[i]);
}

static void net_vms_obey(struct net_vms *v, unsigned i)
{
	struct worker_request r;
	int fds[FDS_MAX];

	while (worker_request_receive(v->theirs[i], &r, fds) == 0) {
		struct vnet_station s = { .mac = { 0 } };

		if (r.kind == WORKER_REQ_NET_PORT_END) {
			vnet_port_remove(v->port[i], r.net_port_end.slot,
					 r.net_port_end.gen);
			continue;
		}
		assert_int_equal(r.kind, WORKER_REQ_NET_PORT);
		memcpy(s.mac, r.net_port.mac, sizeof(s.mac));
		memcpy(s.ip, r.net_port.ip, sizeof(s.ip));
		assert_int_equal(vnet_port_add(v->port[i], r.net_port.slot,
					       r.net_port.gen, &s, fds[0],
					       fds[1]),
				 0);
		v->told[i]++;
	}
}

bool net_vms_run(struct net_vms *v, unsigned i, uint8_t *frame, size_t size,
		 uint32_t *len, struct vnet_hdr *hdr)
{
	struct vnet_port *port = v->port[i];
	struct pollfd p = { .fd = port->wake_fd, .events = POLLIN };
	struct vnet_frame f;

	assert_int_equal(loop_turn(&v->watcher.loop, 0), 0);
	net_vms_obey(v, i);
	if (!vnet_port_next(port, &f)) {
		if (vnet_port_sleep(port))
			(void)poll(&p, 1, 20);
		vnet_port_awake(port);
		return false;
	}
	*len = f.len;
	if (hdr)
		*hdr = f.hdr;
	memcpy(frame, f.bytes, f.len < size ? f.len : size);
	vnet_port_take(port, &f);
	vnet_port_settle(port);
	return true;
}

pid_t net_vms_child(void)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	int pid = 0;

	if (f) {
		if (fscanf(f, "%d", &pid) != 1) /* NOLINT: ours */
			pid = 0;
		(void)fclose(f);
	}
	return pid;
}

/* --- what control reports --- */

void net_vms_log(struct net_vms *v)
{
	v->log = memfd_create("log", MFD_CLOEXEC);
	assert_true(v->log >= 0);
	sink_create(&v->watcher.err, &v->watcher.loop, v->log);
}

void net_vms_log_end(struct net_vms *v)
{
	sink_destroy(&v->watcher.err);
	(void)close(v->log);
}

const char *net_vms_said(const struct net_vms *v)
{
	static char text[4096];
	ssize_t n = pread(v->log, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

void net_vms_fail(void (*run)(void), const uint64_t *died_ns)
{
	char *was = strdup(getenv("DISCO_UPLINK"));

	assert_non_null(was);
	(void)setenv("DISCO_UPLINK", "/bin/false", 1);
	(void)kill(net_vms_child(), SIGKILL);
	for (unsigned deaths = 0; deaths < 3; deaths++) {
		uint64_t last = *died_ns;

		WAIT_UNTIL((run(), *died_ns != last));
	}
	(void)setenv("DISCO_UPLINK", was, 1);
	free(was);
}
