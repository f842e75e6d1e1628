/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/config/vm_options.h"

#include <errno.h>
#include <string.h>

#include "memory/placement/policies.h"
#include "monitor/control/config/config_check.h"

#define VM(member)   OPTION_AT(struct vm_config, member)
#define DISK(member) OPTION_AT(struct disk_config, member)
#define NET(member)  OPTION_AT(struct net_config, member)
#define SHM(member)  OPTION_AT(struct shm_config, member)
#define RUN(member)  OPTION_AT(struct run_config, member)

/* clang-format off */
const struct option_entry vm_options[] = {
	{ .name = "kernel", .type = OPTION_PATH, VM(kernel), .arg = "PATH",
	  .unset = "what the first disk boots",
	  .help = "a bzImage, or an ELF file with a PVH note" },
	{ .name = "unpack", .type = OPTION_SWITCH, VM(keep_packed),
	  .of = "kernel", .inverted = true,
	  .help = "the guest decompresses the kernel itself" },
	{ .name = "initrd", .type = OPTION_PATH, VM(initrd), .arg = "PATH",
	  .help = "initial RAM disk" },
	{ .name = "cmdline", .type = OPTION_TEXT, VM(cmdline), .arg = "TEXT",
	  .most = CMDLINE_MAX, .unset = "the disk's, or console=ttyS0",
	  .help = "kernel command line" },
	{ .name = "cpus", .type = OPTION_NUMBER, VM(nr_vcpus), .arg = "N",
	  .init = 1, .least = 1, .most = VM_MAX_VCPUS,
	  .subject = "a VM has", .unit = "CPUs", .help = "virtual CPUs" },
	{ .name = "memory", .type = OPTION_SIZE, VM(memory_bytes),
	  .arg = "SIZE", .init = CONFIG_DEFAULT_MEMORY,
	  .least = VM_MIN_MEMORY, .most = VM_MAX_MEMORY,
	  .multiple = PAGE_BYTES, .subject = "a VM has", .unit = "of memory",
	  .help = "guest memory, a multiple of 4 KiB" },
	{ .name = "node", .type = OPTION_NODE, VM(node), .of = "memory",
	  .arg = "auto|N", .init = NODE_AUTO, .unset = "auto",
	  .help = "home node" },
	{ .name = "nodes", .type = OPTION_NODES, VM(nodes), .of = "memory",
	  .arg = "LIST",
	  .help = "spread CPUs and memory over these nodes, as 0-3 or 0+2; "
		  "the first is its home" },
	{ .name = "numa", .type = OPTION_CHOICE, VM(numa_show), .of = "memory",
	  .arg = "show", .unset = "hide",
	  .help = "tell the guest that it has several nodes (SRAT, SLIT)" },
	{ .name = "views", .type = OPTION_CHOICE, VM(views), .of = "memory",
	  .arg = "on", .unset = "off",
	  .help = "a KVM VM for each of its nodes (a view), experimental; see "
		  "disco(1)" },
	{ .name = "copies", .type = OPTION_SIZE, VM(copies_bytes),
	  .of = "memory", .arg = "SIZE", .least = MIB(1),
	  .most = VM_MAX_MEMORY, .multiple = PAGE_BYTES,
	  .subject = "a view has", .unit = "of copies", .unset = "none",
	  .help = "with views=on: copies of pages that are only read, up to "
		  "SIZE on each node" },
	{ .name = "strict", .type = OPTION_SWITCH, VM(strict), .of = "memory",
	  .help = "all memory is on the node, or the VM does not start" },
	{ .name = "huge", .type = OPTION_WORD, VM(huge), .of = "memory",
	  .arg = "auto|thp|off", .unset = "auto",
	  .help = "pages of 2 MiB: where nothing is shared, everywhere, or "
		  "nowhere" },
	{ .name = "merge", .type = OPTION_SWITCH, VM(merge), .of = "memory",
	  .help = "share equal pages with other VMs of the group; "
		  "requires --detach" },
	{ .name = "overcommit", .type = OPTION_SWITCH, VM(overcommit),
	  .help = "start a VM with memory=...,strict although its memory may "
		  "not fit, and reserve none" },
	{ .name = "on-panic", .type = OPTION_CHOICE, VM(keep_panicked),
	  .arg = "keep", .unset = "end",
	  .help = "a guest whose kernel panicked stays" },
	{ .name = "hints", .type = OPTION_CHOICE, VM(no_hints), .arg = "off",
	  .unset = "on",
	  .help = "a device by which the guest says how it uses its memory" },
	{ .name = "restart", .type = OPTION_WORD, VM(restart),
	  .arg = "no|on-failure|always", .unset = "no",
	  .help = "start a VM of the monitor again when it has ended; a reset "
		  "is a failure; requires --detach" },
	{ .name = "disks", .flag = "disk", .type = OPTION_DISKS, VM(disks),
	  .arg = "path=FILE[,KEY[=VALUE]]...", .most = VM_MAX_DISKS,
	  .help = "disk; may be given up to 16 times" },
	{ .name = "cloud-init", .type = OPTION_PATH, VM(cloud_init),
	  .arg = "USER-DATA", .unset = "none",
	  .help = "a seed for cloud-init (NoCloud), on one more disk" },
	{ .name = "meta-data", .type = OPTION_PATH, VM(meta_data),
	  .of = "cloud-init", .arg = "FILE", .unset = "made of the VM's name",
	  .help = "meta-data of the seed" },
	{ .name = "network-config", .type = OPTION_PATH, VM(network_config),
	  .of = "cloud-init", .arg = "FILE", .unset = "none",
	  .help = "network configuration of the seed" },
	{ .name = "nets", .flag = "net", .type = OPTION_NETS, VM(nets),
	  .arg = "name=NAME[,KEY=VALUE]...", .most = VM_MAX_NETS,
	  .help = "network between VMs; may be given up to 4 times" },
	{ .name = "publish", .type = OPTION_TOKEN, VM(publish),
	  .arg = "[ADDRESS:]PORT:PORT[/udp][,...]", .most = 255,
	  .subject = "a list of ports", .unset = "none",
	  .help = "a port of the host (127.0.0.1, or ADDRESS, of IPv6 in "
		  "brackets) leads to one of the VM, in its first network, "
		  "which gets an uplink" },
	{ .name = "shm", .type = OPTION_SHMS, VM(shms),
	  .arg = "name=NAME,size=SIZE[,KEY=VALUE]...", .most = VM_MAX_SHMS,
	  .help = "memory that VMs share, as /dev/pmemN of each; may be given "
		  "up to 4 times" },
	{ .name = "group", .type = OPTION_NAME, VM(group), .arg = "NAME",
	  .unset = GROUP_DEFAULT,
	  .help = "share cached blocks and equal pages only with VMs of this "
		  "group" },
	{ .name = "policy", .type = OPTION_POLICY, VM(policy),
	  .arg = "NAME[,KEY=N]...",
	  .unset = POLICY_STANDARD,
	  .help = "where pages of its memory are moved, see disco(1); "
		  "requires --detach" },
	{ .name = "cluster", .type = OPTION_NAME, VM(cluster), .arg = "CLUSTER",
	  .help = "the cluster that it belongs to, see disco up; requires "
		  "--detach" },
	{ .name = "role", .type = OPTION_NAME, VM(role), .of = "cluster",
	  .arg = "ROLE", .help = "its role in the cluster" },
	{ .name = "name", .type = OPTION_NAME, VM(name), .arg = "NAME",
	  .unset = "vm", .help = "name, unique among the VMs" },
	{ .name = "count", .type = OPTION_NUMBER, VM(count), .arg = "COUNT",
	  .letter = 'n', .init = 1, .least = 1, .most = CONFIG_MAX_VMS,
	  .unit = "VMs",
	  .help = "start COUNT VMs, NAME-0, NAME-1, ..." },
	{ .name = NULL },
};

