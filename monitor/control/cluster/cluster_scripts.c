/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/cluster/cluster_scripts.h"

#include <stdio.h>

/* $1 .. $5: the environment; $6: the command. */
static const char command_script[] =
	"DISCO_CLUSTER=$1 DISCO_ROLE=$2 DISCO_VM=$3 DISCO_INDEX=$4 "
	"DISCO_COUNT=$5;"
	"export DISCO_CLUSTER DISCO_ROLE DISCO_VM DISCO_INDEX DISCO_COUNT;"
	"log=/run/disco-up.log;"
	"(eval \"$6\") </dev/null >\"$log\" 2>&1;s=$?;"
	"[ $s = 0 ]||tail -n 5 \"$log\" >&2;exit $s";

/* The directory is new at each boot. $1: the cluster. */
static const char mark_script[] = "echo \"$1\" >/run/disco-cluster";
static const char is_marked_script[] =
	"[ \"$(cat /run/disco-cluster 2>/dev/null)\" = \"$1\" ]";

/*
 * $1: the directory. NFS version 4 needs neither rpcbind nor statd. Leases are
 * short, so that a server that comes again takes new locks after 15 s instead of
 * 90. nfsdcld remembers who had locks. /etc/rc.local, where there is no systemd
 * and no such file: the server is there again at its next boot.
 */
static const char export_script[] =
	"set -e;mkdir -p \"$1\" /etc/exports.d;"
	"echo \"$1 *(rw,sync,no_root_squash,no_subtree_check,fsid=1)\""
	" >/etc/exports.d/disco.exports;"
	"if [ -d /run/systemd/system ];then mkdir -p /etc/nfs.conf.d;"
	"printf '[nfsd]\\ngrace-time=15\\nlease-time=15\\n' "
	">/etc/nfs.conf.d/disco.conf;"
	"systemctl enable nfs-server;systemctl restart nfs-server;exit;fi;"
	"cat >/run/disco-nfs <<'END'\n"
	"#!/bin/sh\n"
	"# Made by disco up: exports what /etc/exports.d/disco.exports has.\n"
	"modprobe nfsd\n"
	"mkdir -p /var/lib/nfs/rpc_pipefs /var/lib/nfs/nfsdcld "
	"/var/lib/nfs/v4recovery /run/rpc_pipefs\n"
	"touch /var/lib/nfs/etab /var/lib/nfs/rmtab\n"
	"grep -q ' /proc/fs/nfsd ' /proc/mounts ||"
	" mount -t nfsd nfsd /proc/fs/nfsd\n"
	"grep -q ' /var/lib/nfs/rpc_pipefs ' /proc/mounts ||"
	" mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs\n"
	"pidof nfsdcld >/dev/null ||"
	" nfsdcld -p /var/lib/nfs/rpc_pipefs\n"
	"exportfs -r\n"
	"pidof rpc.mountd >/dev/null || rpc.mountd -N 2 -N 3\n"
	"[ \"$(cat /proc/fs/nfsd/threads)\" -gt 0 ] ||"
	" rpc.nfsd -G 15 -L 15 -N 3 -V 4 8\n"
	"END\n"
	"chmod 755 /run/disco-nfs;/run/disco-nfs;"
	"if [ ! -e /etc/rc.local ]||grep -q 'disco up' /etc/rc.local;then "
	"cp /run/disco-nfs /etc/rc.local;fi;"
	"[ \"$(cat /proc/fs/nfsd/threads)\" -gt 0 ]";

/* $1: the server's name; $2: its directory; $3: here; $4: options. */
static const char mount_script[] =
	"set -e;mkdir -p \"$3\";"
	"grep -q \"^$1:$2 $3 nfs\" /proc/mounts && exit 0;"
	"modprobe -q nfsv4||:;"
	"mount -t nfs -o \"$4\" \"$1:$2\" \"$3\"";

/* @script, with its name as $0. */
static void words_script(struct cluster_words *w, const char *script)
{
	w->nr = 0;
	w->words[w->nr++] = (char *)"/bin/sh";
	w->words[w->nr++] = (char *)"-c";
	w->words[w->nr++] = (char *)script;
	w->words[w->nr++] = (char *)"disco-up";
}

/* Words are not changed by whoever gets them. */
static void words_add(struct cluster_words *w, const char *text)
{
	w->words[w->nr++] = (char *)text;
}

void cluster_words_command(struct cluster_words *w, const struct cluster *c,
			   unsigned vm, const char *text)
{
	const struct cluster_role *role = cluster_role_of(c, vm);

	(void)snprintf(w->number, sizeof(w->number), "%u", vm - role->first);
	(void)snprintf(w->count, sizeof(w->count), "%u", role->nr);
	words_script(w, command_script);
	words_add(w, c->name);
	words_add(w, role->name);
	words_add(w, c->cfg.vms[vm].name);
	words_add(w, w->number);
	words_add(w, w->count);
	words_add(w, text);
}

void cluster_words_mark(struct cluster_words *w, const struct cluster *c)
{
	words_script(w, mark_script);
	words_add(w, c->name);
}

void cluster_words_is_marked(struct cluster_words *w, const struct cluster *c)
{
	words_script(w, is_marked_script);
	words_add(w, c->name);
}

void cluster_words_export(struct cluster_words *w, const struct cluster *c)
{
	words_script(w, export_script);
	words_add(w, c->nfs.path);
}

void cluster_words_mount(struct cluster_words *w, const struct cluster *c)
{
	const struct cluster_role *server = cluster_role_find(c, c->nfs.role);

	words_script(w, mount_script);
	words_add(w, c->cfg.vms[server->first].name);
	words_add(w, c->nfs.path);
	words_add(w, c->nfs.mount ? c->nfs.mount : c->nfs.path);
	words_add(w, c->nfs.options ? c->nfs.options : "vers=4.2,hard");
}
