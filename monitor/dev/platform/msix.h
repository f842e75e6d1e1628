/* SPDX-License-Identifier: BSD-2-Clause */
/* Between pci.c and msix.c; devices use pci.h. */
#ifndef DISCO_MONITOR_MSIX_H
#define DISCO_MONITOR_MSIX_H

#include "monitor/dev/platform/pci.h"

/* The guest wrote message control. Context: vCPU thread, bus lock held. */
void msix_control(struct msix *m, uint16_t control);

#endif
