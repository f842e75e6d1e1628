/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `disco up` runs in guests: a command of the cluster's file, and the two
 * ends of the shared directory. Each is a shell's script with arguments, so no
 * text of the file becomes part of a script of ours.
 */
#ifndef DISCO_MONITOR_CLUSTER_SCRIPTS_H
#define DISCO_MONITOR_CLUSTER_SCRIPTS_H

#include "monitor/control/cluster/cluster_file.h"

#define CLUSTER_MAX_WORDS 12u

/* A command line; its texts are those of the cluster, and @number. */
struct cluster_words {
	char *words[CLUSTER_MAX_WORDS];
	unsigned nr;
	char number[16], count[16]; /* of the VM in its role; of the role */
};

/**
 * cluster_words_command() - run @text by a shell in the VM number @vm
 * @w: out; must not be moved, as it points to itself
 *
 * DISCO_CLUSTER, DISCO_ROLE, DISCO_VM, DISCO_INDEX (in the role, from 0) and
 * DISCO_COUNT (VMs of the role) are in the environment. What it writes goes to
 * /run/disco-up.log in the guest, so that a daemon that it starts keeps no stream
 * of the guest agent open; if it fails, the last lines are printed.
 */
void cluster_words_command(struct cluster_words *w, const struct cluster *c,
			   unsigned vm, const char *text);

/*
 * Mark the VM as one in which all start commands have been run since its boot; or
 * find out whether it is: exit status 0.
 */
void cluster_words_mark(struct cluster_words *w, const struct cluster *c);
void cluster_words_is_marked(struct cluster_words *w, const struct cluster *c);

/*
 * Export the shared directory, and mount it. A guest with systemd does both by
 * its own services, and again at its next boot; another one has the tools of
 * nfs-kernel-server and nfs-common.
 */
void cluster_words_export(struct cluster_words *w, const struct cluster *c);
void cluster_words_mount(struct cluster_words *w, const struct cluster *c);

#endif
