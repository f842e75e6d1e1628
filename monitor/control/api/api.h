/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's API: HTTP and JSON on the Unix socket of the state directory
 * (libmicrohttpd, in the monitor's own loop). What there is to call is one
 * table, api_routes(); docs/openapi.json describes it and a test compares.
 *
 * A client can be hostile: bodies, headers, connections and their life are
 * bounded, and a call that has to wait for a worker waits in the loop.
 */
#ifndef DISCO_MONITOR_API_H
#define DISCO_MONITOR_API_H

#include <jansson.h>

#include "monitor/control/guests/guests.h"

#define API_MAX_CONNECTIONS 64u
#define API_MAX_BODY	    MIB(1)
#define API_IDLE_S	    5u		    /* a connection that says nothing */
#define API_LIFE_NS	    30000000000ull  /* to send one request */
#define API_WAIT_NS	    5000000000ull   /* for a worker to do something */
#define API_STATS_NS	    500000000ull    /* for workers' figures */
#define API_CONSOLE	    "disco-console" /* the protocol upgraded to */

struct api_call;

/*
 * Answers now, or is called again by poll() after each turn of the loop. What
 * a call waits for may come from a worker, an agent, a start or another call's
 * move; a look at each of the few that wait (one per connection) costs less
 * than a list of waiting calls in each of those would, and none can forget to
 * wake one. A turn is taken only when something has happened.
 */
struct api_route {
	const char *method;
	const char *path; /* "{name}" stands for a VM's name */
	void (*begin)(struct api_call *c);
	/* @late: the deadline of api_wait() came, so answer; NULL: begin()
	 * answers, or somebody else does. */
	void (*poll)(struct api_call *c, bool late);
};

/* One request. Freed when its connection is ready with it. */
struct api_call {
	struct api *api;
	struct monitor *m;
	struct MHD_Connection *conn;
	const struct api_route *route;
	struct api_call *next;	    /* of those that wait */
	char name[VM_NAME_MAX + 1]; /* "{name}" */
	uint64_t guest_id;	    /* found by begin() */
	struct {
		nodeid_t node;
		uint64_t bound_ns;
		bool begun;
	} move;		     /* api_move.c */
	uint64_t request_id; /* to the worker: api_vm.c */
	uint64_t begun_ns;
	struct loop_timer deadline; /* of api_wait() */
	bool begun, waits, late, too_large, upgrade;
	char *body; /* body_len bytes and a NUL; NULL: none */
	size_t body_len, body_room;
	unsigned answer; /* HTTP status; 0: none yet */
	const char *type;
	char *text; /* malloc'ed */
};

/* All there is, ending with a method of NULL. */
const struct api_route *api_routes(void);

/**
 * api_create() - listen
 * @d: why not (ST_HOST)
 *
 * Return: 0; -errno of the socket; -ENOMEM.
 */
MUST_CHECK int api_create(struct monitor *m, struct api **out, struct diag *d);

/* Ends every connection. NULL is fine. */
void api_destroy(struct api *api);

/* After each turn of the loop: requests, and calls that wait. */
void api_turn(struct api *api);

/* --- for those who answer --- */

/* begin() will not answer at once: poll() is late when @ns are over. */
void api_wait(struct api_call *c, uint64_t ns);

/* @root is taken; NULL: out of memory. */
void api_answer(struct api_call *c, unsigned http, json_t *root);
void api_answer_text(struct api_call *c, const char *type, char *text);

/* {"error": TEXT, "status": exit status}. */
PRINTF(4, 5)
void api_fail(struct api_call *c, unsigned http, enum exit_status status,
	      const char *fmt, ...);
void api_fail_diag(struct api_call *c, const struct diag *d);

#endif
