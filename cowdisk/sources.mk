# SPDX-License-Identifier: BSD-2-Clause

# Also in control (image commands): nothing of these needs liburing.
COWDISK_FORMAT	:= cowdisk/io.c cowdisk/io_fd.c cowdisk/cow_format.c \
		   cowdisk/cow_map.c cowdisk/cow.c cowdisk/cow_flush.c
# A worker's end of the buffer cache.
COWDISK_CACHE	:= cowdisk/cache.c cowdisk/cache_source.c cowdisk/cache_link.c \
		   cowdisk/cache_hot.c cowdisk/cache_io.c cowdisk/disk_cache.c \
		   cowdisk/cache_hold.c
COWDISK_SRCS	+= $(COWDISK_FORMAT) cowdisk/ring.c cowdisk/io_ring.c \
		   cowdisk/io_stream.c cowdisk/disk.c $(COWDISK_CACHE) cowdisk/dax.c \
		   cowdisk/dax_flush.c cowdisk/dax_cache.c cowdisk/pager.c
WORKER_SRCS	+= numa/channel.c
# The agent's end of the buffer cache.
AGENT_SRCS	+= cowdisk/store.c cowdisk/store_fill.c cowdisk/store_evict.c \
		   cowdisk/store_peer.c \
		   cowdisk/fetch.c cowdisk/bit_tree.c cowdisk/ring.c
