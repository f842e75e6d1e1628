/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco-agent: one a node, on its CPUs and in its memory; pulls pages there,
 * and keeps the node's buffer cache. Started by the monitor, and ended by the
 * end of its socket. Never started by hand.
 *
 * It has no capability and few system calls. It is in no Landlock domain:
 * one may not look at, so not move, the memory of processes outside.
 */
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "disco/agent_proto.h"
#include "memory/placement/plugin.h"
#include "monitor/agent/serve.h"
#include "monitor/sandbox/sandbox.h"

/*
 * Before the sandbox, in which no memory becomes executable. Control has loaded
 * it before, to see whether it can be: what cannot is not there.
 */
static const struct policy *load_plugin(void)
{
	static struct policy_plugin plugin;
	struct diag d = { .status = ST_OK };

	(void)!policy_plugin_load(&plugin, AGENT_FD_PLUGIN, "plug-in", &d);
	(void)close(AGENT_FD_PLUGIN);
	return plugin.policy;
}

int main(void)
{
	struct agent_server *a;

	/* The image came from a memfd, and would be named after it. */
	(void)prctl(PR_SET_NAME, "disco-agent", 0, 0, 0);
	if (agent_create(AGENT_FD_CONTROL, &a) < 0)
		return EXIT_FAILURE;
	agent_set_plugin(a, load_plugin());
	if (sandbox_enter(SANDBOX_AGENT) < 0 || agent_serve(a) < 0)
		return EXIT_FAILURE;
	_exit(EXIT_SUCCESS);
}