const struct option_entry disk_options[] = {
	{ .name = "path", .type = OPTION_PATH, DISK(path), .arg = "FILE",
	  .help = "raw file or block device", .needed = true },
	{ .name = "format", .type = OPTION_CHOICE, DISK(raw), .arg = "raw",
	  .unset = "auto",
	  .help = "auto refuses an image of another format (qcow2, vmdk, "
		  "...); raw takes any file as it is" },
	{ .name = "cow", .type = OPTION_PATH, DISK(cow), .arg = "FILE",
	  .help = "writes go to this copy-on-write file, see 'disco image'; "
		  "{vm} in it stands for the VM's name" },
	{ .name = "snapshot", .type = OPTION_SWITCH, DISK(snapshot),
	  .help = "the guest's writes are discarded at its end" },
	{ .name = "ro", .type = OPTION_SWITCH, DISK(read_only),
	  .help = "the guest may only read it" },
	{ .name = "pmem", .type = OPTION_SWITCH, DISK(pmem),
	  .help = "memory of the guest, not a block device; requires ro, "
		  "snapshot or cow" },
	{ .name = "serial", .type = OPTION_TOKEN, DISK(serial), .arg = "TEXT",
	  .most = DISK_SERIAL_MAX, .subject = "a serial",
	  .unset = "disk0, disk1 and so on", .help = "serial number" },
	{ .name = "cache", .type = OPTION_SWITCH, DISK(no_cache),
	  .inverted = true, .help = "the buffer cache is not used" },
	{ .name = "queues", .type = OPTION_NUMBER, DISK(queues), .arg = "N",
	  .least = 1, .most = DISK_MAX_QUEUES, .subject = "a disk has",
	  .unit = "queues", .unset = "one per virtual CPU, at most 8",
	  .help = "request queues" },
	{ .name = "iops", .type = OPTION_NUMBER, DISK(iops), .arg = "N",
	  .least = 1, .most = DISK_MAX_IOPS, .unit = "requests a second",
	  .unset = "no limit", .help = "limit on requests per second" },
	{ .name = "bps", .type = OPTION_SIZE, DISK(bps), .arg = "SIZE",
	  .least = DISK_MIN_BPS, .most = DISK_MAX_BPS, .unit = "a second",
	  .unset = "no limit",
	  .help = "limit on bytes read and written per second" },
	{ .name = NULL },
};

