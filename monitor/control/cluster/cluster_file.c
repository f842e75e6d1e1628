/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/cluster/cluster_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/config/config_draft.h"
#include "monitor/control/config/config_json.h"
#include "monitor/control/config/config_reader.h"

#define CLUSTER(member) OPTION_AT(struct cluster, member)
#define ROLE(member)	OPTION_AT(struct cluster_role, member)
#define NFS(member)	OPTION_AT(struct cluster_nfs, member)

/* clang-format off */
const struct option_entry cluster_options[] = {
	{ .name = "cluster", .type = OPTION_NAME, CLUSTER(name),
	  .arg = "NAME", .needed = true, .help = "name of the cluster" },
	{ .name = "roles", .type = OPTION_ARRAY, .needed = true,
	  .help = "1 to 32 roles; they come up in this order" },
	{ .name = "nfs", .type = OPTION_OBJECT, .unset = "none",
	  .help = "a directory that the VMs share" },
	{ .name = NULL },
};

const struct option_entry cluster_role_options[] = {
	{ .name = "name", .type = OPTION_NAME, ROLE(name), .arg = "ROLE",
	  .needed = true, .help = "name of the role" },
	{ .name = "start", .type = OPTION_ARRAY, .unset = "none",
	  .help = "commands for the shell that are run in each VM, one after "
		  "the other, and must succeed" },
	{ .name = "health", .type = OPTION_ARRAY, .unset = "none",
	  .help = "commands that are tried after that until they succeed" },
	{ .name = "deadline", .type = OPTION_NUMBER, ROLE(deadline_s),
	  .arg = "SECONDS", .init = CLUSTER_DEADLINE_S, .least = 1,
	  .most = 86400, .unit = "seconds",
	  .help = "a VM has to be healthy so long after the start" },
	{ .name = "nodes", .type = OPTION_ARRAY, .unset = "chosen by load",
	  .help = "home nodes, which the VMs take in turn" },
	{ .name = NULL },
};

const struct option_entry cluster_nfs_options[] = {
	{ .name = "role", .type = OPTION_NAME, NFS(role), .arg = "ROLE",
	  .needed = true, .help = "role of the one VM that exports it" },
	{ .name = "export", .type = OPTION_TEXT, NFS(path), .arg = "DIR",
	  .most = 255, .needed = true, .help = "directory in that VM" },
	{ .name = "mount", .type = OPTION_TEXT, NFS(mount), .arg = "DIR",
	  .most = 255, .unset = "the same",
	  .help = "where the other VMs have it" },
	{ .name = "options", .type = OPTION_TOKEN, NFS(options),
	  .arg = "OPTIONS", .most = 255, .unset = "vers=4.2,hard",
	  .help = "options of mount(8)" },
	{ .name = NULL },
};
/* clang-format on */

/* A role while the file is read: its VM, which has no copies yet. */
struct role_draft {
	struct cluster_role role;
	struct vm_config vm;
	unsigned nodes[CONFIG_MAX_VMS];
	unsigned nr_nodes;
	bool has_nets;
};

struct cluster_draft {
	struct cluster *c;
	struct role_draft *roles; /* c->nr_roles of them */
};

static const struct option_entry *
cluster_option(const struct option_entry *table, const char *key)
{
	while (table->name && strcmp(table->name, key) != 0)
		table++;
	return table->name ? table : NULL;
}

/* --- arrays of a role --- */

static void cluster_texts_free(struct cluster_texts *t)
{
	for (unsigned i = 0; i < t->nr; i++)
		free(t->text[i]);
	free(t->text);
	*t = (struct cluster_texts){ .nr = 0 };
}

static int read_command(struct reader *r, json_t *v, char **out)
{
	const char *text = NULL;
	int err = reader_text(r, v, &text);

	if (err)
		return err;
	if (!*text || strlen(text) > CLUSTER_COMMAND_MAX)
		return config_fail(reader_at(r), EINVAL,
				   "a command has 1 to %u bytes",
				   CLUSTER_COMMAND_MAX);
	*out = strdup(text);
	return *out ? 0 : diag_fail(r->d, ST_HOST, ENOMEM, "out of memory");
}

