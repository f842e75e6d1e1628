/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtual networks: GET /v1/nets, what their ports count, in all and for each
 * other port, and /v1/vms/{name}/dump.
 *
 * Of pairs of ports, those are shown that have a row in the worker's figures
 * (vnet/pairs.h): they exchange frames now, or did so lately. So there are at most
 * VNET_PAIRS for each port, however many ports there are; what any two ports have
 * exchanged is kept by their workers, and in the totals of each port.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/control/api/api_handlers.h"
#include "monitor/control/api/mhd.h"
#include "monitor/ipc/fds.h"
#include "monitor/ipc/figures.h"
#include "vnet/port.h"

#define DUMP_ROOM (4 << 20) /* bytes of frames that wait for the client */

/* What struct vnet_stats counts: names in JSON, and of metrics. */
#define COUNT(member) (offsetof(struct vnet_stats, member) / sizeof(uint64_t))

static const struct net_count {
	unsigned word;
	const char *name;
	const char *metric, *labels;
} net_counts[] = {
	{ COUNT(sent), "sent_frames", "frames", "way=\"sent\"" },
	{ COUNT(received), "received_frames", "frames", "way=\"received\"" },
	{ COUNT(sent_bytes), "sent_bytes", "bytes", "way=\"sent\"" },
	{ COUNT(received_bytes), "received_bytes", "bytes",
	  "way=\"received\"" },
	{ COUNT(refused), "dropped_refused", "dropped",
	  "way=\"sent\",reason=\"refused\"" },
	{ COUNT(unknown), "dropped_unknown", "dropped",
	  "way=\"sent\",reason=\"unknown\"" },
	{ COUNT(full), "dropped_full", "dropped",
	  "way=\"sent\",reason=\"full\"" },
	{ COUNT(lost), "dropped_lost", "dropped",
	  "way=\"received\",reason=\"lost\"" },
	{ COUNT(bad), "dropped_bad", "dropped",
	  "way=\"received\",reason=\"bad\"" },
	{ COUNT(answered), "answered_frames", "answered", "way=\"sent\"" },
};

static const struct net_count pair_counts[] = {
	{ VNET_PAIR_SENT, "sent_frames", "pair_frames", "way=\"sent\"" },
	{ VNET_PAIR_RECEIVED, "received_frames", "pair_frames",
	  "way=\"received\"" },
	{ VNET_PAIR_SENT_BYTES, "sent_bytes", "pair_bytes", "way=\"sent\"" },
	{ VNET_PAIR_RECEIVED_BYTES, "received_bytes", "pair_bytes",
	  "way=\"received\"" },
	{ VNET_PAIR_FULL, "dropped_full", "pair_dropped",
	  "way=\"sent\",reason=\"full\"" },
	{ VNET_PAIR_LOST, "dropped_lost", "pair_dropped",
	  "way=\"received\",reason=\"lost\"" },
	{ VNET_PAIR_BAD, "dropped_bad", "pair_dropped",
	  "way=\"received\",reason=\"bad\"" },
};

_Static_assert(ARRAY_SIZE(pair_counts) == VNET_PAIR_WORDS, "all are shown");

static const struct {
	const char *metric, *help;
} net_families[] = {
	{ "frames", "Frames of a VM in a network; a broadcast counts once." },
	{ "bytes", "Bytes of these frames." },
	{ "dropped", "Frames that were dropped, by reason." },
	{ "answered", "Questions that the network has answered itself." },
};

static const struct {
	const char *metric, *help;
} pair_families[] = {
	{ "pair_frames", "Frames between a VM and another port, of pairs that "
			 "exchanged some lately." },
	{ "pair_bytes", "Bytes of these frames." },
	{ "pair_dropped", "Of these pairs: frames that were dropped, by "
			  "reason." },
};

/*
 * Row @i of a VM's network. Return: the other port's name; NULL: it is nobody's, or
 * of a port that has ended.
 */
static const char *pair_row(const struct guest *g, unsigned net, unsigned i,
			    uint64_t counts[VNET_PAIR_WORDS])
{
	uint64_t who;

	if (!figures_pair(&g->figures, net, i, &who, counts))
		return NULL;
	return net_port_peer_name(g->ports.of[net], (uint32_t)who,
				  (uint32_t)(who >> 32));
}

