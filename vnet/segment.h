/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP segmentation in software: a frame that was left to be segmented, cut into
 * frames that need nothing any more, for a guest that cannot take it whole.
 *
 * Context of all functions: any thread; no memory but their arguments.
 */
#ifndef DISCO_VNET_SEGMENT_H
#define DISCO_VNET_SEGMENT_H

#include "vnet/frame.h"

#define VNET_SEGMENT_MAX   (VNET_ETH_BYTES + VNET_MTU) /* bytes of a frame */
#define VNET_SEGMENT_LEAST 64u /* of payload: fewer are not worth a frame */

/* All-zero: there is nothing to cut. */
struct vnet_segments {
	const uint8_t *frame; /* not owned */
	uint32_t bytes;	      /* of the frame */
	uint32_t head;	      /* bytes of all headers */
	uint32_t tcp;	      /* where the TCP header begins */
	uint32_t size;	      /* payload of a segment */
	uint32_t at; /* payload before it was cut off; .. bytes - head */
	bool ip6;
};

/**
 * vnet_segments_begin() - prepare to cut a frame
 * @s:     out; untouched on error
 * @h:     valid for @frame, of type TCPV4 or TCPV6
 * @frame: a private copy; must outlive @s
 *
 * Return: true; false: the headers are not those of such a packet, or segments
 * would be larger than VNET_SEGMENT_MAX or smaller than VNET_SEGMENT_LEAST.
 */
MUST_CHECK bool vnet_segments_begin(struct vnet_segments *s,
				    const struct vnet_hdr *h,
				    const uint8_t *frame, uint32_t bytes);

/* Are there segments left? */
static inline bool vnet_segments_left(const struct vnet_segments *s)
{
	return s->at < s->bytes - s->head;
}

/*
 * Write the next segment, with all checksums, to @out (VNET_SEGMENT_MAX bytes).
 * It stays the next one until vnet_segments_advance(). Return: its length.
 */
uint32_t vnet_segments_next(const struct vnet_segments *s, uint8_t *out);
void vnet_segments_advance(struct vnet_segments *s);

#endif