const struct option_entry net_options[] = {
	{ .name = "name", .type = OPTION_NAME, NET(name), .arg = "NAME",
	  .help = "network; VMs that name the same one reach each other",
	  .needed = true },
	{ .name = "mac", .type = OPTION_TOKEN, NET(mac), .arg = "ADDRESS",
	  .most = 17, .subject = "a MAC address",
	  .unset = "made from the VM's address",
	  .help = "MAC address, as 02:00:00:00:00:01" },
	{ .name = "ip", .type = OPTION_TOKEN, NET(ip), .arg = "ADDRESS",
	  .most = 15, .subject = "an IPv4 address",
	  .unset = "chosen, the same at each start",
	  .help = "IPv4 address of the VM, as 10.1.0.5" },
	{ .name = "subnet", .type = OPTION_TOKEN, NET(subnet),
	  .arg = "ADDRESS/BITS", .most = 18, .subject = "a subnet",
	  .unset = "made from the network's name",
	  .help = "addresses of the network, as 10.1.0.0/24; the same for all "
		  "of its VMs" },
	{ .name = "uplink", .type = OPTION_SWITCH, NET(uplink),
	  .help = "this VM reaches the host's network through the network" },
	{ .name = "ipv6", .type = OPTION_CHOICE, NET(no_ip6), .arg = "off",
	  .unset = "on",
	  .help = "whether the uplink leads to IPv6 addresses, where the host "
		  "has a route to any" },
	{ .name = "addresses", .type = OPTION_CHOICE, NET(planned),
	  .arg = "planned", .unset = "any",
	  .help = "planned: guests have no IPv6 addresses but those made of "
		  "their MAC addresses; the same for all VMs of the network, "
		  "and always so with tap" },
	{ .name = "tap", .type = OPTION_TOKEN, NET(tap), .arg = "IFNAME",
	  .most = NET_TAP_MAX, .subject = "a network interface",
	  .unset = "none",
	  .help = "a tap device of the host, by which this VM reaches, and is "
		  "reached by, what the device leads to; the same for all VMs "
		  "of the network that have one" },
	{ .name = "queues", .type = OPTION_NUMBER, NET(queues), .arg = "N",
	  .least = 1, .most = NET_MAX_QUEUES, .subject = "a network device has",
	  .unit = "pairs of queues",
	  .unset = "one per virtual CPU, at most 8",
	  .help = "pairs of a receive and a transmit queue, at most one per "
		  "virtual CPU" },
	{ .name = NULL },
};