static json_t *pairs_json(const struct guest *g, unsigned net)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < VNET_PAIRS; i++) {
		uint64_t counts[VNET_PAIR_WORDS];
		const char *peer = pair_row(g, net, i, counts);
		json_t *one;

		if (!peer)
			continue;
		one = json_pack("{s:s}", "peer", peer);
		for (size_t k = 0; k < ARRAY_SIZE(pair_counts); k++)
			(void)json_object_set_new(
				one, pair_counts[k].name,
				json_integer(
					(json_int_t)
						counts[pair_counts[k].word]));
		(void)json_array_append_new(list, one);
	}
	return list;
}

/* Add the counts of a VM's network to @one. */
static json_t *counts_json(const struct guest *g, unsigned net, json_t *one)
{
	for (size_t i = 0; i < ARRAY_SIZE(net_counts); i++) {
		const struct net_count *c = &net_counts[i];
		uint64_t n = g->figures.last.nets[net][c->word];

		(void)json_object_set_new(one, c->name,
					  json_integer((json_int_t)n));
	}
	(void)json_object_set_new(one, "pairs", pairs_json(g, net));
	return one;
}

json_t *nets_json(struct guest *g, json_t *stats)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < g->record.nr_nets; i++)
		(void)json_array_append_new(
			list, counts_json(g, i,
					  json_pack("{s:s}", "name",
						    g->record.nets[i].net)));
	(void)json_object_set_new(stats, "nets", list);
	return stats;
}

static void metric_of_guest(const struct guest *g, const char *metric,
			    FILE *out)
{
	for (unsigned i = 0; i < g->record.nr_nets; i++)
		for (size_t k = 0; k < ARRAY_SIZE(net_counts); k++) {
			const struct net_count *c = &net_counts[k];

			if (strcmp(c->metric, metric) == 0)
				(void)fprintf(out,
					      "disco_vm_net_%s_total{vm=\"%s\","
					      "net=\"%s\",%s} %" PRIu64 "\n",
					      metric, g->record.name,
					      g->record.nets[i].net, c->labels,
					      g->figures.last.nets[i][c->word]);
		}
}

/* A row: counts that are 0 are left out. */
static void metric_of_pair(const struct guest *g, unsigned net, unsigned i,
			   const char *metric, FILE *out)
{
	uint64_t counts[VNET_PAIR_WORDS];
	const char *peer = pair_row(g, net, i, counts);

	for (size_t k = 0; peer && k < ARRAY_SIZE(pair_counts); k++) {
		const struct net_count *c = &pair_counts[k];

		if (counts[c->word] && strcmp(c->metric, metric) == 0)
			(void)fprintf(
				out,
				"disco_vm_net_%s_total{vm=\"%s\","
				"net=\"%s\",peer=\"%s\",%s} %" PRIu64 "\n",
				metric, g->record.name, g->record.nets[net].net,
				peer, c->labels, counts[c->word]);
	}
}

static void metric_head(const char *metric, const char *help, FILE *out)
{
	(void)fprintf(out,
		      "# HELP disco_vm_net_%s_total %s\n"
		      "# TYPE disco_vm_net_%s_total counter\n",
		      metric, help, metric);
}

static void pairs_metrics(const struct monitor *m, FILE *out)
{
	for (size_t f = 0; f < ARRAY_SIZE(pair_families); f++) {
		const char *metric = pair_families[f].metric;

		metric_head(metric, pair_families[f].help, out);
		for (const struct guest *g = m->guests; g; g = g->next)
			for (unsigned net = 0;
			     !g->ended && net < g->record.nr_nets; net++)
				for (unsigned i = 0; i < VNET_PAIRS; i++)
					metric_of_pair(g, net, i, metric, out);
	}
}

void nets_metrics(const struct monitor *m, FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(net_families); i++) {
		const char *metric = net_families[i].metric;

		metric_head(metric, net_families[i].help, out);
		for (const struct guest *g = m->guests; g; g = g->next)
			if (!g->ended && g->figures.known)
				metric_of_guest(g, metric, out);
	}
	pairs_metrics(m, out);
}

/* --- GET /v1/nets --- */

struct nets_list {
	const struct monitor *m;
	json_t *nets, *ports; /* ports: of the last network */
	const char *net;      /* its name */
};

static void add_ip6(json_t *list, const uint8_t ip[VNET_IP6_BYTES], bool chosen)
{
	char text[INET6_ADDRSTRLEN];

	(void)inet_ntop(AF_INET6, ip, text, sizeof(text));
	(void)json_array_append_new(list, json_pack("{s:s, s:b}", "address",
						    text, "chosen", chosen));
}

