/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPv6 addresses that stations choose for themselves.
 *
 * The plan gives each station two addresses, which are made of its MAC address
 * (vnet_ip6()). A stock guest may choose others of the network's prefix, and of the
 * link, at random (RFC 7217, RFC 8981), or have some that its owner has set. A port
 * may *claim* those that the plan can give to nobody (vnet_ip6_is_free()): up to
 * VNET_CLAIMS_LINK link-local ones, and up to VNET_CLAIMS_PREFIX of the prefix. The
 * filter of sources refuses what a station sends from an address that it has
 * neither by the plan nor by a claim.
 *
 * A port claims an address when its station asks whether it is free (duplicate
 * address detection, RFC 4862, 5.4), or when it sends from it: a station that has
 * been resumed, or whose link was away, does not ask again. It gets one that no
 * other port has. If it does not get it, what it sends from there is refused, and
 * the question has the answer that the address is in use, so that a stock guest
 * takes another one.
 *
 * WHERE. There is no arbiter, as there is no switch. A port's claims are words of
 * its own region, which it alone writes: the second half of the address; 0: none. So
 * each word is a whole claim, and each port's budget is its own: nobody can use up
 * that of others.
 *
 * WHO HAS AN ADDRESS
 *  1. Two ports never hold the same address, once they know each other. A port
 *     writes its claim, passes a full fence, and then reads the claims of all
 *     others; if one of these has the address, it takes its own back. Of two that
 *     claim at once, at least one reads the other's.
 *  2. A claim that was there before is not lost to a later one, as the later one is
 *     taken back.
 *  3. Ports that did not know each other when they claimed (control has not yet
 *     announced one to the other) find that out by a review, when a port is added and
 *     with each sweep (vnet_port_sweep()): the younger one, which has the larger
 *     generation, takes its claim back.
 *  4. Other ports' words are hostile. A port notes which claims it has accepted, and
 *     accepts none that two other ports have at the same time, or that it has
 *     itself. So a worker that was taken over takes over no address that was
 *     accepted before; it can keep as many free ones from others as it has words.
 *     The uplink and the trunk claim nothing: their words are not read.
 *
 * WHEN A CLAIM ENDS. With its port; when the guest's driver resets the device (the
 * link goes); and, if there is no free word for a new one, when its address was not
 * sent from for VNET_CLAIM_REST_NS. Otherwise there is no time: the address of a
 * station that is silent stays its own.
 *
 * A PLAN THAT IS STRICT (vnet_plan.planned6): the port claims nothing, believes no
 * claims, and drops what others send from claimed addresses. So is the port of a VM
 * with a trunk: behind that are stations whose addresses no port holds, and a guest
 * could claim the address of one that is silent.
 *
 * Context of all functions: as those of vnet/port.h.
 */
#ifndef DISCO_VNET_CLAIMS_H
#define DISCO_VNET_CLAIMS_H

#include <stdatomic.h>

#include "vnet/frame.h"

/* A stock guest has 1 and, with temporary addresses of a day, about 10. */
#define VNET_CLAIMS_LINK   4u
#define VNET_CLAIMS_PREFIX 16u
#define VNET_CLAIMS	   (VNET_CLAIMS_LINK + VNET_CLAIMS_PREFIX)
#define VNET_CLAIM_REST_NS 60000000000ull

/* Words: those of the link, those of the prefix, and one more. */
#define VNET_CLAIM_PLANNED VNET_CLAIMS /* 1: the planned one was used */
#define VNET_CLAIM_WORDS   (VNET_CLAIMS + 1)

/* Of a port's region. [A: its port / other ports, stored released] */
struct vnet_claimed {
	_Alignas(128) _Atomic(uint64_t) words[VNET_CLAIM_WORDS];
	/* Of the uplink: 1: it leads to IPv6 addresses; see reply6.h. */
	_Atomic(uint64_t) routes6;
};

/* What a port keeps of its own claims. */
struct vnet_claims {
	uint64_t words[VNET_CLAIM_WORDS]; /* as in the region */
	bool used[VNET_CLAIMS];		  /* since it was looked at last */
	uint64_t rest_ns[VNET_CLAIMS];	  /* when that was; valid if !used */
	uint32_t changes;		  /* of words */
};

struct vnet_port;
struct vnet_peer;

/**
 * vnet_port_filter() - vnet_filter_uses(), with the claims of the port
 *
 * Claims what the frame's sender says that it has. Return: VNET_REFUSE as well if it
 * does not get that; a probe is VNET_LOCAL in any case.
 */
MUST_CHECK enum vnet_verdict
vnet_port_filter(struct vnet_port *p, const uint8_t *frame, uint32_t len);

/**
 * vnet_port_claim() - claim an address for the port's own station
 * @now_ns: clock_now_ns(), for the age of others
 *
 * Return: 0, also if it has the address; -EINVAL it is not vnet_ip6_is_free();
 * -EPERM the plan is strict; -EEXIST another port has it; -ENOSPC all words are in
 * use.
 */
MUST_CHECK int vnet_port_claim(struct vnet_port *p,
			       const uint8_t ip[VNET_IP6_BYTES],
			       uint64_t now_ns);

/*
 * The link has gone: all claims end. Context: also a caller that does not hold the
 * port, if it keeps others from holding it meanwhile.
 */
void vnet_port_forget(struct vnet_port *p);

/* Guarantee 3. */
void vnet_claims_review(struct vnet_port *p);

/* Has the port's own station this address, by the plan or by a claim? */
MUST_CHECK bool vnet_port_has_ip6(const struct vnet_port *p,
				  const uint8_t ip[VNET_IP6_BYTES]);
/* The same for another port. */
MUST_CHECK bool vnet_peer_has_ip6(const struct vnet_port *p,
				  struct vnet_peer *q,
				  const uint8_t ip[VNET_IP6_BYTES]);

/*
 * May the port take this frame of @q? @frame: @len bytes, which @q may change. Of a
 * port whose plan is strict: not from a claimed address.
 */
MUST_CHECK bool vnet_port_believes(const struct vnet_port *p,
				   const struct vnet_peer *q,
				   const uint8_t *frame, uint32_t len);

/**
 * vnet_port_named_ip6() - the address of the prefix that a station is reached by
 * @q: another port; NULL: the port's own station
 *
 * The planned one if its station uses that, or has used none so far; else the one
 * that is claimed in the first word, which is the one that it claimed first, unless
 * that one has ended: temporary addresses come after the one they go with.
 */
void vnet_port_named_ip6(const struct vnet_port *p, struct vnet_peer *q,
			 uint8_t ip[VNET_IP6_BYTES]);

/*
 * Of the uplink: whether it leads to IPv6 addresses. Of another port: whether the
 * uplink that it knows does, for its station.
 */
void vnet_port_set_routes6(struct vnet_port *p, bool on);
MUST_CHECK bool vnet_port_routes6(const struct vnet_port *p);

#endif
