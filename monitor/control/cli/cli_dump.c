/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco net dump: the frames of a VM's networks, as a capture file. They come
 * from the VM's worker, through a socket that the monitor hands over; the worker
 * may be hostile.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "disco/net_dump.h"
#include "monitor/control/api/api.h"
#include "monitor/control/cli/cli.h"
#include "monitor/control/cli/http_client.h"
#include "monitor/control/nets/pcapng.h"
#include "monitor/ipc/fds.h"
#include "vnet/frame.h"

enum { DUMP_WRITE, DUMP_BYTES, DUMP_COUNT };

static const struct option_entry dump_options[] = {
	[DUMP_WRITE] = { .name = "write",
			 .letter = 'w',
			 .arg = "FILE",
			 .help = "write to FILE, not to standard output" },
	[DUMP_BYTES] = { .name = "bytes",
			 .letter = 's',
			 .arg = "N",
			 .help = "keep at most N bytes of each frame (default: "
				 "all)" },
	[DUMP_COUNT] = { .name = "count",
			 .letter = 'c',
			 .arg = "N",
			 .help = "end after N frames" },
	{ .name = NULL },
};

struct dump {
	const char *vm;
	int sock; /* -1: none */
	FILE *out;
	unsigned nr_nets, most, count; /* count 0: no end */
	uint64_t received[VM_MAX_NETS], lost[VM_MAX_NETS];
	uint64_t all;
	uint8_t message[sizeof(struct net_dump_frame) + VNET_FRAME_MAX];
};

static volatile sig_atomic_t dump_ends;

static void dump_on_signal(int number)
{
	(void)number;
	dump_ends = 1;
}

static void dump_catch_signals(void)
{
	struct sigaction a = { .sa_handler = dump_on_signal }; /* no restart */

	(void)sigaction(SIGINT, &a, NULL);
	(void)sigaction(SIGTERM, &a, NULL);
	a.sa_handler = SIG_IGN; /* the stream has the error */
	(void)sigaction(SIGPIPE, &a, NULL);
}

/* --- opening --- */

/* A line of JSON, with a descriptor. */
static int dump_receive(struct dump *u, int conn, json_t **hello,
			struct diag *d)
{
	char text[1024];
	size_t len = 0;

	while (len < sizeof(text) && (!len || text[len - 1] != '\n')) {
		char first;
		ssize_t n = recv(conn, &first, 1, MSG_PEEK); /* waits */

		if (n > 0)
			n = u->sock < 0 ? fds_receive(conn, text + len,
						      sizeof(text) - len,
						      &u->sock, 1)
					: recv(conn, text + len,
					       sizeof(text) - len, 0);
		if (n <= 0)
			break;
		len += min_u64((uint64_t)n, sizeof(text) - len);
	}
	*hello = json_loadb(text, len, 0, NULL);
	if (*hello && u->sock >= 0)
		return 0;
	return diag_fail(d, ST_HOST, EPROTO, "%s: no frames came", u->vm);
}

static int dump_open(struct dump *u, struct diag *d)
{
	char path[CLI_PATH_MAX], call[CLI_PATH_MAX + 32];
	json_t *hello = NULL, *name;
	size_t i;
	int conn = -1, err = cli_vm_path(u->vm, "dump", path, d);

	if (err)
		return err;
	(void)snprintf(call, sizeof(call), "%s?bytes=%u", path, u->most);
	err = http_upgrade(call, API_DUMP, &conn, d);
	if (err)
		return err;
	err = dump_receive(u, conn, &hello, d);
	(void)close(conn);
	if (err) {
		json_decref(hello);
		return err;
	}
	pcapng_begin(u->out);
	json_array_foreach(json_object_get(hello, "nets"), i, name)
	{
		if (!json_is_string(name) || i == VM_MAX_NETS)
			break;
		pcapng_interface(u->out, json_string_value(name), u->most);
		u->nr_nets++;
	}
	json_decref(hello);
	return 0;
}

/* --- frames --- */

/* What the guest has left to its device to do, if all of the frame is there. */
static void dump_complete(const struct net_dump_frame *f, uint8_t *bytes)
{
	struct vnet_hdr hdr;

	memcpy(&hdr, f->hdr, sizeof(hdr));
	hdr.flags &= VNET_HDR_NEEDS_CSUM;
	if (f->cut == f->len && vnet_hdr_valid(&hdr, f->len))
		vnet_csum_complete(&hdr, bytes, f->len);
}