/*
 * IPv6 addresses that a port holds: those of the plan, and those that its worker says
 * that its station has claimed (vnet/claims.h).
 */
static json_t *ip6_json(const struct guest *g, const char *net,
			const struct net_port *p)
{
	const uint64_t *words = g->figures.last.claims[p->index];
	uint8_t prefix[VNET_PREFIX6], ip[VNET_IP6_BYTES];
	json_t *list = json_array();

	vnet_prefix6(net, prefix);
	vnet_ip6(prefix, p->station.mac, ip);
	add_ip6(list, ip, false);
	vnet_ip6(NULL, p->station.mac, ip);
	add_ip6(list, ip, false);
	for (unsigned i = 0; i < VNET_CLAIMS; i++) {
		if (!words[i])
			continue;
		vnet_ip6(i < VNET_CLAIMS_LINK ? NULL : prefix, p->station.mac,
			 ip);
		vnet_ip6_set_half(ip, words[i]);
		add_ip6(list, ip, true);
	}
	return list;
}

static json_t *port_json(const struct monitor *m, const char *net,
			 const struct net_port *p)
{
	char mac[NET_TEXT_MAX], ip[NET_TEXT_MAX];
	struct guest *g = guest_find(m, p->station.name);
	json_t *one = json_pack("{s:s, s:s, s:s, s:s}", "vm", p->station.name,
				"mac", net_mac_text(p->station.mac, mac), "ip",
				net_ip_text(p->station.ip, ip), "link",
				p->vm ? "up" : "starting");

	if (!g || !p->vm)
		return one;
	figures_look(&g->figures);
	if (g->figures.known)
		(void)json_object_set_new(one, "ip6", ip6_json(g, net, p));
	return counts_json(g, p->index, one);
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
	(void)json_array_append_new(l->ports, port_json(l->m, net, p));
}

void api_net_list(struct api_call *c)
{
	struct nets_list l = { .m = c->m, .nets = json_array() };

	nets_each(c->m->nets, add_port, &l);
	api_answer(c, MHD_HTTP_OK, json_pack("{s:o}", "nets", l.nets));
}

/* --- dumps --- */

void api_vm_dump(struct api_call *c)
{
	const char *bytes = mhd.lookup_connection_value(
		c->conn, MHD_GET_ARGUMENT_KIND, "bytes");
	unsigned long most = bytes ? strtoul(bytes, NULL, 10) : VNET_FRAME_MAX;
	const struct guest *g = api_running_guest(c);

	c->dump_bytes = (uint32_t)min_u64(most, VNET_FRAME_MAX);
	if (!g)
		return;
	if (!g->record.nr_nets)
		api_fail(c, MHD_HTTP_CONFLICT, ST_CONFIG,
			 "%s: is in no network", c->name);
	else if (!c->dump_bytes)
		api_fail(c, MHD_HTTP_BAD_REQUEST, ST_CONFIG,
			 "bytes: at least 1");
	else
		api_upgrade(c, API_DUMP);
}

static int dump_request(struct guest *g, int fd, uint32_t most)
{
	int err = 0;

	for (unsigned i = 0; !err && i < g->record.nr_nets; i++) {
		struct worker_request r = { .kind = WORKER_REQ_NET_DUMP,
					    .net_dump = { .net = i,
							  .most = most } };

		err = vm_watch_send(&g->vm, &r, &fd);
	}
	return err;
}

/* Two lines at most: it fits the socket of a client that reads nothing yet. */
static int dump_hello(const struct guest *g, int sock, int fd)
{
	json_t *names = json_array(), *root;
	char *text, *line = NULL;
	int err = -ENOMEM;

	for (unsigned i = 0; i < g->record.nr_nets; i++)
		(void)json_array_append_new(names,
					    json_string(g->record.nets[i].net));
	root = json_pack("{s:o}", "nets", names);
	text = root ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	if (text && asprintf(&line, "%s\n", text) > 0)
		err = fds_send(sock, line, strlen(line), &fd, 1, MSG_DONTWAIT);
	free(text);
	free(line);
	return err;
}

int net_dump_open(struct guest *g, int sock, uint32_t most)
{
	const int room = DUMP_ROOM;
	int pair[2], err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	/* What waits belongs to its sender; the first needs a privilege. */
	if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &room,
		       sizeof(room)) < 0)
		(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room,
				 sizeof(room));
	err = dump_hello(g, sock, pair[1]);
	if (!err)
		err = dump_request(g, pair[0], most);
	(void)close(pair[0]);
	(void)close(pair[1]);
	return err;
}
