# SPDX-License-Identifier: BSD-2-Clause
MEMORY_SRCS	+= memory/guest_ram.c memory/pmap.c memory/ram_bind.c \
		   memory/lease.c memory/uffd.c
# The agent's end of leases; control makes the maps.
AGENT_SRCS	+= memory/lease.c
CONTROL_SRCS	+= memory/lease.c
# What the host lets us do (doctor).
CONTROL_SRCS	+= memory/uffd.c
