# SPDX-License-Identifier: BSD-2-Clause
NUMA_SRCS	+= numa/topology.c numa/place.c numa/balance.c numa/bind.c \
		   numa/region.c numa/channel.c
# The worker is static and has no hwloc: it gets the raw bindings only.
WORKER_SRCS	+= numa/bind.c numa/region.c
AGENT_SRCS	+= numa/bind.c numa/region.c numa/channel.c
