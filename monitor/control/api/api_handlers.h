/* SPDX-License-Identifier: BSD-2-Clause */
/* The handlers that the table of api_routes.c lists. */
#ifndef DISCO_MONITOR_API_HANDLERS_H
#define DISCO_MONITOR_API_HANDLERS_H

#include <stdio.h>

#include "monitor/control/api/api.h"

/* VMs: api_vm.c */
void api_vm_list(struct api_call *c);
void api_vm_create(struct api_call *c);
void api_vm_show(struct api_call *c);
void api_vm_pause_begin(struct api_call *c);
void api_vm_pause_poll(struct api_call *c, bool late);
void api_vm_resume_begin(struct api_call *c);
void api_vm_resume_poll(struct api_call *c, bool late);
void api_vm_console(struct api_call *c);

/* api_stop.c */
void api_vm_stop_begin(struct api_call *c);
void api_vm_kill_begin(struct api_call *c);
void api_vm_end_poll(struct api_call *c, bool late);
void api_vm_restart_begin(struct api_call *c);
void api_vm_restart_poll(struct api_call *c, bool late);

/* api_move.c */
void api_vm_move_begin(struct api_call *c);
void api_vm_move_poll(struct api_call *c, bool late);

/* The guest agent: api_agent.c */
void api_vm_agent(struct api_call *c);
void api_vm_agent_ask(struct api_call *c);
/* api_policy.c */
void api_policy_show(struct api_call *c);
void api_policy_change(struct api_call *c);
/* api_trace.c */
void api_trace(struct api_call *c);
/* api_nets.c */
void api_net_list(struct api_call *c);
void api_vm_dump(struct api_call *c);

/**
 * net_dump_open() - give a client the frames of a VM
 * @sock: of the client; gets a line of JSON, {"nets": [NAME, ...]}, with the
 *        descriptor of a socket that has them (disco/net_dump.h)
 * @most: bytes of each frame
 *
 * Return: 0; -errno of socketpair(); -EAGAIN, -EPIPE the client or the worker
 * does not read; -ENOMEM.
 */
MUST_CHECK int net_dump_open(struct guest *g, int sock, uint32_t most);

/* api_nets.c: the same for the networks of a VM. */
json_t *nets_json(struct guest *g, json_t *stats);
void nets_metrics(const struct monitor *m, FILE *out);
/* api_shms.c */
void api_shm_list(struct api_call *c);
void api_shm_replicate(struct api_call *c);
void api_shm_collapse(struct api_call *c);

/* Figures: api_figures.c */
void stats_begin(struct api_call *c);
void stats_poll(struct api_call *c, bool late);
void metrics_poll(struct api_call *c, bool late);
void topology_show(struct api_call *c);

/*
 * How old the figures of a VM's memory are, in ms; null: there are none.
 * @now: clock_now_ns().
 */
json_t *ram_age_json(const struct guest *g, uint64_t now);

/*
 * api_exits.c. exits_json() adds the exits of a VM to its figures @stats and
 * returns @stats. exits_metrics() prints the metrics of all VMs.
 */
json_t *exits_json(struct guest *g, json_t *stats);
void exits_metrics(const struct monitor *m, FILE *out);

/* api_stalls.c: the same for stalls. */
json_t *stalls_json(const struct guest *g, json_t *stats);
void stalls_metrics(const struct monitor *m, FILE *out);

/*
 * api_cache.c: the same for the buffer cache. agent_cache_json() returns the
 * figures of a node's agent.
 */
json_t *cache_json(const struct guest *g, json_t *stats);
json_t *agent_cache_json(const struct caches *c, nodeid_t node);
void cache_metrics(const struct monitor *m, FILE *out);

/*
 * api_nodes.c: the same for nodes: those that a VM's CPUs are on, its memory by
 * node. nodes_json() returns the numbers of the nodes, vcpu_nodes_json() one per
 * vCPU. guest_is_on(): is @node the guest's home, or one of its vCPUs there?
 */
json_t *node_figures_json(const struct guest *g, json_t *stats);
void node_metrics(const struct monitor *m, FILE *out);
json_t *nodes_json(const struct guest *g);
json_t *vcpu_nodes_json(const struct guest *g);
bool guest_is_on(const struct guest *g, nodeid_t node);

/* api_policy.c: the same for the placement of pages. */
json_t *placement_json(const struct guest *g, json_t *stats);
void placement_metrics(const struct monitor *m, FILE *out);

/* Add the hints of a guest, as they were looked at last, to its statistics. */
json_t *hints_json(const struct guest *g, json_t *stats);
void hints_metrics(const struct monitor *m, FILE *out);

/*
 * The guest of a call, which has the id that it had in begin(). NULL: there is
 * none, and the call was answered.
 */
struct guest *api_the_guest(struct api_call *c);

/* The guest of the call's name. NULL: none runs, and the call was answered. */
struct guest *api_running_guest(struct api_call *c);

/* Answer as GET /v1/vms/{name} does. */
void api_answer_guest(struct api_call *c, const struct guest *g);

/* One VM as GET /v1/vms/{name} shows it; NULL: out of memory. */
json_t *guest_json(const struct guest *g, uint64_t now_ns);

/* Milliseconds from the VM's start to now, or to its end. */
uint64_t guest_uptime_ms(const struct guest *g, uint64_t now_ns);

#endif
