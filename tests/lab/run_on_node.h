/* SPDX-License-Identifier: BSD-2-Clause */
/* For programs in a lab that counts: threads on a node. */
#ifndef DISCO_TESTS_RUN_ON_NODE_H
#define DISCO_TESTS_RUN_ON_NODE_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numa/bind.h"
#include "numa/flash.h"

/* On the first CPU of a node, but on CPU 0; its number to QEMU. Or exits. */
static unsigned run_on_node(const struct flash *flash, int node)
{
	int err = -ENODEV;

	for (unsigned cpu = 1; cpu < flash->nr_cpus; cpu++) {
		uint16_t number = (uint16_t)flash_number_of_cpu(flash, cpu);

		if (flash_node_of_cpu(flash, cpu) != node)
			continue;
		err = node_run_on(&number, 1);
		if (!err)
			return cpu;
		break;
	}
	fprintf(stderr, "on a CPU of node %d: %s\n", node, strerror(-err));
	exit(1);
}

#endif