static int read_commands(struct reader *r, json_t *v, struct cluster_texts *t)
{
	json_t *item;
	size_t i;

	if (!json_is_array(v))
		return reader_wrong_type(r, v, "an array");
	if (json_array_size(v) > CLUSTER_MAX_COMMANDS)
		return config_fail(reader_at(r), EINVAL, "at most %u commands",
				   CLUSTER_MAX_COMMANDS);
	t->text = calloc(json_array_size(v) + 1, sizeof(*t->text));
	if (!t->text)
		return diag_fail(r->d, ST_HOST, ENOMEM, "out of memory");
	json_array_foreach(v, i, item)
	{
		size_t len = reader_enter(r, "[%zu]", i);
		int err = read_command(r, item, &t->text[i]);

		if (err)
			return err;
		t->nr++;
		reader_leave(r, len);
	}
	return 0;
}

static int read_nodes(struct reader *r, json_t *v, struct role_draft *role)
{
	const struct option_entry *node = cluster_option(vm_options, "node");
	struct vm_config vm;
	json_t *item;
	size_t i;

	if (!json_is_array(v) || !json_array_size(v))
		return reader_wrong_type(r, v, "an array of nodes");
	vm_config_init(&vm);
	json_array_foreach(v, i, item)
	{
		size_t len = reader_enter(r, "[%zu]", i);
		int err = 0;

		if (i == ARRAY_SIZE(role->nodes))
			err = config_fail(reader_at(r), EINVAL, "too many");
		else if (!json_is_integer(item))
			err = reader_wrong_type(r, item, "a node's number");
		else
			err = reader_option(r, node, item, &vm);
		if (err)
			return err;
		role->nodes[role->nr_nodes++] = (unsigned)vm.node;
		reader_leave(r, len);
	}
	return 0;
}

/* --- a role --- */

/* Keys of a VM that its role decides. */
static bool cluster_decides(const char *key)
{
	return strcmp(key, "cluster") == 0 || strcmp(key, "role") == 0;
}

static int read_role_member(struct reader *r, const char *key, json_t *v,
			    void *obj)
{
	struct role_draft *role = obj;
	const struct option_entry *o =
		cluster_option(cluster_role_options, key);

	if (!o) {
		role->has_nets |= strcmp(key, "nets") == 0;
		return cluster_decides(key)
			       ? reader_unknown(r)
			       : config_json_vm_member(r, key, v, &role->vm);
	}
	if (strcmp(key, "start") == 0)
		return read_commands(r, v, &role->role.start);
	if (strcmp(key, "health") == 0)
		return read_commands(r, v, &role->role.health);
	if (strcmp(key, "nodes") == 0)
		return read_nodes(r, v, role);
	return reader_option(r, o, v, &role->role);
}

static int check_role(struct reader *r, const struct cluster_draft *d,
		      unsigned i)
{
	const struct role_draft *role = &d->roles[i];

	if (!role->role.name)
		return config_fail(reader_at(r), EINVAL, "has no 'name'");
	for (unsigned k = 0; k < i; k++)
		if (strcmp(d->roles[k].role.name, role->role.name) == 0)
			return config_fail(reader_at(r), EINVAL,
					   "a second role '%s'",
					   role->role.name);
	if (role->nr_nodes && role->vm.node != NODE_AUTO)
		return config_fail(reader_at(r), EINVAL,
				   "'node' is for all of its VMs, 'nodes' for "
				   "each: give one of them");
	return 0;
}

static int read_roles(struct reader *r, json_t *v, struct cluster_draft *d)
{
	size_t i, nr = json_array_size(v);
	json_t *item;

	if (!json_is_array(v))
		return reader_wrong_type(r, v, "an array");
	if (nr < 1 || nr > CLUSTER_MAX_ROLES)
		return config_fail(reader_at(r), EINVAL,
				   "1 to %u roles, not %zu", CLUSTER_MAX_ROLES,
				   nr);
	d->roles = calloc(nr, sizeof(*d->roles));
	if (!d->roles)
		return diag_fail(r->d, ST_HOST, ENOMEM, "out of memory");
	json_array_foreach(v, i, item)
	{
		struct role_draft *role = &d->roles[i];
		size_t len = reader_enter(r, "[%zu]", i);
		int err;

		d->c->nr_roles++;
		vm_config_init(&role->vm);
		option_defaults(cluster_role_options, &role->role);
		err = reader_object(r, item, read_role_member, role);
		if (!err)
			err = check_role(r, d, (unsigned)i);
		if (err)
			return err;
		reader_leave(r, len);
	}
	return 0;
}

/* --- the document --- */

static int read_nfs_member(struct reader *r, const char *key, json_t *v,
			   void *obj)
{
	const struct option_entry *o = cluster_option(cluster_nfs_options, key);

	return o ? reader_option(r, o, v, obj) : reader_unknown(r);
}

