# SPDX-License-Identifier: BSD-2-Clause
MEMORY_SRCS	+= memory/guest_ram.c memory/pmap.c memory/ram_bind.c
