/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/api/api.h"
#include "monitor/control/api/api_handlers.h"

static const struct api_route routes[] = {
	{ "GET", "/v1/vms", api_vm_list, NULL, false },
	{ "POST", "/v1/vms", api_vm_create, NULL, true },
	{ "GET", "/v1/vms/{name}", api_vm_show, NULL, false },
	{ "POST", "/v1/vms/{name}/stop", api_vm_stop_begin, api_vm_end_poll,
	  false },
	{ "POST", "/v1/vms/{name}/kill", api_vm_kill_begin, api_vm_end_poll,
	  false },
	{ "POST", "/v1/vms/{name}/restart", api_vm_restart_begin,
	  api_vm_restart_poll, false },
	{ "POST", "/v1/vms/{name}/pause", api_vm_pause_begin, api_vm_pause_poll,
	  false },
	{ "POST", "/v1/vms/{name}/resume", api_vm_resume_begin,
	  api_vm_resume_poll, false },
	{ "POST", "/v1/vms/{name}/move", api_vm_move_begin, api_vm_move_poll,
	  true },
	{ "GET", "/v1/vms/{name}/policy", api_policy_show, NULL, false },
	{ "POST", "/v1/vms/{name}/policy", api_policy_change, NULL, false },
	{ "POST", "/v1/vms/{name}/trace", api_trace, NULL, false },
	{ "GET", "/v1/vms/{name}/console", api_vm_console, NULL, false },
	{ "GET", "/v1/vms/{name}/dump", api_vm_dump, NULL, false },
	{ "GET", "/v1/vms/{name}/agent", api_vm_agent, NULL, false },
	{ "POST", "/v1/vms/{name}/agent", api_vm_agent_ask, NULL, true },
	{ "GET", "/v1/stats", stats_begin, stats_poll, false },
	{ "GET", "/v1/nets", api_net_list, NULL, false },
	{ "GET", "/v1/shms", api_shm_list, NULL, false },
	{ "POST", "/v1/shms/{name}/replicate", api_shm_replicate, NULL, false },
	{ "POST", "/v1/shms/{name}/collapse", api_shm_collapse, NULL, false },
	{ "GET", "/v1/topology", topology_show, NULL, false },
	{ "GET", "/metrics", stats_begin, metrics_poll, false },
	{ .method = NULL },
};

const struct api_route *api_routes(void)
{
	return routes;
}
