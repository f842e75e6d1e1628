/* SPDX-License-Identifier: BSD-2-Clause */
/* GET and POST /v1/vms/{name}/agent: commands for the guest agent of a VM. */
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/api/api_handlers.h"
#include "monitor/control/exec/ga.h"
#include "monitor/control/exec/ga_session.h"

void api_vm_agent(struct api_call *c)
{
	if (api_running_guest(c))
		api_upgrade(c, API_AGENT);
}

static void api_agent_fail(struct api_call *c, const struct diag *d)
{
	unsigned http = d->status == ST_NO_AGENT ? MHD_HTTP_GATEWAY_TIMEOUT
						 : MHD_HTTP_CONFLICT;

	api_fail(c, http, d->status, "%s", d->text);
}

static void api_agent_answered(void *arg, const struct ga_result *r)
{
	struct api_call *c = arg;

	c->ga = NULL;
	if (r->line)
		api_answer(c, MHD_HTTP_OK, json_incref(r->reply));
	else
		api_agent_fail(c, &r->diag);
}

void api_vm_agent_ask(struct api_call *c)
{
	struct guest *g = api_running_guest(c);
	struct diag d = { .status = ST_OK };
	const char *why = NULL;
	json_t *request = NULL;

	if (!g)
		return;
	if (ga_request_check(c->body ? c->body : "", c->body_len, &request,
			     &why))
		api_fail(c, MHD_HTTP_BAD_REQUEST, ST_CONFIG, "request: %s",
			 why);
	else if (ga_submit(g, request, 0, api_agent_answered, c, &c->ga, &d))
		api_agent_fail(c, &d);
	json_decref(request);
}
