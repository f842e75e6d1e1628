# SPDX-License-Identifier: BSD-2-Clause

# Also in control (image commands): nothing of these needs liburing.
COWDISK_FORMAT	:= cowdisk/io.c cowdisk/io_fd.c cowdisk/cow_format.c \
		   cowdisk/cow_map.c cowdisk/cow.c cowdisk/cow_flush.c
# A worker's end of the buffer cache.
COWDISK_CACHE	:= cowdisk/cache.c cowdisk/cache_source.c cowdisk/cache_link.c \
		   cowdisk/cache_io.c cowdisk/disk_cache.c
COWDISK_SRCS	+= $(COWDISK_FORMAT) cowdisk/io_ring.c cowdisk/disk.c \
		   $(COWDISK_CACHE)
WORKER_SRCS	+= numa/channel.c