const struct option_entry shm_options[] = {
	{ .name = "name", .type = OPTION_NAME, SHM(name), .arg = "NAME",
	  .help = "segment; VMs that name the same one share it",
	  .needed = true },
	{ .name = "size", .type = OPTION_SIZE, SHM(bytes), .arg = "SIZE",
	  .least = SHM_MIN_BYTES, .most = SHM_MAX_BYTES,
	  .multiple = SHM_MIN_BYTES, .subject = "a segment has",
	  .unit = "of memory", .needed = true,
	  .help = "its size, a multiple of 2 MiB; the same for all of its VMs" },
	{ .name = "node", .type = OPTION_NODE, SHM(node), .arg = "auto|N",
	  .init = NODE_AUTO, .unset = "that of its first VM",
	  .help = "node of its memory; its first VM decides" },
	{ .name = NULL },
};

const struct option_entry run_options[] = {
	{ .name = "config", .arg = "FILE.json",
	  .help = "read disco.json(5); options replace its values" },
	{ .name = "detach", .type = OPTION_SWITCH, RUN(detach), .letter = 'd',
	  .help = "hand the VMs to the monitor; start one if none runs" },
	{ .name = "dry-run", .type = OPTION_SWITCH, RUN(dry_run),
	  .help = "print the plan, and start nothing" },
	{ .name = "summary", .type = OPTION_SWITCH, RUN(summary),
	  .help = "print a table at the end" },
	{ .name = "report", .type = OPTION_TEXT, RUN(report), .arg = "FILE",
	  .help = "write the figures of the run as JSON" },
	{ .name = "mark", .type = OPTION_TEXT, RUN(mark), .arg = "TEXT",
	  .help = "record the time of the first console line with TEXT" },
	{ .name = NULL },
};
/* clang-format on */

/* --- structs --- */

void vm_config_init(struct vm_config *vm)
{
	memset(vm, 0, sizeof(*vm));
	option_defaults(vm_options, vm);
}

void vm_clear_disks(struct vm_config *vm)
{
	for (unsigned i = 0; i < vm->nr_disks; i++)
		option_free_texts(disk_options, &vm->disks[i]);
	memset(vm->disks, 0, sizeof(vm->disks));
	vm->nr_disks = 0;
}

void vm_clear_nets(struct vm_config *vm)
{
	for (unsigned i = 0; i < vm->nr_nets; i++)
		option_free_texts(net_options, &vm->nets[i]);
	memset(vm->nets, 0, sizeof(vm->nets));
	vm->nr_nets = 0;
}

void vm_clear_shms(struct vm_config *vm)
{
	for (unsigned i = 0; i < vm->nr_shms; i++)
		option_free_texts(shm_options, &vm->shms[i]);
	memset(vm->shms, 0, sizeof(vm->shms));
	vm->nr_shms = 0;
}

void vm_config_destroy(struct vm_config *vm)
{
	vm_clear_shms(vm);
	vm_clear_disks(vm);
	vm_clear_nets(vm);
	option_free_texts(vm_options, vm);
	memset(vm, 0, sizeof(*vm));
}

/*
 * The assignment copies each field, so none is left out when fields are added;
 * then what must not be shared is replaced by copies.
 */
int vm_config_copy(struct vm_config *to, const struct vm_config *from)
{
	int err;

	*to = *from;
	err = option_own_texts(vm_options, to);
	for (unsigned i = 0; i < to->nr_disks; i++)
		if (option_own_texts(disk_options, &to->disks[i]))
			err = -ENOMEM;
	for (unsigned i = 0; i < to->nr_nets; i++)
		if (option_own_texts(net_options, &to->nets[i]))
			err = -ENOMEM;
	for (unsigned i = 0; i < to->nr_shms; i++)
		if (option_own_texts(shm_options, &to->shms[i]))
			err = -ENOMEM;
	return err;
}

int vm_add_disk(struct vm_config *vm, struct disk_config **out,
		const struct config_at *at)
{
	if (vm->nr_disks == VM_MAX_DISKS)
		return config_fail(at, EINVAL, "a VM has at most %d disks",
				   VM_MAX_DISKS);
	*out = &vm->disks[vm->nr_disks++];
	option_defaults(disk_options, *out);
	return 0;
}

