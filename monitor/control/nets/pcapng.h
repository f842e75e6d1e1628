/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A capture file: pcapng 1.0, which wireshark, tshark and tcpdump read. Ethernet
 * frames, times in nanoseconds, the direction of each frame, and how many were
 * lost. Source: draft-ietf-opsawg-pcapng, 4.1 to 4.6.
 *
 * Errors of the stream stay with it: ferror().
 */
#ifndef DISCO_MONITOR_PCAPNG_H
#define DISCO_MONITOR_PCAPNG_H

#include <stdio.h>

#include "disco/base.h"

/* Begin a section; then each interface, which are numbered from 0. */
void pcapng_begin(FILE *out);
void pcapng_interface(FILE *out, const char *name, uint32_t snap_bytes);

struct pcapng_packet {
	uint32_t interface;
	uint64_t time_ns;
	bool outbound;
	uint64_t lost; /* frames of the interface since the one before */
	const uint8_t *bytes;
	uint32_t cut, len; /* bytes that are there, and of the whole frame */
};

void pcapng_packet(FILE *out, const struct pcapng_packet *p);

/* At the end, of each interface: frames that came, and those that were lost. */
void pcapng_statistics(FILE *out, uint32_t interface, uint64_t time_ns,
		       uint64_t received, uint64_t lost);

#endif
