/* SPDX-License-Identifier: BSD-2-Clause */
/* The records of VMs in the state directory. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control/base/state_dir.h"
#include "numa/bind.h"

#define FORMAT	   1
#define RECORD_MAX 8192
#define SUFFIX	   ".json"
#define CONFIG	   ".conf"
/* Of a network: see NET_STATIONS_MAX in nets/nets.h. */
#define STATE_NET_SLOTS 253u

/* Which boot of this machine: start times are counted from it. */
static void boot_id(char *out, size_t size)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	if (fd >= 0)
		(void)close(fd);
	out[n < 0 ? 0 : n] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* [[disk, descriptor], ...] */
static json_t *pack_cached(const struct vm_record *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->nr_cached; i++)
		(void)json_array_append_new(
			list, json_pack("[i, i]", (int)r->cached[i].disk,
					r->cached[i].fd));
	return list;
}

/*
 * [[network, slot, generation, 18 numbers: MAC, IP, server, bits, routed,
 * routed4, planned6], ...]; older monitors did not write the last 2, or 8.
 */
static json_t *pack_nets(const struct vm_record *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->nr_nets; i++) {
		const struct worker_net *w = &r->nets[i];
		json_t *bytes = json_array();

		for (unsigned k = 0; k < sizeof(w->mac); k++)
			(void)json_array_append_new(bytes,
						    json_integer(w->mac[k]));
		for (unsigned k = 0; k < sizeof(w->ip); k++)
			(void)json_array_append_new(bytes,
						    json_integer(w->ip[k]));
		for (unsigned k = 0; k < sizeof(w->server); k++)
			(void)json_array_append_new(bytes,
						    json_integer(w->server[k]));
		(void)json_array_append_new(bytes, json_integer(w->bits));
		(void)json_array_append_new(bytes, json_integer(w->routed));
		(void)json_array_append_new(bytes, json_integer(w->routed4));
		(void)json_array_append_new(bytes, json_integer(w->planned6));
		(void)json_array_append_new(
			list, json_pack("[s, i, I, o]", w->net, (int)w->slot,
					(json_int_t)w->gen, bytes));
	}
	return list;
}

/* Of each network, "" for none. */
static json_t *pack_taps(const struct vm_record *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->nr_nets; i++)
		(void)json_array_append_new(list, json_string(r->taps[i]));
	return list;
}

/* Of a wide VM; else null. */
static json_t *pack_vcpu_nodes(const struct vm_record *r)
{
	json_t *list;

	if (!state_vm_is_wide(r))
		return json_null();
	list = json_array();
	for (unsigned i = 0; i < r->nr_vcpus; i++)
		(void)json_array_append_new(list,
					    json_integer(r->vcpu_nodes[i]));
	return list;
}

/* [[segment, bytes, node, guarded], ...] */
static json_t *pack_shms(const struct vm_record *r)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->nr_shms; i++)
		(void)json_array_append_new(
			list, json_pack("[s, I, i, i]", r->shms[i].name,
					(json_int_t)r->shms[i].bytes,
					(int)r->shms[i].node,
					(int)r->shms[i].guarded));
	return list;
}

static json_t *state_vm_pack(const struct vm_record *r)
{
	char boot[64];

	boot_id(boot, sizeof(boot));
	return json_pack(
		"{s:i, s:i, s:s, s:s, s:i, s:I, s:i, s:b, s:b, s:i, s:I, s:I, "
		"s:s, s:s, s:s, s:o, s:i, s:o, s:i, s:s, s:s, s:o, s:s, "
		"s:o, s:i, s:o, s:b}",
		"version", FORMAT, "protocol", (int)r->protocol, "boot", boot,
		"name", r->name, "pid", (int)r->pid, "pid_start",
		(json_int_t)r->pid_start, "node", (int)r->node, "fixed",
		r->fixed, "strict", r->strict, "vcpus", (int)r->nr_vcpus,
		"memory_bytes", (json_int_t)r->memory_bytes, "start_ns",
		(json_int_t)r->start_ns, "kernel", r->kernel, "group", r->group,
		"policy", r->policy, "cached", pack_cached(r), "restarts",
		(int)r->restarts, "nets", pack_nets(r), "net_fd", r->net_fd,
		"cluster", r->cluster, "role", r->role, "vcpu_nodes",
		pack_vcpu_nodes(r), "publish", r->publish, "shms", pack_shms(r),
		"shm_fd", r->shm_fd, "taps", pack_taps(r), "copies", r->copies);
}

