/* SPDX-License-Identifier: BSD-2-Clause */
#include "numa/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "numa/bind.h"

#define SIZE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

static bool size_valid(size_t bytes)
{
	return bytes != 0 && bytes % PAGE_BYTES == 0 && bytes <= INT64_MAX;
}

/*
 * Called after the writer has its mapping: F_SEAL_FUTURE_WRITE forbids new
 * writable mappings and leaves existing ones alone. F_SEAL_SEAL makes the set
 * of seals final.
 */
static int region_seal(int fd, unsigned flags)
{
	int seals = SIZE_SEALS | F_SEAL_SEAL;

	if (!(flags & REGION_PUNCHED))
		seals |= F_SEAL_FUTURE_WRITE;
	return fcntl(fd, F_ADD_SEALS, seals) == 0 ? 0 : -errno;
}

static int map_for_writer(struct region *r)
{
	void *base = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			  r->fd, 0);

	if (base == MAP_FAILED)
		return -errno;
	r->base = base;
	return 0;
}

static int map_and_bind(struct region *r, nodeid_t node, unsigned flags)
{
	int err;

	if (ftruncate(r->fd, (off_t)r->bytes) < 0)
		return -errno;
	err = map_for_writer(r);
	if (err)
		return err;
	if (node != NODE_AUTO) {
		err = node_bind_memory(r->base, r->bytes, node, false);
		if (err && !node_bind_optional(err))
			return err;
	}
	return region_seal(r->fd, flags);
}

/*
 * The policy belongs to the file, so a mapping without write access suffices to
 * set it. A writable one would be a second writer.
 */
static int size_and_bind(int fd, size_t bytes, nodeid_t node)
{
	void *base;
	int err;

	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, SIZE_SEALS) < 0)
		return -errno;
	if (node == NODE_AUTO)
		return 0;
	base = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	err = node_bind_memory(base, bytes, node, false);
	(void)munmap(base, bytes);
	return node_bind_optional(err) ? 0 : err;
}

int region_prepare(const char *name, size_t bytes, nodeid_t node, int *fd)
{
	int got, err;

	if (!size_valid(bytes))
		return -EINVAL;
	got = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (got < 0)
		return -errno;
	err = size_and_bind(got, bytes, node);
	if (err) {
		(void)close(got);
		return err;
	}
	*fd = got;
	return 0;
}

int region_create(struct region *r, const char *name, size_t bytes,
		  nodeid_t node, unsigned flags)
{
	int err;

	*r = (struct region){ .bytes = bytes };
	if (!size_valid(bytes) || (flags & ~REGION_PUNCHED)) {
		err = -EINVAL;
		goto empty;
	}
	r->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (r->fd < 0) {
		err = -errno;
		goto empty;
	}
	err = map_and_bind(r, node, flags);
	if (err == 0)
		return 0;
	if (r->base)
		munmap(r->base, bytes);
	close(r->fd);
empty:
	*r = (struct region){ 0 };
	return err;
}

int region_reader_fd(int fd, int *out)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	int got;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	got = open(path, O_RDONLY | O_CLOEXEC);
	if (got < 0)
		return -errno;
	*out = got;
	return 0;
}

int region_prepare_pair(const char *name, size_t bytes, nodeid_t node, int *rw,
			int *ro)
{
	int fd = -1, err = region_prepare(name, bytes, node, &fd);

	if (err)
		return err;
	err = region_reader_fd(fd, ro);
	if (err)
		(void)close(fd);
	else
		*rw = fd;
	return err;
}

/*
 * The order matters: a size that is read before the seals are checked may have
 * shrunk since. Only a memfd has F_SEAL_SHRINK. A memfd of huge pages is
 * refused too, because a hole in it causes SIGBUS in the reader when the pool
 * is empty.
 */
static int check_region(int fd, size_t bytes)
{
	struct statfs fs;
	struct stat st;
	int seals;

	if (!size_valid(bytes))
		return -EINVAL;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return errno == EINVAL ? -EPROTO : -errno;
	if ((seals & SIZE_SEALS) != SIZE_SEALS)
		return -EPROTO;
	if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (fs.f_type != TMPFS_MAGIC || st.st_size != (off_t)bytes)
		return -EPROTO;
	return 0;
}

static int region_take_as(struct region *r, int fd, size_t bytes,
			  unsigned flags)
{
	int err;

	*r = (struct region){ 0 };
	/*
	 * region_seal() fails with EPERM if the region was taken before, as
	 * F_SEAL_SEAL is set then. The mapping comes first, since none could be
	 * made after F_SEAL_FUTURE_WRITE.
	 */
	err = check_region(fd, bytes);
	if (err)
		return err;
	*r = (struct region){ .bytes = bytes, .fd = fd };
	err = map_for_writer(r);
	if (!err)
		err = region_seal(fd, flags);
	if (!err)
		return 0;
	if (r->base)
		munmap(r->base, bytes);
	*r = (struct region){ 0 };
	return err;
}

int region_take(struct region *r, int fd, size_t bytes)
{
	return region_take_as(r, fd, bytes, 0);
}

int region_take_punched(struct region *r, int fd, size_t bytes)
{
	return region_take_as(r, fd, bytes, REGION_PUNCHED);
}

int region_attach(struct region_view *v, int fd, size_t bytes)
{
	void *base;
	int err;

	*v = (struct region_view){ 0 };
	err = check_region(fd, bytes);
	if (err)
		return err;
	base = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	*v = (struct region_view){ base, bytes };
	return 0;
}

void region_destroy(struct region *r)
{
	if (!r || !r->base)
		return;
	munmap(r->base, r->bytes);
	close(r->fd);
	*r = (struct region){ 0 };
}

void region_detach(struct region_view *v)
{
	if (!v || !v->base)
		return;
	munmap((void *)(uintptr_t)v->base, v->bytes);
	*v = (struct region_view){ 0 };
}
