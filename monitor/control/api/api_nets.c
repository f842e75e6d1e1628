/* SPDX-License-Identifier: BSD-2-Clause */
/* GET /v1/nets: the virtual networks and their ports. */
#include <microhttpd.h>
#include <string.h>

#include "monitor/control/api/api_handlers.h"

struct nets_list {
	json_t *nets, *ports; /* ports: of the last network */
	const char *net;      /* its name */
};

static json_t *port_json(const struct net_port *p)
{
	char mac[NET_TEXT_MAX], ip[NET_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:s}", "vm", p->station.name, "mac",
			 net_mac_text(p->station.mac, mac), "ip",
			 net_ip_text(p->station.ip, ip), "link",
			 p->vm ? "up" : "starting");
}

static void add_port(void *arg, const char *net, const struct net_plan *plan,
		     const struct net_port *p)
{
	struct nets_list *l = arg;
	char subnet[NET_TEXT_MAX];

	if (!l->net || strcmp(l->net, net) != 0) {
		l->net = net;
		l->ports = json_array();
		(void)json_array_append_new(
			l->nets,
			json_pack("{s:s, s:s, s:O}", "name", net, "subnet",
				  net_subnet_text(plan, subnet), "ports",
				  l->ports));
		json_decref(l->ports); /* the list has it */
	}
	(void)json_array_append_new(l->ports, port_json(p));
}

void api_net_list(struct api_call *c)
{
	struct nets_list l = { .nets = json_array() };

	nets_each(c->m->nets, add_port, &l);
	api_answer(c, MHD_HTTP_OK, json_pack("{s:o}", "nets", l.nets));
}