/* A path that a shell, exports(5) and a URL of mount(8) take as it is. */
static bool nfs_path_is_plain(const char *path)
{
	return *path == '/' && path[1] &&
	       path[strspn(path, "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789/._-")] == '\0';
}

static int read_nfs(struct reader *r, json_t *v, struct cluster_nfs *nfs)
{
	int err = reader_object(r, v, read_nfs_member, nfs);

	if (err)
		return err;
	if (!nfs->role || !nfs->path)
		return config_fail(reader_at(r), EINVAL, "has no '%s'",
				   nfs->role ? "export" : "role");
	if (!nfs_path_is_plain(nfs->path) ||
	    (nfs->mount && !nfs_path_is_plain(nfs->mount)))
		return config_fail(reader_at(r), EINVAL,
				   "'export' and 'mount' are absolute paths of "
				   "letters, digits and /._-");
	return 0;
}

static int read_cluster_member(struct reader *r, const char *key, json_t *v,
			       void *obj)
{
	const struct option_entry *o = cluster_option(cluster_options, key);
	struct cluster_draft *d = obj;

	if (!o)
		return reader_unknown(r);
	if (strcmp(key, "roles") == 0)
		return read_roles(r, v, d);
	if (strcmp(key, "nfs") == 0)
		return read_nfs(r, v, &d->c->nfs);
	return reader_option(r, o, v, d->c);
}

/* --- from roles to VMs --- */

static int cluster_no_memory(struct diag *d)
{
	return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
}

static int own_net(struct cluster_draft *d, struct role_draft *role,
		   const struct config_at *at)
{
	struct net_config *net = NULL;
	int err = 0;

	if (role->has_nets)
		return 0;
	err = vm_add_net(&role->vm, &net, at);
	if (!err && net)
		net->name = strdup(d->c->name);
	return err;
}

/* VM number @i of a role. */
static int cluster_make_vm(const struct cluster *c,
			   const struct role_draft *role, unsigned i,
			   struct vm_config *vm, struct diag *d)
{
	int n;

	vm_config_destroy(vm);
	if (vm_config_copy(vm, &role->vm))
		return cluster_no_memory(d);
	free(vm->name);
	n = role->vm.count > 1
		    ? asprintf(&vm->name, "%s-%s-%u", c->name, role->role.name,
			       i)
		    : asprintf(&vm->name, "%s-%s", c->name, role->role.name);
	if (n < 0)
		vm->name = NULL;
	vm->count = 1;
	vm->cluster = strdup(c->name);
	vm->role = strdup(role->role.name);
	if (role->nr_nodes)
		vm->node = (nodeid_t)role->nodes[i % role->nr_nodes];
	if (!vm->name || !vm->cluster || !vm->role)
		return cluster_no_memory(d);
	if (n > VM_NAME_MAX)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "'%.80s' is longer than the %d characters of "
				 "a VM's name",
				 vm->name, VM_NAME_MAX);
	return 0;
}

/* In all roles together. Return: 0: too many. */
static unsigned count_vms(const struct cluster_draft *d)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < d->c->nr_roles; i++)
		nr += d->roles[i].vm.count;
	return nr <= CONFIG_MAX_VMS ? nr : 0;
}

static int make_vms(struct cluster_draft *from, struct config_draft *to,
		    struct diag *d)
{
	unsigned at = 0;
	int err = 0;

	for (unsigned i = 0; i < from->c->nr_roles; i++) {
		struct role_draft *role = &from->roles[i];

		role->role.first = at;
		role->role.nr = role->vm.count;
		for (unsigned k = 0; !err && k < role->vm.count; k++)
			err = cluster_make_vm(from->c, role, k, &to->vms[at++],
					      d);
	}
	return err;
}

static bool share_a_net(const struct vm_config *a, const struct vm_config *b)
{
	for (unsigned i = 0; i < a->nr_nets; i++)
		for (unsigned k = 0; k < b->nr_nets; k++)
			if (strcmp(a->nets[i].name, b->nets[k].name) == 0)
				return true;
	return false;
}

static int check_nfs(struct cluster_draft *from, const char *file,
		     struct diag *d)
{
	const char *name = from->c->nfs.role;
	const struct role_draft *server = NULL;