static int write_new(const struct state_dir *s, const char *name,
		     const char *text)
{
	size_t len = strlen(text);
	int err = 0,
	    fd = openat(s->vms, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			0600);

	if (fd < 0)
		return -errno;
	errno = ENOSPC;
	if (write(fd, text, len) != (ssize_t)len)
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

/* The file @vm with @suffix, as a whole. */
static int state_vm_replace(const struct state_dir *s, const char *vm,
			    const char *suffix, const char *text)
{
	char name[VM_NAME_MAX + 16], temp[VM_NAME_MAX + 16];
	int err;

	(void)snprintf(name, sizeof(name), "%s%s", vm, suffix);
	/* A name never begins with a point: this is no record. */
	(void)snprintf(temp, sizeof(temp), ".%s", vm);
	err = write_new(s, temp, text);
	if (!err && renameat(s->vms, temp, s->vms, name) < 0)
		err = -errno;
	if (err)
		(void)unlinkat(s->vms, temp, 0);
	return err;
}

int state_vm_save(const struct state_dir *s, const struct vm_record *r)
{
	json_t *root = state_vm_pack(r);
	char *text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
	int err = -ENOMEM;

	json_decref(root);
	if (text)
		err = state_vm_replace(s, r->name, SUFFIX, text);
	free(text);
	return err;
}

int state_vm_save_config(const struct state_dir *s, const char *name,
			 const char *text)
{
	return state_vm_replace(s, name, CONFIG, text);
}

static int read_whole(int fd, char **text)
{
	struct stat st;
	ssize_t n;
	char *buf;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)STATE_CONFIG_MAX)
		return -E2BIG;
	buf = malloc((size_t)st.st_size + 1);
	if (!buf)
		return -ENOMEM;
	n = read(fd, buf, (size_t)st.st_size);
	if (n < 0) {
		int err = -errno;

		free(buf);
		return err;
	}
	buf[n] = '\0';
	*text = buf;
	return 0;
}

