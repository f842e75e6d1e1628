/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's API: HTTP and JSON on the Unix socket of the state directory
 * (libmicrohttpd, in the monitor's own loop). api_routes() is the table of all
 * calls; docs/openapi.json describes them, and a test compares the two.
 *
 * A client may be hostile: bodies, headers, connections and their lifetimes are
 * bounded, and a call that has to wait for a worker waits in the loop.
 */
#ifndef DISCO_MONITOR_API_H
#define DISCO_MONITOR_API_H

#include <jansson.h>

#include "monitor/control/guests/guests.h"

/*
 * Connections. Consoles stay as long as their clients want, and so do clients of
 * guest agents, which are counted with them. Calls that wait for a start, a stop,
 * a move or exact figures may wait for an hour. Each kind has a number of its own,
 * so that neither can keep the other calls out.
 */
#define API_MAX_COMMANDS 64u
#define API_MAX_CONSOLES 256u
#define API_MAX_LASTING	 64u
#define API_MAX_CONNECTIONS                                                    \
	(API_MAX_COMMANDS + API_MAX_CONSOLES + API_MAX_LASTING)
#define API_MAX_BODY MIB(1)
#define API_IDLE_S   5u		     /* a connection that says nothing */
#define API_LIFE_NS  30000000000ull  /* to send one request */
#define API_WAIT_NS  5000000000ull   /* for a worker to do something */
#define API_START_NS 600000000000ull /* and for a start, which may queue */
#define API_STATS_NS 500000000ull    /* for workers' figures */
#define API_EXACT_NS 600000000000ull /* for exact ones */
#define API_CONSOLE  "disco-console" /* the protocol upgraded to */
#define API_DUMP     "disco-dump"    /* the same */

struct api_call;

/*
 * begin() answers a call, or poll() does after a later turn of the loop. What a
 * call waits for may come from a worker, an agent, a start or another call's
 * move. To poll the few calls that wait (one per connection) costs less than a
 * list of waiting calls in each of those, and no part can forget to wake one. A
 * turn is taken only when something has happened.
 */
struct api_route {
	const char *method;
	const char *path; /* "{name}" stands for a VM's name */
	void (*begin)(struct api_call *c);
	/*
	 * @late: the deadline of api_wait() has come, so answer now. NULL:
	 * begin() answers, or another part of the program does.
	 */
	void (*poll)(struct api_call *c, bool late);
	bool lasting; /* may wait long: at most API_MAX_LASTING do */
};

/* One request. Freed when its connection has finished with it. */
struct api_call {
	struct api *api;
	struct monitor *m;
	struct MHD_Connection *conn;
	const struct api_route *route;
	struct api_call *next;	    /* in the list of waiting calls */
	char name[VM_NAME_MAX + 1]; /* value of "{name}" */
	uint64_t guest_id;	    /* found by begin() */
	struct {
		nodeid_t node;
		int vcpu; /* that is moved alone; -1: the VM */
		uint64_t bound_ns;
		bool begun;
	} move;		     /* api_move.c */
	uint64_t request_id; /* to the worker: api_vm.c */
	bool exact;	     /* api_figures.c */
	uint32_t dump_bytes; /* of each frame: api_nets.c */
	bool lasts;	     /* counted against API_MAX_LASTING */
	uint64_t begun_ns;
	struct loop_timer deadline; /* of api_wait() */
	bool begun, waits, late, too_large;
	const char *upgrade;   /* protocol to change to; NULL: none */
	struct ga_command *ga; /* with a guest agent: api_agent.c */
	char *body;	       /* body_len bytes and a NUL; NULL: none */
	size_t body_len, body_room;
	unsigned answer; /* HTTP status; 0: none yet */
	const char *type;
	char *text; /* malloc'ed */
};

/* The table of all calls; its end has a method of NULL. */
const struct api_route *api_routes(void);

/**
 * api_create() - create the API and its listening socket
 * @d: out on error: the reason (ST_HOST)
 *
 * Return: 0; -errno of the socket; -ENOMEM.
 */
MUST_CHECK int api_create(struct monitor *m, struct api **out, struct diag *d);

/* Ends every connection. NULL is accepted. */
void api_destroy(struct api *api);

/* After each turn of the loop: requests, and calls that wait. */
void api_turn(struct api *api);

/* --- for handlers --- */

/*
 * Answer with a change to @protocol, API_CONSOLE or API_AGENT, if the client
 * asks for it. The connection is one of the API_MAX_CONSOLES until it is closed;
 * if there are that many already, the answer is an error.
 */
void api_upgrade(struct api_call *c, const char *protocol);

/*
 * The call may wait long; begin() asks so before it waits, unless the route says
 * it of all its calls. Return: false: there are API_MAX_LASTING already, and @c
 * is answered.
 */
MUST_CHECK bool api_may_last(struct api_call *c);

/* begin() does not answer; after @ns poll() is called with *late set. */
void api_wait(struct api_call *c, uint64_t ns);

/* Answer with @root, which is consumed; NULL: out of memory. */
void api_answer(struct api_call *c, unsigned http, json_t *root);
void api_answer_text(struct api_call *c, const char *type, char *text);

/* Answer {"error": TEXT, "status": exit status}. */
PRINTF(4, 5)
void api_fail(struct api_call *c, unsigned http, enum exit_status status,
	      const char *fmt, ...);
void api_fail_diag(struct api_call *c, const struct diag *d);

#endif