/* Return: false: it is none. */
static bool dump_frame(struct dump *u, size_t len)
{
	uint8_t *bytes = u->message + sizeof(struct net_dump_frame);
	struct pcapng_packet p;
	struct net_dump_frame f;

	if (len < sizeof(f))
		return false;
	memcpy(&f, u->message, sizeof(f));
	if (f.net >= u->nr_nets || f.cut != len - sizeof(f) || f.cut > f.len ||
	    f.len > VNET_FRAME_MAX || f.lost < u->lost[f.net])
		return false;
	dump_complete(&f, bytes);
	p = (struct pcapng_packet){ .interface = f.net,
				    .time_ns = f.time_ns,
				    .outbound = f.way == NET_DUMP_OUT,
				    .lost = f.lost - u->lost[f.net],
				    .bytes = bytes,
				    .cut = f.cut,
				    .len = f.len };
	pcapng_packet(u->out, &p);
	u->lost[f.net] = f.lost;
	u->received[f.net]++;
	u->all++;
	return true;
}

/* Until there is a message, or one of the signals has come, be it before. */
static void dump_wait(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	sigset_t ends, others;

	(void)sigemptyset(&ends);
	(void)sigaddset(&ends, SIGINT);
	(void)sigaddset(&ends, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &ends, &others);
	if (!dump_ends)
		(void)ppoll(&p, 1, NULL, &others);
	(void)sigprocmask(SIG_SETMASK, &others, NULL);
}

/* Return: bytes of a message; 0: there are no more. */
static ssize_t dump_next(struct dump *u)
{
	ssize_t n = recv(u->sock, u->message, sizeof(u->message), MSG_DONTWAIT);

	while (n < 0 && errno == EAGAIN && !dump_ends) {
		(void)fflush(u->out); /* who reads it sees what there is */
		dump_wait(u->sock);
		n = recv(u->sock, u->message, sizeof(u->message), MSG_DONTWAIT);
	}
	return n < 0 ? 0 : n;
}

static int dump_copy(struct dump *u, struct diag *d)
{
	while (!dump_ends && !ferror(u->out) &&
	       (!u->count || u->all < u->count)) {
		ssize_t n = dump_next(u);

		if (n == 0)
			break;
		if (!dump_frame(u, (size_t)n))
			return diag_fail(
				d, ST_HOST, EPROTO,
				"%s: its worker sends what is no frame", u->vm);
	}
	return 0;
}

static int dump_finish(struct dump *u, struct diag *d)
{
	struct timespec t;
	uint64_t now, lost = 0;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	for (unsigned i = 0; i < u->nr_nets; i++) {
		pcapng_statistics(u->out, i, now, u->received[i] + u->lost[i],
				  u->lost[i]);
		lost += u->lost[i];
	}
	(void)fprintf(stderr, "disco: %s: %llu frames, %llu lost\n", u->vm,
		      (unsigned long long)u->all, (unsigned long long)lost);
	if (fflush(u->out) == 0 && !ferror(u->out))
		return 0;
	return diag_fail(d, ST_HOST, errno ? errno : EIO, "cannot write: %s",
			 strerror(errno ? errno : EIO));
}

/* --- the command --- */

static int dump_settings(const struct command_args *a, struct dump *u,
			 struct diag *d)
{
	int err = 0;

	u->most = VNET_FRAME_MAX;
	if (a->given[DUMP_BYTES])
		err = cli_whole(a->value[DUMP_BYTES], 1, &u->most, d);
	if (!err && a->given[DUMP_COUNT])
		err = cli_whole(a->value[DUMP_COUNT], 1, &u->count, d);
	u->most = (unsigned)min_u64(u->most, VNET_FRAME_MAX);
	if (!err && !a->given[DUMP_WRITE] && isatty(STDOUT_FILENO))
		return diag_fail(
			d, ST_USAGE, EINVAL,
			"a capture is no text for a terminal: give "
			"-w FILE, or a pipe as in 'disco net dump %s | "
			"tcpdump -r -'",
			u->vm);
	return err;
}

static int dump_run(const struct command_args *a, struct diag *d)
{
	const char *file = a->value[DUMP_WRITE];
	struct dump *u = calloc(1, sizeof(*u));
	int err;

	if (!u)
		return diag_fail(d, ST_HOST, ENOMEM, "out of memory");
	u->vm = a->words[0];
	u->sock = -1;
	u->out = stdout;
	err = dump_settings(a, u, d);
	if (!err && file) {
		u->out = fopen(file, "we");
		if (!u->out)
			err = diag_fail(d, ST_HOST, errno, "%s: %s", file,
					strerror(errno));
	}
	dump_catch_signals();
	if (!err)
		err = dump_open(u, d);
	if (!err)
		err = dump_copy(u, d);
	if (!err)
		err = dump_finish(u, d);
	if (u->out && u->out != stdout)
		(void)fclose(u->out);
	fds_drop(&u->sock);
	free(u);
	return err ? err : ST_OK;
}

const struct command cli_net_dump = {
	.group = "net",
	.name = "dump",
	.brief = "write the frames of a VM to a capture file",
	.words = "VM",
	.help = "Write the frames that a VM sends and receives as pcapng, "
		"until the VM ends or a signal comes. Frames that are not "
		"written fast enough are lost to the dump, and counted.",
	.min_words = 1,
	.max_words = 1,
	.options = { dump_options },
	.run = dump_run,
};
