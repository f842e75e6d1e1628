/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/segments/segments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memory/replica/segment_map.h"
#include "monitor/control/base/size.h"
#include "monitor/ipc/fds.h"
#include "numa/bind.h"

#define SEGMENT_NAME "disco-shm" /* of the memfds */

struct shm_segment *segments_first(const struct segments *s)
{
	return s->list;
}

struct shm_segment *segments_find(const struct segments *s, const char *name)
{
	struct shm_segment *g = s->list;

	while (g && strcmp(g->name, name) != 0)
		g = g->next;
	return g;
}

/* --- memory --- */

/* The policy is the file's: it outlives the mapping. */
static int segment_bind(const struct shm_segment *g)
{
	void *at;
	int err;

	if (g->node == NODE_AUTO)
		return 0;
	at = mmap(NULL, g->bytes, PROT_READ, MAP_SHARED, g->fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	err = node_bind_memory(at, g->bytes, g->node, false);
	(void)munmap(at, g->bytes);
	return node_bind_optional(err) ? 0 : err;
}

/* A separate open file: its locks are its own. */
static int segment_open_again(const struct shm_segment *g)
{
	char path[32];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", g->fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* --- segments --- */

static struct shm_segment *segment_new(struct segments *s, const char *name,
				       uint64_t bytes, nodeid_t node)
{
	struct shm_segment *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	(void)snprintf(g->name, sizeof(g->name), "%s", name);
	g->bytes = bytes;
	g->node = node;
	g->fd = -1;
	g->home = NODE_AUTO;
	for (unsigned i = 0; i < MAX_NODES; i++)
		g->replicas[i] = -1;
	g->next = s->list;
	s->list = g;
	return g;
}

static void segment_free_if_unused(struct segments *s, struct shm_segment *g)
{
	struct shm_segment **at = &s->list;

	if (g->uses)
		return;
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	segment_links_end(s, g);
	fds_drop(&g->fd);
	free(g);
}

static int segment_refuse_size(const struct vm_config *vm,
			       const struct shm_config *c,
			       const struct shm_segment *g, struct diag *d)
{
	char wants[SIZE_TEXT_MAX], has[SIZE_TEXT_MAX];

	return diag_fail(d, ST_CONFIG, EEXIST,
			 "%s: segment '%s' has %s, as '%s' has named it, and "
			 "not %s",
			 vm->name, g->name, size_text(g->bytes, has),
			 g->uses->name, size_text(c->bytes, wants));
}

/* The first of its VMs is about to start. */
static int segment_make(struct segments *s, const struct vm_config *vm,
			const struct shm_config *c, struct shm_segment **out,
			struct diag *d)
{
	struct shm_segment *g = segment_new(s, c->name, c->bytes, c->node);
	int err;

	if (!g)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	g->fd = ram_file_sealed(SEGMENT_NAME, c->bytes);
	err = g->fd < 0 ? g->fd : segment_bind(g);
	if (!err) {
		*out = g;
		return 0;
	}
	segment_free_if_unused(s, g);
	if (err == -ENODEV)
		return diag_fail(d, ST_CONFIG, ENODEV,
				 "%s: segment '%s': node %d has no memory",
				 vm->name, c->name, c->node);
	return diag_fail(d, ST_HOST, -err, "%s: segment '%s': %s", vm->name,
			 c->name, strerror(-err));
}

/* --- uses --- */

static bool view_is_free(const struct shm_segment *g, unsigned view)
{
	for (const struct segment_use *u = g->uses; u; u = u->next)
		if (u->view == view)
			return false;
	return true;
}

/* The lowest one. */
static unsigned use_free_view(const struct shm_segment *g)
{
	unsigned view = 0;

	while (!view_is_free(g, view))
		view++;
	return view;
}

static struct segment_use *use_new(struct segments *s, struct shm_segment *g,
				   const char *vm, unsigned index)
{
	struct segment_use *u = calloc(1, sizeof(*u)), **at = &g->uses;

	if (!u)
		return NULL;
	u->all = s;
	u->segment = g;
	u->index = index;
	u->node = NODE_AUTO;
	u->fd = -1;
	u->view = use_free_view(g);
	u->guarded = s->agents && g->bytes <= SEGMENT_MAP_MAX_BYTES &&
		     u->view < SEGMENT_MAX_VIEWS;
	(void)snprintf(u->name, sizeof(u->name), "%s", vm);
	while (*at && strcmp((*at)->name, vm) < 0)
		at = &(*at)->next;
	u->next = *at;
	*at = u;
	return u;
}

static void use_release(struct segment_use *u)
{
	struct segment_use **at = &u->segment->uses;

	segment_links_leave(u);
	while (*at != u)
		at = &(*at)->next;
	*at = u->next;
	segment_free_if_unused(u->all, u->segment);
	fds_drop(&u->fd);
	free(u);
}

static int use_reserve(struct segments *s, const struct vm_config *vm,
		       unsigned index, struct segment_use **out, struct diag *d)
{
	const struct shm_config *c = &vm->shms[index];
	struct shm_segment *g = segments_find(s, c->name);
	struct segment_use *u;
	int err = 0;

	if (g && g->bytes != c->bytes)
		return segment_refuse_size(vm, c, g, d);
	if (!g)
		err = segment_make(s, vm, c, &g, d);
	if (!g)
		return err;
	u = use_new(s, g, vm->name, index);
	if (!u) {
		segment_free_if_unused(s, g);
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	}
	u->fd = segment_open_again(g);
	if (u->fd < 0) {
		err = diag_fail(d, ST_HOST, -u->fd, "%s: segment '%s': %s",
				vm->name, c->name, strerror(-u->fd));
		u->fd = -1;
		use_release(u);
		return err;
	}
	*out = u;
	return 0;
}

int segments_reserve(struct segments *s, const struct vm_config *vm,
		     struct segment_uses *uses, struct diag *d)
{
	*uses = (struct segment_uses){ { NULL } };
	for (unsigned i = 0; i < vm->nr_shms; i++) {
		int err = use_reserve(s, vm, i, &uses->of[i], d);

		if (err) {
			segments_release(uses);
			return err;
		}
	}
	return 0;
}

void segments_release(struct segment_uses *uses)
{
	for (unsigned i = 0; i < VM_MAX_SHMS; i++) {
		if (uses->of[i])
			use_release(uses->of[i]);
		uses->of[i] = NULL;
	}
}

void segments_attach(struct segment_uses *uses, struct vm_watch *vm,
		     nodeid_t node, const char *policy)
{
	for (unsigned i = 0; i < VM_MAX_SHMS && uses->of[i]; i++) {
		fds_drop(&uses->of[i]->fd); /* the worker has it now */
		uses->of[i]->vm = vm;
		uses->of[i]->node = node;
		(void)snprintf(uses->of[i]->policy, sizeof(uses->of[i]->policy),
			       "%s", policy);
	}
}

void segment_use_spec(const struct segment_use *use, struct worker_shm *out)
{
	*out = (struct worker_shm){ .bytes = use->segment->bytes,
				    .node = use->segment->node,
				    .guarded = use->guarded };
	memcpy(out->name, use->segment->name, sizeof(out->name));
}

unsigned segments_descriptors(const struct segment_uses *uses, int *out)
{
	unsigned n = 0;

	while (n < VM_MAX_SHMS && uses->of[n]) {
		out[n] = uses->of[n]->fd;
		n++;
	}
	return n;
}

/* --- the next monitor --- */

void segments_record(const struct segment_uses *uses, struct vm_record *r)
{
	r->nr_shms = 0;
	for (unsigned i = 0; i < VM_MAX_SHMS && uses->of[i]; i++)
		segment_use_spec(uses->of[i], &r->shms[r->nr_shms++]);
}

static bool same_file(int a, int b)
{
	struct stat sa, sb;

	return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

/* What a worker has at the number of its segment; it may be hostile. */
static int segment_fetch(const struct vm_record *r, unsigned i, int pidfd)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int fd = pidfd_getfd(pidfd, r->shm_fd + (int)i, 0);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && (uint64_t)st.st_size == r->shms[i].bytes &&
	    (fcntl(fd, F_GET_SEALS) & seals) == seals)
		return fd;
	(void)close(fd);
	return -EPROTO;
}

static int use_adopt(struct segments *s, const struct vm_record *r, unsigned i,
		     int pidfd, struct segment_use **out)
{
	const struct worker_shm *w = &r->shms[i];
	struct shm_segment *g = segments_find(s, w->name);
	int err = 0, fd = segment_fetch(r, i, pidfd);

	if (fd < 0)
		return fd;
	if (g && !same_file(g->fd, fd))
		err = -EEXIST;
	if (g)
		(void)close(fd);
	if (err)
		return err;
	if (!g) {
		g = segment_new(s, w->name, w->bytes, w->node);
		if (!g) {
			(void)close(fd);
			return -ENOMEM;
		}
		g->fd = fd;
	}
	*out = use_new(s, g, r->name, i);
	if (*out) {
		(*out)->guarded = w->guarded;
		return 0;
	}
	segment_free_if_unused(s, g);
	return -ENOMEM;
}

int segments_adopt(struct segments *s, const struct vm_record *r, int pidfd,
		   struct segment_uses *uses)
{
	*uses = (struct segment_uses){ { NULL } };
	for (unsigned i = 0; i < r->nr_shms; i++) {
		int err = use_adopt(s, r, i, pidfd, &uses->of[i]);

		if (err) {
			segments_release(uses);
			return err;
		}
	}
	return 0;
}

int segments_create(struct segments **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void segments_destroy(struct segments *s)
{
	free(s);
}
