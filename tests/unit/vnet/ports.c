/* SPDX-License-Identifier: BSD-2-Clause */
#include "tests/unit/vnet/ports.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/must.h"
#include "vnet/reply.h"

struct vnet_station ports_station(uint32_t slot)
{
	struct vnet_station s = { .ip = { 10, 1, 2, (uint8_t)(2 + slot) } };

	vnet_mac_of_ip(s.ip, s.mac);
	(void)snprintf(s.name, sizeof(s.name), "vm-%u", slot);
	return s;
}

void ports_open(struct ports *p, uint32_t slot, uint32_t gen)
{
	struct vnet_station own = ports_station(slot);
	struct vnet_plan plan = { .server = { 10, 1, 2, 1 }, .bits = 24 };
	int region, wake;

	vnet_prefix6("lan", plan.prefix6);
	must(region_prepare("test-port", sizeof(struct vnet_shared), NODE_AUTO,
			    &region) == 0);
	must(region_reader_fd(region, &p->reader[slot]) == 0);
	must(chan_wake_create(&p->waker[slot], &wake) == 0);
	must(vnet_port_create(region, wake, slot, gen, &own, &plan,
			      &p->of[slot]) == 0);
}

int ports_introduce(struct ports *p, uint32_t who, uint32_t slot, uint32_t gen)
{
	struct vnet_station s = ports_station(slot);

	return vnet_port_add(p->of[who], slot, gen, &s, dup(p->reader[slot]),
			     dup(p->waker[slot]));
}

void ports_create(struct ports *p, unsigned nr)
{
	memset(p, 0, sizeof(*p));
	p->nr = nr;
	for (unsigned i = 0; i < nr; i++)
		ports_open(p, i, 1);
	for (unsigned i = 0; i < nr; i++)
		for (unsigned k = 0; k < nr; k++)
			must(i == k || ports_introduce(p, i, k, 1) == 0);
}

void ports_destroy(struct ports *p)
{
	for (unsigned i = 0; i < p->nr; i++) {
		vnet_port_destroy(p->of[i]);
		(void)close(p->reader[i]);
		(void)close(p->waker[i]);
	}
}

int ports_send(struct ports *p, uint32_t from, struct vnet_peer *to,
	       uint32_t bytes, uint8_t fill)
{
	struct vnet_buf b;
	int err = vnet_port_room(p->of[from], to, bytes);

	if (err)
		return err;
	vnet_port_begin(p->of[from], bytes, &b);
	memset(b.bytes, fill, bytes);
	vnet_port_send(p->of[from], &b, to, bytes, false);
	vnet_port_flush(p->of[from]);
	return 0;
}