	for (unsigned i = 0; name && i < from->c->nr_roles; i++)
		if (strcmp(from->roles[i].role.name, name) == 0)
			server = &from->roles[i];
	if (!name)
		return 0;
	if (!server || server->vm.count != 1)
		return diag_fail(d, ST_CONFIG, EINVAL,
				 "%s: nfs.role: '%s' is no role of one VM",
				 file, name);
	for (unsigned i = 0; i < from->c->nr_roles; i++)
		if (!share_a_net(&server->vm, &from->roles[i].vm))
			return diag_fail(d, ST_CONFIG, EINVAL,
					 "%s: nfs: roles '%s' and '%s' have no "
					 "network in common",
					 file, name, from->roles[i].role.name);
	return 0;
}

static int expand_roles(struct cluster_draft *from, struct reader *r)
{
	struct config_draft vms = { 0 };
	unsigned nr = count_vms(from);
	int err = 0;

	if (!nr)
		return diag_fail(r->d, ST_CONFIG, EINVAL,
				 "%s: at most %d VMs can run at once", r->file,
				 CONFIG_MAX_VMS);
	for (unsigned i = 0; !err && i < from->c->nr_roles; i++)
		err = own_net(from, &from->roles[i], reader_at(r));
	if (!err)
		err = check_nfs(from, r->file, r->d);
	if (!err && config_draft_init(&vms, nr))
		err = cluster_no_memory(r->d);
	if (!err)
		vms.file = strdup(r->file);
	if (!err)
		err = make_vms(from, &vms, r->d);
	if (!err)
		err = config_draft_finish(&vms, &from->c->cfg, r->d);
	config_draft_destroy(&vms);
	return err;
}

/* The roles without what was needed to read them. */
static int keep_roles(struct cluster_draft *from, struct diag *d)
{
	struct cluster *c = from->c;

	c->roles = calloc(c->nr_roles, sizeof(*c->roles));
	if (!c->roles)
		return cluster_no_memory(d);
	for (unsigned i = 0; i < c->nr_roles; i++) {
		c->roles[i] = from->roles[i].role;
		memset(&from->roles[i].role, 0, sizeof(struct cluster_role));
	}
	return 0;
}

static void cluster_role_destroy(struct cluster_role *role)
{
	option_free_texts(cluster_role_options, role);
	cluster_texts_free(&role->start);
	cluster_texts_free(&role->health);
}

static void cluster_draft_destroy(struct cluster_draft *from)
{
	for (unsigned i = 0; from->roles && i < from->c->nr_roles; i++) {
		cluster_role_destroy(&from->roles[i].role);
		vm_config_destroy(&from->roles[i].vm);
	}
	free(from->roles);
}

static int read_draft(struct reader *r, json_t *root,
		      struct cluster_draft *draft)
{
	int err = reader_object(r, root, read_cluster_member, draft);

	if (err)
		return err;
	if (!draft->c->name || !draft->roles)
		return config_fail(reader_at(r), EINVAL, "has no '%s'",
				   draft->c->name ? "roles" : "cluster");
	err = expand_roles(draft, r);
	return err ? err : keep_roles(draft, r->d);
}

static int read_cluster(struct reader *r, json_t *root, struct cluster *c)
{
	struct cluster_draft draft = { .c = c };
	int err = read_draft(r, root, &draft);

	cluster_draft_destroy(&draft);
	return err;
}

int cluster_load(const char *path, struct cluster *c, struct diag *d)
{
	struct reader r = { .file = path, .d = d };
	struct cluster done = { .name = NULL };
	json_t *root = NULL;
	int err = config_json_file(path, &root, &r.dir, d);

	if (!err)
		err = read_cluster(&r, root, &done);
	if (err) {
		config_json_one_line(d);
		cluster_destroy(&done);
	} else {
		*c = done;
	}
	free(r.dir);
	json_decref(root);
	return err;
}

void cluster_destroy(struct cluster *c)
{
	if (!c)
		return;
	for (unsigned i = 0; c->roles && i < c->nr_roles; i++)
		cluster_role_destroy(&c->roles[i]);
	free(c->roles);
	option_free_texts(cluster_nfs_options, &c->nfs);
	option_free_texts(cluster_options, c);
	run_config_destroy(&c->cfg);
	memset(c, 0, sizeof(*c));
}

const struct cluster_role *cluster_role_of(const struct cluster *c, unsigned vm)
{
	const struct cluster_role *role = c->roles;

	while (vm >= role->first + role->nr)
		role++;
	return role;
}

const struct cluster_role *cluster_role_find(const struct cluster *c,
					     const char *name)
{
	for (unsigned i = 0; i < c->nr_roles; i++)
		if (strcmp(c->roles[i].name, name) == 0)
			return &c->roles[i];
	return NULL;
}