int state_vm_load_config(const struct state_dir *s, const char *name,
			 char **text)
{
	char file[VM_NAME_MAX + 16];
	int fd, err;

	(void)snprintf(file, sizeof(file), "%s" CONFIG, name);
	fd = openat(s->vms, file,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	err = read_whole(fd, text);
	(void)close(fd);
	return err;
}

void state_vm_remove(const struct state_dir *s, const char *name)
{
	char file[VM_NAME_MAX + 16];

	(void)snprintf(file, sizeof(file), "%s" SUFFIX, name);
	(void)unlinkat(s->vms, file, 0);
	(void)snprintf(file, sizeof(file), "%s" CONFIG, name);
	(void)unlinkat(s->vms, file, 0);
	(void)snprintf(file, sizeof(file), "%s.sock", name);
	(void)unlinkat(s->vms, file, 0);
}

static bool state_vm_text_ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

/* As it may have come from another process, it may be neither. */
static bool state_vm_is_bool(const bool *b)
{
	uint8_t byte;

	memcpy(&byte, b, sizeof(byte));
	return byte <= 1;
}

/* Of a cluster or role: as a VM's, or "". */
static bool state_vm_is_name(const char *text, size_t size)
{
	return state_vm_text_ends(text, size) &&
	       (!*text || vm_name_valid(text));
}

bool state_vm_is_wide(const struct vm_record *r)
{
	for (unsigned i = 0; i < r->nr_vcpus; i++)
		if (r->vcpu_nodes[i] != r->node)
			return true;
	return false;
}

void state_vm_nodes(const struct vm_record *r, struct node_list *out)
{
	out->nr = 0;
	for (unsigned i = 0; i < r->nr_vcpus; i++)
		node_list_insert(out, r->vcpu_nodes[i]);
}

void state_vm_gather(struct vm_record *r)
{
	for (unsigned i = 0; i < VM_MAX_VCPUS; i++)
		r->vcpu_nodes[i] = r->node;
}

/* Its home may be NODE_AUTO; nodes that were named are numbers. */
static bool state_vm_vcpus_sane(const struct vm_record *r)
{
	if (r->nr_vcpus < 1 || r->nr_vcpus > VM_MAX_VCPUS)
		return false;
	for (unsigned i = 0; i < r->nr_vcpus; i++)
		if (r->vcpu_nodes[i] != r->node &&
		    (r->vcpu_nodes[i] < 0 || r->vcpu_nodes[i] > NODE_ID_MAX))
			return false;
	return true;
}

static bool state_vm_shms_sane(const struct vm_record *r)
{
	if (r->nr_shms > VM_MAX_SHMS || r->shm_fd < 0)
		return false;
	for (unsigned i = 0; i < r->nr_shms; i++) {
		const struct worker_shm *s = &r->shms[i];

		if (!state_vm_text_ends(s->name, sizeof(s->name)) ||
		    !vm_name_valid(s->name) || s->bytes < SHM_MIN_BYTES ||
		    s->bytes > SHM_MAX_BYTES || s->bytes % SHM_MIN_BYTES ||
		    s->node < NODE_AUTO || s->guarded > 1)
			return false;
	}
	return true;
}

bool state_vm_sane(const struct vm_record *r)
{
	if (!state_vm_text_ends(r->name, sizeof(r->name)) ||
	    !state_vm_text_ends(r->kernel, sizeof(r->kernel)) ||
	    !state_vm_text_ends(r->group, sizeof(r->group)) ||
	    !state_vm_text_ends(r->policy, sizeof(r->policy)) ||
	    !state_vm_is_name(r->cluster, sizeof(r->cluster)) ||
	    !state_vm_is_name(r->role, sizeof(r->role)) ||
	    !state_vm_text_ends(r->publish, sizeof(r->publish)) ||
	    !state_vm_is_bool(&r->fixed) || !state_vm_is_bool(&r->strict) ||
	    !state_vm_is_bool(&r->merge) || r->nr_cached > VM_MAX_DISKS)
		return false;
	for (unsigned i = 0; i < r->nr_cached; i++)
		if (r->cached[i].disk >= VM_MAX_DISKS || r->cached[i].fd < 0)
			return false;
	if (r->nr_nets > VM_MAX_NETS || r->net_fd < 0)
		return false;
	for (unsigned i = 0; i < r->nr_nets; i++)
		if (!state_vm_text_ends(r->nets[i].net,
					sizeof(r->nets[i].net)) ||
		    !vm_name_valid(r->nets[i].net) || !r->nets[i].gen ||
		    r->nets[i].bits < 8 || r->nets[i].bits > 29 ||
		    r->nets[i].slot >= STATE_NET_SLOTS)
			return false;
	for (unsigned i = 0; i < r->nr_nets; i++)
		if (!state_vm_text_ends(r->taps[i], sizeof(r->taps[i])))
			return false;
	return state_vm_shms_sane(r) && vm_name_valid(r->name) && r->pid > 1 &&
	       r->pid_start && r->node >= NODE_AUTO && state_vm_vcpus_sane(r) &&
	       r->memory_bytes;
}

/* Not said by older monitors: then none is. */
static int unpack_cached(json_t *list, struct vm_record *r)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		struct vm_cached *c = &r->cached[i];
		int disk = -1;

		if (i == VM_MAX_DISKS ||
		    json_unpack(item, "[i, i]", &disk, &c->fd) < 0 ||
		    disk < 0 || disk >= VM_MAX_DISKS || c->fd < 0)
			return -EBADMSG;
		c->disk = (unsigned)disk;
		r->nr_cached++;
	}
	return 0;
}

