/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/api.h"
#include "monitor/control/api_handlers.h"

static const struct api_route routes[] = {
	{ "GET", "/v1/vms", vm_list, NULL },
	{ "POST", "/v1/vms", vm_create, NULL },
	{ "GET", "/v1/vms/{name}", vm_show, NULL },
	{ "POST", "/v1/vms/{name}/stop", vm_stop_begin, vm_end_poll },
	{ "POST", "/v1/vms/{name}/kill", vm_kill_begin, vm_end_poll },
	{ "POST", "/v1/vms/{name}/pause", vm_pause_begin, vm_pause_poll },
	{ "POST", "/v1/vms/{name}/resume", vm_resume_begin, vm_resume_poll },
	{ "POST", "/v1/vms/{name}/move", vm_move_begin, vm_move_poll },
	{ "GET", "/v1/vms/{name}/console", vm_console, NULL },
	{ "GET", "/v1/stats", stats_begin, stats_poll },
	{ "GET", "/v1/topology", topology_show, NULL },
	{ "GET", "/metrics", stats_begin, metrics_poll },
	{ NULL, NULL, NULL, NULL },
};

const struct api_route *api_routes(void)
{
	return routes;
}
