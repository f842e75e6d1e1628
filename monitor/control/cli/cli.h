/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands that are clients of the monitor, and their common functions. Each
 * command has its options and words in a table (config/command.h).
 *
 * Context of all functions: main thread of the command.
 */
#ifndef DISCO_MONITOR_CLI_H
#define DISCO_MONITOR_CLI_H

#include <jansson.h>

#include "disco/config.h"
#include "disco/diag.h"
#include "monitor/control/config/command.h"
#include "numa/node_list.h"

#define CLI_PATH_MAX (VM_NAME_MAX + 32)

extern const struct command cli_ls, cli_stats, cli_stop, cli_restart, cli_kill,
	cli_pause, cli_resume, cli_console, cli_move, cli_policy, cli_topology,
	cli_net, cli_net_dump, cli_shm, cli_top, cli_completion, cli_cp,
	cli_freeze, cli_thaw;

/**
 * cli_number() - read a decimal number
 * @least: smallest allowed value; 86400 is the largest
 * @out:   untouched on error
 *
 * Return: 0; -EINVAL (ST_USAGE).
 */
MUST_CHECK int cli_number(const char *text, double least, double *out,
			  struct diag *d);

/**
 * cli_period() - read "off", or seconds from 0.1 to 86400
 * @ns: out; 0 for "off"; untouched on error
 *
 * Return: 0; -EINVAL (ST_USAGE).
 */
MUST_CHECK int cli_period(const char *text, uint64_t *ns, struct diag *d);

/* cli_number() for whole numbers. */
MUST_CHECK int cli_whole(const char *text, double least, unsigned *out,
			 struct diag *d);

/**
 * cli_vm_path() - make the API's path for an action on a VM
 * @vm:   as the user typed it
 * @what: the action, such as "move"
 * @path: out, "/v1/vms/VM/WHAT"
 *
 * Return: 0; -ENOENT (ST_NO_VM) no VM can have that name.
 */
MUST_CHECK int cli_vm_path(const char *vm, const char *what,
			   char path[CLI_PATH_MAX], struct diag *d);

/* Print JSON on standard output, indented; main() checks for errors. */
void cli_print_json(const json_t *root);

/* A text of an answer of the API, whose owner keeps it. Return: "" for none. */
const char *cli_text(const json_t *of, const char *key);

/*
 * Get @path and print it: as JSON if @json, else by @print, which gets the array
 * of the answer's @member. Return: ST_OK; errors of http_json().
 */
MUST_CHECK int cli_list(const char *path, const char *member, bool json,
			void (*print)(json_t *list), struct diag *d);

/* In a list of VMs, as of /v1/vms. Return: its element; NULL: none. */
const json_t *cli_find_vm(const json_t *list, const char *name);

/**
 * cli_run_detached() - `disco run -d`: hand VMs to the monitor
 * @cfg: checked; its paths are relative to the working directory
 * @d:   out on error: the reason
 *
 * Starts a monitor if none runs. Prints the names of the VMs that were started.
 * Return: ST_OK; -ENOMEM; -ETIMEDOUT a monitor was started and does not answer;
 * -errno of fork(); errors of state_dir_open() and http_call().
 */
int cli_run_detached(const struct run_config *cfg, struct diag *d);

/**
 * cli_need_monitor() - start a monitor if none runs
 *
 * Return: 0; -ETIMEDOUT it was started and does not answer; -errno of fork();
 * errors of state_dir_open().
 */
MUST_CHECK int cli_need_monitor(struct diag *d);

/**
 * cli_stop_vms() - shut VMs down, and wait for their ends
 * @names:   @nr of them, not owned
 * @limit_s: those that are not off by then are killed
 * @d:       out on error: the first VM that could not be asked
 *
 * Prints a line for each that did not shut down by itself. Return: an exit
 * status; errors of http_json().
 */
int cli_stop_vms(char *const *names, unsigned nr, unsigned limit_s,
		 struct diag *d);

/*
 * Format how old the figures of memory of @vm are, an element of "vms" of
 * GET /v1/stats: "1.5 s", "~1.5 s" if they are estimates, "-" if there are none.
 */
void cli_memory_age(const json_t *vm, char *out, size_t size);

/*
 * Format the nodes of @vm, an object with "node" and "nodes" of the API: "2",
 * "0-3". Return: @buf.
 */
const char *cli_nodes(const json_t *vm, char buf[NODE_LIST_TEXT_MAX]);

/*
 * Format "ram_on" of @vm, an element of "vms" of GET /v1/stats, in the order of
 * the nodes: "0:12M 1:40M"; "-" if there is nothing.
 */
#define CLI_NODE_PAGES_MAX 1024
const char *cli_node_pages(const json_t *vm, char buf[CLI_NODE_PAGES_MAX]);

/*
 * Frames that a port has dropped, for all reasons; @port: an element of "nets" of
 * GET /v1/stats, or of "ports" of GET /v1/nets.
 */
long long cli_net_dropped(json_t *port);

/*
 * Print the head of the table of pairs of ports, and the rows of one port, as in
 * cli_net_dropped(): whom it exchanges frames with.
 */
void cli_pairs_head(void);
void cli_pairs_print(const char *net, const char *vm, json_t *port);

/* Format a duration as "1h02m", "3m20s" or "12.3s". */
void cli_duration(uint64_t ms, char *out, size_t size);

#endif