static int unpack_net(json_t *item, struct worker_net *w)
{
	const char *name = "";
	json_t *bytes = NULL, *byte;
	json_int_t gen = 0;
	uint8_t v[18] = { [14] = 24 };
	int slot = -1;
	size_t i;

	if (json_unpack(item, "[s, i, I, o]", &name, &slot, &gen, &bytes) < 0 ||
	    slot < 0 || gen < 1 || gen > UINT32_MAX ||
	    strlen(name) >= sizeof(w->net) ||
	    (json_array_size(bytes) != 10 && json_array_size(bytes) != 16 &&
	     json_array_size(bytes) != sizeof(v)))
		return -EBADMSG;
	json_array_foreach(bytes, i, byte)
	{
		v[i] = (uint8_t)json_integer_value(byte);
	}
	*w = (struct worker_net){ .slot = (uint32_t)slot,
				  .gen = (uint32_t)gen };
	(void)snprintf(w->net, sizeof(w->net), "%s", name);
	memcpy(w->mac, v, 6);
	memcpy(w->ip, v + 6, 4);
	memcpy(w->server, v + 10, 4);
	w->bits = v[14];
	w->routed = v[15] != 0;
	w->routed4 = v[16] != 0;
	w->planned6 = v[17] != 0;
	return 0;
}

/* The same. */
static int unpack_nets(json_t *list, struct vm_record *r)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (i == VM_MAX_NETS || unpack_net(item, &r->nets[i]))
			return -EBADMSG;
		r->nr_nets++;
	}
	return 0;
}

/* The same. */
static int unpack_taps(json_t *list, struct vm_record *r)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *name = json_string_value(item);

		if (i >= r->nr_nets || !name || strlen(name) > NET_TAP_MAX)
			return -EBADMSG;
		(void)snprintf(r->taps[i], sizeof(r->taps[i]), "%s", name);
	}
	return 0;
}

/* The same: then all are on its node. */
static int unpack_vcpu_nodes(json_t *list, struct vm_record *r)
{
	json_t *item;
	size_t i;

	state_vm_gather(r);
	if (!list || json_is_null(list))
		return 0;
	if (json_array_size(list) != r->nr_vcpus || r->nr_vcpus > VM_MAX_VCPUS)
		return -EBADMSG;
	json_array_foreach(list, i, item)
	{
		json_int_t node = json_integer_value(item);

		if (!json_is_integer(item) || node < 0 || node > NODE_ID_MAX)
			return -EBADMSG;
		r->vcpu_nodes[i] = (nodeid_t)node;
	}
	return 0;
}

/* The same. */
static int unpack_shms(json_t *list, struct vm_record *r)
{
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		const char *name = "";
		json_int_t bytes = 0;
		int node = 0, guarded = 0;

		if (i == VM_MAX_SHMS ||
		    json_unpack(item, "[s, I, i, i]", &name, &bytes, &node,
				&guarded) < 0 ||
		    strlen(name) > VM_NAME_MAX || bytes < 0 || guarded < 0)
			return -EBADMSG;
		r->shms[i] =
			(struct worker_shm){ .bytes = (uint64_t)bytes,
					     .node = node,
					     .guarded = (uint32_t)guarded };
		(void)snprintf(r->shms[i].name, sizeof(r->shms[i].name), "%s",
			       name);
		r->nr_shms++;
	}
	return 0;
}

