# SPDX-License-Identifier: BSD-2-Clause

# Also in control (image commands): nothing of these needs liburing.
COWDISK_FORMAT	:= cowdisk/io.c cowdisk/io_fd.c cowdisk/cow_format.c \
		   cowdisk/cow_map.c cowdisk/cow.c cowdisk/cow_flush.c
COWDISK_SRCS	+= $(COWDISK_FORMAT) cowdisk/io_ring.c cowdisk/disk.c \
		   cowdisk/dax.c cowdisk/dax_flush.c
