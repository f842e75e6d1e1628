# SPDX-License-Identifier: BSD-2-Clause
COWDISK_SRCS	+= cowdisk/disk.c