static int state_vm_unpack(json_t *root, struct vm_record *r)
{
	const char *name = "", *kernel = "", *boot = "";
	const char *group = GROUP_DEFAULT;
	const char *policy = "";	      /* not said by older monitors */
	const char *cluster = "", *role = ""; /* the same */
	const char *publish = "";	      /* the same */
	json_t *cached = NULL, *nets = NULL, *vcpu_nodes = NULL;
	json_t *shms = NULL, *taps = NULL;
	json_int_t pid_start = 0, memory = 0, start = 0;
	int version = 0, pid = 0, node = 0, vcpus = 0;
	int protocol = 0; /* not said by older monitors */
	int fixed = 1;	  /* not said by older monitors */
	int strict = 0;	  /* the same */
	int copies = 0;	  /* the same */
	int restarts = 0; /* the same */
	int net_fd = 0;	  /* the same */
	int shm_fd = 0;	  /* the same */
	char now[64];

	if (json_unpack(root,
			"{s:i, s?i, s:s, s:s, s:i, s:I, s:i, s?b, s?b, s:i, "
			"s:I, s:I, s:s, s?s, s?s, s?o, s?i, s?o, s?i, s?s, "
			"s?s, s?o, s?s, s?o, s?i, s?o, s?b}",
			"version", &version, "protocol", &protocol, "boot",
			&boot, "name", &name, "pid", &pid, "pid_start",
			&pid_start, "node", &node, "fixed", &fixed, "strict",
			&strict, "vcpus", &vcpus, "memory_bytes", &memory,
			"start_ns", &start, "kernel", &kernel, "group", &group,
			"policy", &policy, "cached", &cached, "restarts",
			&restarts, "nets", &nets, "net_fd", &net_fd, "cluster",
			&cluster, "role", &role, "vcpu_nodes", &vcpu_nodes,
			"publish", &publish, "shms", &shms, "shm_fd", &shm_fd,
			"taps", &taps, "copies", &copies) < 0 ||
	    version != FORMAT)
		return -EBADMSG;
	*r = (struct vm_record){ .pid = pid,
				 .pid_start = (uint64_t)pid_start,
				 .node = node,
				 .fixed = fixed != 0,
				 .strict = strict != 0,
				 .copies = copies != 0,
				 .protocol = (uint32_t)protocol,
				 .nr_vcpus = (unsigned)vcpus,
				 .memory_bytes = (uint64_t)memory,
				 .start_ns = (uint64_t)start,
				 .restarts = restarts > 0 ? (unsigned)restarts
							  : 0,
				 .net_fd = net_fd,
				 .shm_fd = shm_fd };
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	(void)snprintf(r->kernel, sizeof(r->kernel), "%s", kernel);
	(void)snprintf(r->group, sizeof(r->group), "%s", group);
	(void)snprintf(r->policy, sizeof(r->policy), "%s", policy);
	(void)snprintf(r->cluster, sizeof(r->cluster), "%s", cluster);
	(void)snprintf(r->role, sizeof(r->role), "%s", role);
	(void)snprintf(r->publish, sizeof(r->publish), "%s", publish);
	boot_id(now, sizeof(now));
	if (unpack_cached(cached, r) || unpack_nets(nets, r) ||
	    unpack_taps(taps, r) || unpack_shms(shms, r) ||
	    unpack_vcpu_nodes(vcpu_nodes, r) || !state_vm_sane(r))
		return -EBADMSG;
	return strcmp(now, boot) == 0 ? 0 : -ESTALE;
}

int state_vm_load(const struct state_dir *s, const char *name,
		  struct vm_record *out)
{
	char file[VM_NAME_MAX + 16], text[RECORD_MAX];
	struct vm_record r;
	json_t *root;
	ssize_t n;
	int fd, err;

	(void)snprintf(file, sizeof(file), "%s" SUFFIX, name);
	fd = openat(s->vms, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	(void)close(fd);
	root = n > 0 ? json_loadb(text, (size_t)n, 0, NULL) : NULL;
	if (!root)
		return -EBADMSG;
	err = state_vm_unpack(root, &r);
	json_decref(root);
	if (!err && strcmp(r.name, name) != 0)
		err = -EBADMSG;
	if (!err)
		*out = r;
	return err;
}

int state_vm_each(const struct state_dir *s,
		  void (*each)(void *arg, const char *name), void *arg)
{
	int fd = openat(s->vms, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		int err = -errno;

		if (fd >= 0)
			(void)close(fd);
		return err;
	}
	for (struct dirent *e; (e = readdir(dir));) {
		char name[VM_NAME_MAX + 1];
		size_t n = strlen(e->d_name), end = strlen(SUFFIX);

		if (n <= end || n - end > VM_NAME_MAX ||
		    strcmp(e->d_name + n - end, SUFFIX) != 0)
			continue;
		memcpy(name, e->d_name, n - end);
		name[n - end] = '\0';
		if (vm_name_valid(name))
			each(arg, name);
	}
	(void)closedir(dir);
	return 0;
}