int vm_add_net(struct vm_config *vm, struct net_config **out,
	       const struct config_at *at)
{
	if (vm->nr_nets == VM_MAX_NETS)
		return config_fail(at, EINVAL, "a VM has at most %d networks",
				   VM_MAX_NETS);
	*out = &vm->nets[vm->nr_nets++];
	option_defaults(net_options, *out);
	return 0;
}

int vm_add_shm(struct vm_config *vm, struct shm_config **out,
	       const struct config_at *at)
{
	if (vm->nr_shms == VM_MAX_SHMS)
		return config_fail(at, EINVAL, "a VM has at most %d segments",
				   VM_MAX_SHMS);
	*out = &vm->shms[vm->nr_shms++];
	option_defaults(shm_options, *out);
	return 0;
}

const struct option_entry *vm_option_items(const struct option_entry *o)
{
	if (o->type == OPTION_DISKS)
		return disk_options;
	if (o->type == OPTION_SHMS)
		return shm_options;
	return o->type == OPTION_NETS ? net_options : NULL;
}

/* --- command line --- */

static int apply_disk(struct vm_config *vm, const char *arg,
		      const struct config_at *at)
{
	struct disk_config *disk = NULL;
	int err;

	err = vm_add_disk(vm, &disk, at);
	if (err || !disk)
		return err;
	err = option_parse_list(disk_options, NULL, disk, arg, at);
	if (err)
		return err;
	if (!disk->path)
		return config_fail(at, EINVAL, "'%s' has no path=FILE", arg);
	return disk_check(disk, at);
}

static int apply_net(struct vm_config *vm, const char *arg,
		     const struct config_at *at)
{
	struct net_config *net = NULL;
	int err;

	err = vm_add_net(vm, &net, at);
	if (err || !net)
		return err;
	err = option_parse_list(net_options, NULL, net, arg, at);
	if (err)
		return err;
	if (!net->name)
		return config_fail(at, EINVAL, "'%s' has no name=NAME", arg);
	return net_check(net, at);
}

static int apply_shm(struct vm_config *vm, const char *arg,
		     const struct config_at *at)
{
	struct shm_config *shm = NULL;
	int err;

	err = vm_add_shm(vm, &shm, at);
	if (err || !shm)
		return err;
	err = option_parse_list(shm_options, NULL, shm, arg, at);
	return err ? err : shm_check(shm, at);
}

int vm_option_apply(const struct option_entry *o, const char *arg,
		    struct vm_config *vm, struct diag *d)
{
	char where[32];
	const struct config_at at = { where, ST_USAGE, d };

	(void)snprintf(where, sizeof(where), "--%s", option_flag(o));
	if (o->type == OPTION_DISKS)
		return apply_disk(vm, arg, &at);
	if (o->type == OPTION_NETS)
		return apply_net(vm, arg, &at);
	if (o->type == OPTION_SHMS)
		return apply_shm(vm, arg, &at);
	if (option_has_keys(vm_options, o))
		return option_parse_list(vm_options, o, vm, arg, &at);
	return option_parse(o, vm, arg, &at);
}

/* --- what others ask --- */

static const char *relative_of(const struct option_entry *table,
			       const void *obj, const char *found)
{
	for (const struct option_entry *o = table; o->name; o++)
		if (o->type == OPTION_PATH && option_text(o, obj) &&
		    *option_text(o, obj) != '/')
			found = option_text(o, obj);
	return found;
}

const char *vm_relative_path(const struct vm_config *vm)
{
	const char *found = relative_of(vm_options, vm, NULL);

	for (unsigned i = 0; i < vm->nr_disks; i++)
		found = relative_of(disk_options, &vm->disks[i], found);
	return found;
}

void disk_print(const struct disk_config *disk, FILE *out)
{
	(void)fputs(disk->path, out);
	for (const struct option_entry *o = disk_options; o->name; o++) {
		if (o->needed || !option_is_given(o, disk))
			continue;
		(void)fprintf(out, ",%s", o->name);
		if (o->type == OPTION_SWITCH && !o->inverted)
			continue;
		(void)fputc('=', out);
		option_print(o, disk, out);
	}
}
