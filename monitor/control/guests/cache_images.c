/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/cache_images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "cowdisk/base/cache_proto.h"
#include "disco/mix.h"
#include "memory/lease.h"
#include "monitor/ipc/fds.h"
#include "numa/region.h"

static int open_file(pid_t pid, int number, struct image_key *key)
{
	static const int flags[] = { O_DIRECT, 0 };
	struct stat st;
	char path[64];
	int fd = -1;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, number);
	for (size_t i = 0; i < ARRAY_SIZE(flags) && fd < 0; i++)
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY |
					flags[i]);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 ||
	    !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) {
		(void)close(fd);
		return -EBADF;
	}
	key->dev = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_dev;
	key->ino = S_ISBLK(st.st_mode) ? 0 : st.st_ino;
	key->bytes = (uint64_t)st.st_size;
	key->mtime_sec = st.st_mtim.tv_sec;
	key->mtime_nsec = st.st_mtim.tv_nsec;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &key->bytes) < 0)
		key->bytes = 0;
	if (lease_map_bytes((key->bytes + CACHE_BLOCK_BYTES - 1) /
			    CACHE_BLOCK_BYTES))
		return fd;
	(void)close(fd);
	return -EFBIG;
}

static bool same_key(const struct image_key *a, const struct image_key *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->bytes == b->bytes &&
	       a->mtime_sec == b->mtime_sec && a->mtime_nsec == b->mtime_nsec &&
	       strcmp(a->group, b->group) == 0;
}

/* Two images of the same number cost comparisons, and nothing else. */
static uint64_t image_number(const struct image_key *k)
{
	const uint64_t of[] = { k->dev, k->ino, k->bytes,
				(uint64_t)k->mtime_sec,
				(uint64_t)k->mtime_nsec };
	uint64_t n = MIX_STEP;

	for (size_t i = 0; i < ARRAY_SIZE(of); i++)
		n = mix_u64(n ^ of[i]) + MIX_STEP;
	for (const char *c = k->group; *c; c++)
		n = mix_u64(n ^ (uint8_t)*c) + MIX_STEP;
	return n ? n : 1;
}

int image_get(struct cache_image **list, pid_t pid, int number,
	      const char *group, struct cache_image **out)
{
	struct image_key key = { 0 };
	struct cache_image *im = *list;
	int fd = open_file(pid, number, &key);

	if (fd < 0)
		return fd;
	(void)snprintf(key.group, sizeof(key.group), "%s", group);
	while (im && !same_key(&im->key, &key))
		im = im->next;
	if (im)
		(void)close(fd);
	else
		im = calloc(1, sizeof(*im));
	if (!im) {
		(void)close(fd);
		return -ENOMEM;
	}
	if (im->users++ == 0) {
		im->key = key;
		im->number = image_number(&key);
		im->file = fd;
		im->next = *list;
		*list = im;
	}
	*out = im;
	return 0;
}

void image_put(struct cache_image **list, struct cache_image *im)
{
	struct cache_image **at = list;

	if (--im->users)
		return;
	while (*at != im)
		at = &(*at)->next;
	*at = im->next;
	(void)close(im->file);
	free(im);
}

uint64_t image_blocks(const struct cache_image *im)
{
	return (im->key.bytes + CACHE_BLOCK_BYTES - 1) / CACHE_BLOCK_BYTES;
}

void image_store_free(struct image_store *s)
{
	fds_drop(&s->memory);
	fds_drop(&s->presence);
	fds_drop(&s->memory_ro);
	fds_drop(&s->presence_ro);
	free(s);
}

int store_make(const struct cache_image *im, nodeid_t node, uint64_t id,
	       struct image_store **out)
{
	struct image_store *s = malloc(sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	*s = (struct image_store){ .node = node,
				   .id = id,
				   .memory = -1,
				   .presence = -1,
				   .memory_ro = -1,
				   .presence_ro = -1 };
	err = region_prepare_pair("disco-cache",
				  image_blocks(im) * CACHE_BLOCK_BYTES, node,
				  &s->memory, &s->memory_ro);
	if (!err)
		err = region_prepare_pair("disco-presence",
					  lease_map_bytes(image_blocks(im)),
					  node, &s->presence, &s->presence_ro);
	if (err) {
		image_store_free(s);
		return err;
	}
	*out = s;
	return 0;
}

struct image_store *store_on(const struct cache_image *im, nodeid_t node)
{
	struct image_store *s = im->stores;

	while (s && s->node != node)
		s = s->next;
	return s;
}
