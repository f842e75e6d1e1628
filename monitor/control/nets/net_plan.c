/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/nets/net_plan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_STATION 2u /* 10.x.y.1 is the network's own */

/* --- text --- */

const char *net_mac_text(const uint8_t mac[VNET_MAC_BYTES],
			 char buf[NET_TEXT_MAX])
{
	(void)snprintf(buf, NET_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x",
		       mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return buf;
}

const char *net_ip_text(const uint8_t ip[4], char buf[NET_TEXT_MAX])
{
	(void)snprintf(buf, NET_TEXT_MAX, "%u.%u.%u.%u", ip[0], ip[1], ip[2],
		       ip[3]);
	return buf;
}

const char *net_subnet_text(const struct net_plan *p, char buf[NET_TEXT_MAX])
{
	const uint8_t *s = p->subnet;

	(void)snprintf(buf, NET_TEXT_MAX, "%u.%u.%u.%u/%u", s[0], s[1], s[2],
		       s[3], p->bits);
	return buf;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool net_mac_parse(const char *text, uint8_t mac[VNET_MAC_BYTES])
{
	uint8_t m[VNET_MAC_BYTES];

	if (strlen(text) != 3 * VNET_MAC_BYTES - 1)
		return false;
	for (unsigned i = 0; i < VNET_MAC_BYTES; i++, text += 3) {
		int high = hex_digit(text[0]), low = hex_digit(text[1]);

		if (high < 0 || low < 0 ||
		    (i + 1 < VNET_MAC_BYTES && text[2] != ':'))
			return false;
		m[i] = (uint8_t)(high << 4 | low);
	}
	if (vnet_is_group(m))
		return false;
	memcpy(mac, m, sizeof(m));
	return true;
}

bool net_ip_parse(const char *text, uint8_t ip[4])
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		return false;
	memcpy(ip, &a, 4);
	return true;
}

bool net_subnet_parse(const char *text, uint8_t subnet[4], unsigned *bits)
{
	const char *slash = strchr(text, '/');
	char ip_text[INET_ADDRSTRLEN];
	char *end;
	unsigned long n;
	uint8_t ip[4];

	if (!slash || (size_t)(slash - text) >= sizeof(ip_text))
		return false;
	memcpy(ip_text, text, (size_t)(slash - text));
	ip_text[slash - text] = '\0';
	if (!net_ip_parse(ip_text, ip) || slash[1] < '1' || slash[1] > '9')
		return false;
	n = strtoul(slash + 1, &end, 10);
	if (*end || n < VNET_BITS_MIN || n > VNET_BITS_MAX ||
	    vnet_ip4(ip) & ~vnet_mask((unsigned)n) || ip[0] == 0 ||
	    ip[0] == 127 || ip[0] >= 224)
		return false;
	memcpy(subnet, ip, sizeof(ip));
	*bits = (unsigned)n;
	return true;
}

/* Return: what follows the number; NULL: there is none. */
static const char *publish_port(const char *text, uint16_t *out)
{
	unsigned long n;
	char *end;

	if (*text < '1' || *text > '9')
		return NULL;
	n = strtoul(text, &end, 10);
	*out = (uint16_t)n;
	return n <= UINT16_MAX ? end : NULL;
}

/* The protocol. Return: what follows it. */
static const char *publish_proto(const char *text, bool *udp)
{
	*udp = strncmp(text, "/udp", 4) == 0;
	return *udp || strncmp(text, "/tcp", 4) == 0 ? text + 4 : text;
}

/* The address, if there is one. Return: what follows it; NULL: it is wrong. */
static const char *publish_address(const char *text, struct net_publish *p)
{
	const char *end = strchr(text, *text == '[' ? ']' : ':');
	char ip[INET6_ADDRSTRLEN];
	size_t n;

	p->ip6 = *text == '[';
	text += p->ip6;
	n = end ? (size_t)(end - text) : 0;
	if (!p->ip6 && (!end || !memchr(text, '.', n)))
		return text;
	if (!end || n >= sizeof(ip) || end[p->ip6] != ':')
		return NULL;
	memcpy(ip, text, n);
	ip[n] = '\0';
	if (p->ip6 ? inet_pton(AF_INET6, ip, p->host_ip) != 1
		   : !net_ip_parse(ip, p->host_ip))
		return NULL;
	return end + p->ip6 + 1;
}

int net_publish_next(const char **text, struct net_publish *out)
{
	struct net_publish p = { .host_ip = { 127, 0, 0, 1 } };
	const char *at = *text;

	if (!*at)
		return 0;
	at = publish_address(at, &p);
	if (!at)
		return -EINVAL;
	at = publish_port(at, &p.host_port);
	if (!at || *at != ':')
		return -EINVAL;
	at = publish_port(at + 1, &p.guest_port);
	if (!at)
		return -EINVAL;
	at = publish_proto(at, &p.udp);
	if (*at && (*at != ',' || !at[1]))
		return -EINVAL;
	*text = at + (*at == ',');
	*out = p;
	return 1;
}

/* --- addresses --- */

void net_plan_set(struct net_plan *p, const uint8_t subnet[4], unsigned bits)
{
	if (p->bits == bits && memcmp(p->subnet, subnet, 4) == 0)
		return;
	memset(p->past, 0, sizeof(p->past));
	memcpy(p->subnet, subnet, sizeof(p->subnet));
	p->bits = (uint8_t)bits;
}

bool net_plan_has(const struct net_plan *p, const uint8_t ip[4])
{
	return !((vnet_ip4(ip) ^ vnet_ip4(p->subnet)) & vnet_mask(p->bits));
}

void net_plan_server(const struct net_plan *p, uint8_t ip[4])
{
	vnet_put_ip4(ip, vnet_ip4(p->subnet) + 1);
}

/* Neither the subnet's, nor the network's own, nor that of broadcasts. */
static bool plan_is_station(const struct net_plan *p, const uint8_t ip[4])
{
	uint32_t host = vnet_ip4(ip) & ~vnet_mask(p->bits);

	return net_plan_has(p, ip) && host >= FIRST_STATION &&
	       host != ~vnet_mask(p->bits);
}

/* Who has had it, as a choice of the operator or not; NULL: nobody. */
static const struct net_past *plan_past_ip(const struct net_plan *p,
					   const uint8_t ip[4])
{
	for (uint32_t i = 0; i < NET_STATIONS_MAX; i++)
		if (p->past[i].name[0] && memcmp(p->past[i].ip, ip, 4) == 0)
			return &p->past[i];
	return NULL;
}

/*
 * Is a slot free, and which address goes with it? With @want the slot alone
 * counts. Return: false: it is not.
 */
static bool plan_slot_free(const struct net_plan *p, uint32_t slot,
			   const uint8_t want[4], const struct net_used *used,
			   uint8_t ip[4])
{
	if (used->slot(used->arg, slot))
		return false;
	if (want)
		memcpy(ip, want, 4);
	else
		vnet_put_ip4(ip, vnet_ip4(p->subnet) + FIRST_STATION + slot);
	return plan_is_station(p, ip) && !used->ip(used->arg, ip);
}

/* How good a free slot is for a VM: the lower, the better. */
static uint64_t plan_rank(const struct net_plan *p, uint32_t slot,
			  const char *name, const uint8_t ip[4])
{
	const struct net_past *of_slot = &p->past[slot];
	const struct net_past *of_ip = plan_past_ip(p, ip);
	uint64_t last = of_slot->name[0] ? of_slot->when : 0;

	if (strcmp(of_slot->name, name) == 0)
		return 0;
	if (of_ip && of_ip->when > last)
		last = of_ip->when;
	return 1 + last; /* one that nobody had: 1 */
}

int net_plan_pick(const struct net_plan *p, const char *name,
		  const uint8_t want[4], const struct net_used *used,
		  uint32_t *slot, uint8_t ip[4])
{
	uint64_t best = UINT64_MAX;

	if (want && !plan_is_station(p, want))
		return -ERANGE;
	if (want && used->ip(used->arg, want))
		return -EEXIST;
	for (uint32_t i = 0; i < NET_STATIONS_MAX; i++) {
		uint8_t a[4];
		uint64_t rank;

		if (!plan_slot_free(p, i, want, used, a))
			continue;
		rank = plan_rank(p, i, name, a);
		if (rank >= best)
			continue;
		best = rank;
		*slot = i;
		memcpy(ip, a, sizeof(a));
	}
	return best == UINT64_MAX ? -ENOSPC : 0;
}

void net_plan_remember(struct net_plan *p, uint32_t slot, const char *name,
		       const uint8_t ip[4])
{
	struct net_past *past = &p->past[slot];

	(void)snprintf(past->name, sizeof(past->name), "%s", name);
	memcpy(past->ip, ip, sizeof(past->ip));
	past->when = ++p->clock;
}
