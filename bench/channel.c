/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-channel: nanoseconds a message, numa/channel against what the kernel
 * has, in the same run, between two processes pinned to two CPUs.
 *
 *	channel [--rounds N] [--messages N] [--seed N] [--commit TEXT]
 *		[--out FILE.json]	the table
 *	channel --check N		N messages, each word checked; for soak
 *	channel --busy N		N messages, nobody ever sleeps
 *
 * Rounds are interleaved, in an order drawn from the seed. With strace
 * installed, the program counts its own system calls for two numbers of
 * messages (--busy): their difference is what messages cost.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#include "bench/two_cpus.h"
#include "numa/channel.h"
#include "numa/region.h"

#define NR_WORDS  8 /* of a message */
#define MSG_BYTES (NR_WORDS * sizeof(uint64_t))
#define NR_SLOTS  1024

static void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

/* --- two processes on two CPUs -------------------------------------------- */

/* One channel, each end as its process would have it. */
struct link {
	struct region ring, reader;
	struct region_view ring_view, reader_view;
	int tx_fd, rx_fd;
};

static const struct chan_shape shape = { NR_SLOTS, MSG_BYTES };

static void region_pair(struct region *r, struct region_view *v, size_t bytes)
{
	int fd;

	bytes = align_up(bytes, PAGE_BYTES);
	must(region_create(r, "bench", bytes, NODE_AUTO, 0), "region_create");
	must(region_reader_fd(r->fd, &fd), "region_reader_fd");
	must(region_attach(v, fd, bytes), "region_attach");
	close(fd);
}

static void link_create(struct link *l)
{
	region_pair(&l->ring, &l->ring_view, chan_ring_bytes(shape));
	region_pair(&l->reader, &l->reader_view, sizeof(struct chan_reader));
	must(chan_wake_create(&l->tx_fd, &l->rx_fd), "chan_wake_create");
}

static void link_destroy(struct link *l)
{
	close(l->tx_fd);
	close(l->rx_fd);
	region_detach(&l->ring_view);
	region_detach(&l->reader_view);
	region_destroy(&l->ring);
	region_destroy(&l->reader);
}

static void open_tx(const struct link *l, struct chan_tx *tx)
{
	must(chan_tx_init(tx, shape, l->ring.base, l->reader_view.base,
			  l->tx_fd),
	     "chan_tx_init");
}

static void open_rx(const struct link *l, struct chan_rx *rx)
{
	must(chan_rx_init(rx, shape, l->reader.base, l->ring_view.base,
			  l->rx_fd),
	     "chan_rx_init");
}

/* What both sides of a measurement have. Indexed by side that writes. */
struct setup {
	struct link links[2];
	int fds[2][2];		 /* [side][0: read, 1: write] */
	_Atomic(unsigned) *meet; /* [A: both, seq_cst] */
	uint64_t nr;
	uint64_t nr_wakeups; /* out, of side 0 */
};

/* Both are there and warm. */
static void meet(const struct setup *s, unsigned target)
{
	atomic_fetch_add(s->meet, 1);
	while (atomic_load(s->meet) < target)
		relax();
}

static void send_busy(struct chan_tx *tx, const uint64_t *msg)
{
	int err;

	while ((err = chan_try_send(tx, msg)) == -EAGAIN)
		relax();
	must(err, "chan_try_send");
}

static void recv_busy(struct chan_rx *rx, uint64_t *msg)
{
	int err;

	while ((err = chan_try_recv(rx, msg)) == -EAGAIN)
		relax();
	must(err, "chan_try_recv");
}

static void recv_sleeping(struct chan_rx *rx, uint64_t *msg)
{
	int err;

	while ((err = chan_try_recv(rx, msg)) == -EAGAIN) {
		struct pollfd pfd = { .fd = rx->wake_fd, .events = POLLIN };

		if (chan_sleep_begin(rx))
			continue;
		if (poll(&pfd, 1, 60000) != 1) {
			fprintf(stderr, "bench-channel: wake-up lost\n");
			exit(1);
		}
		chan_sleep_end(rx);
	}
	must(err, "chan_try_recv");
}

/* --- what is measured: each runs in both processes, side 0 and 1 ---------- */

static void channel_one_way(struct setup *s, int side)
{
	uint64_t msg[NR_WORDS] = { 0 };
	struct chan_tx tx;
	struct chan_rx rx;

	if (side == 0) {
		open_tx(&s->links[0], &tx);
		for (uint64_t i = 0; i < s->nr; i++) {
			msg[0] = i;
			send_busy(&tx, msg);
		}
		s->nr_wakeups = tx.nr_wakeups;
		return;
	}
	open_rx(&s->links[0], &rx);
	for (uint64_t i = 0; i < s->nr; i++)
		recv_busy(&rx, msg);
}

static void channel_round_trips(struct setup *s, int side,
				void (*receive)(struct chan_rx *, uint64_t *))
{
	uint64_t msg[NR_WORDS] = { 0 };
	struct chan_tx tx;
	struct chan_rx rx;

	open_tx(&s->links[side], &tx);
	open_rx(&s->links[!side], &rx);
	for (uint64_t i = 0; i < s->nr; i++) {
		if (side == 0)
			send_busy(&tx, msg);
		receive(&rx, msg);
		if (side == 1)
			send_busy(&tx, msg);
	}
	s->nr_wakeups = tx.nr_wakeups;
}

static void channel_ping_pong(struct setup *s, int side)
{
	channel_round_trips(s, side, recv_busy);
}

static void channel_sleeping(struct setup *s, int side)
{
	channel_round_trips(s, side, recv_sleeping);
}

static void put(int fd, const void *msg, size_t bytes)
{
	if (write(fd, msg, bytes) != (ssize_t)bytes)
		fail("write");
}

static void get(int fd, void *msg, size_t bytes)
{
	if (read(fd, msg, bytes) != (ssize_t)bytes)
		fail("read");
}

static void fd_ping_pong(struct setup *s, int side, size_t bytes)
{
	uint64_t msg[NR_WORDS] = { 1 };

	for (uint64_t i = 0; i < s->nr; i++) {
		if (side == 0)
			put(s->fds[0][1], msg, bytes);
		get(s->fds[side][0], msg, bytes);
		if (side == 1)
			put(s->fds[1][1], msg, bytes);
	}
}

/* The kernel's work alone: nobody sleeps, so nobody has to be woken. */
static void polled_ping_pong(struct setup *s, int side)
{
	uint64_t msg[NR_WORDS] = { 1 };

	for (uint64_t i = 0; i < s->nr; i++) {
		if (side == 0)
			put(s->fds[0][1], msg, MSG_BYTES);
		while (recv(s->fds[side][0], msg, MSG_BYTES, MSG_DONTWAIT) < 0)
			if (errno != EAGAIN)
				fail("recv");
		if (side == 1)
			put(s->fds[1][1], msg, MSG_BYTES);
	}
}

static void message_ping_pong(struct setup *s, int side)
{
	fd_ping_pong(s, side, MSG_BYTES);
}

static void eventfd_ping_pong(struct setup *s, int side)
{
	fd_ping_pong(s, side, sizeof(uint64_t));
}

static void message_one_way(struct setup *s, int side)
{
	uint64_t msg[NR_WORDS] = { 0 };

	for (uint64_t i = 0; i < s->nr; i++)
		if (side == 0)
			put(s->fds[0][1], msg, MSG_BYTES);
		else
			get(s->fds[1][0], msg, MSG_BYTES);
}

/* fds[side]: where this side reads, and where it writes. */
static void make_socket(int fds[2][2])
{
	int sv[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv),
	     "socketpair");
	fds[0][0] = fds[0][1] = sv[0];
	fds[1][0] = fds[1][1] = sv[1];
}

static void make_pipes(int fds[2][2])
{
	int forth[2], back[2];

	must(pipe(forth), "pipe");
	must(pipe(back), "pipe");
	fds[0][0] = back[0];
	fds[0][1] = forth[1];
	fds[1][0] = forth[0];
	fds[1][1] = back[1];
}

static void make_eventfds(int fds[2][2])
{
	fds[0][0] = fds[1][1] = eventfd(0, EFD_CLOEXEC);
	fds[1][0] = fds[0][1] = eventfd(0, EFD_CLOEXEC);
	must(fds[0][0], "eventfd");
	must(fds[1][0], "eventfd");
}

static const struct peer {
	const char *name;
	bool round_trip;
	unsigned share; /* of --messages: one in so many */
	void (*run)(struct setup *s, int side);
	void (*make)(int fds[2][2]); /* NULL: channels */
} peers[] = {
	{ "channel one way", false, 1, channel_one_way, NULL },
	{ "channel", true, 4, channel_ping_pong, NULL },
	{ "seqpacket one way", false, 10, message_one_way, make_socket },
	{ "seqpacket polled", true, 10, polled_ping_pong, make_socket },
	{ "seqpacket", true, 200, message_ping_pong, make_socket },
	{ "pipe", true, 200, message_ping_pong, make_pipes },
	{ "eventfd", true, 200, eventfd_ping_pong, make_eventfds },
	{ "channel sleeping", true, 200, channel_sleeping, NULL },
};
#define NR_PEERS   ARRAY_SIZE(peers)
#define ONE_WAY	   0
#define PING_PONG  1
#define SEQ_PACKET 4

static void close_all(int fds[2][2])
{
	for (int i = 0; i < 4; i++) {
		int fd = fds[i / 2][i % 2];
		bool seen = false;

		for (int k = 0; k < i; k++)
			seen |= fds[k / 2][k % 2] == fd;
		if (!seen)
			close(fd);
	}
}

/* ns a message or a round trip, until the other side has done its part too */
static double measure(const struct peer *p, uint64_t nr, uint64_t *nr_wakeups)
{
	struct setup s = { .nr = nr };
	uint64_t start;
	int status;
	pid_t pid;

	s.meet = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s.meet == MAP_FAILED)
		fail("mmap");
	for (int i = 0; i < 2; i++)
		link_create(&s.links[i]);
	if (p->make)
		p->make(s.fds);
	pid = fork();
	must(pid, "fork");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(pid == 0);
	meet(&s, 2);
	start = clock_now_ns();
	p->run(&s, pid == 0);
	meet(&s, 4);
	start = clock_now_ns() - start;
	if (pid == 0)
		_exit(0);
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "bench-channel: %s: other side failed\n",
			p->name);
		exit(1);
	}
	if (p->make)
		close_all(s.fds);
	for (int i = 0; i < 2; i++)
		link_destroy(&s.links[i]);
	munmap(s.meet, PAGE_BYTES);
	*nr_wakeups = s.nr_wakeups;
	return (double)start / (double)nr;
}

/* --- soak ----------------------------------------------------------------- */

static uint64_t word(uint64_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15u;
}

/* Bursts, so that the ring is full and empty in turn and the reader sleeps. */
static void checked(struct setup *s, int side)
{
	uint64_t msg[NR_WORDS], sum = 0, want = 0;
	struct chan_tx tx;
	struct chan_rx rx;

	if (side == 0) {
		open_tx(&s->links[0], &tx);
		for (uint64_t i = 0; i < s->nr; i++) {
			for (unsigned w = 0; w < NR_WORDS; w++)
				msg[w] = word(i) ^ w;
			send_busy(&tx, msg);
			if (word(i) >> 52 == 0)
				usleep(50);
		}
		s->nr_wakeups = tx.nr_wakeups;
		return;
	}
	open_rx(&s->links[0], &rx);
	for (uint64_t i = 0; i < s->nr; i++) {
		recv_sleeping(&rx, msg);
		for (unsigned w = 0; w < NR_WORDS; w++) {
			sum += msg[w];
			want += word(i) ^ w;
		}
		if (sum != want) {
			fprintf(stderr,
				"bench-channel: message %llu is wrong\n",
				(unsigned long long)i);
			_exit(1);
		}
	}
}

static void check(uint64_t nr)
{
	const struct peer p = { "check", false, 1, checked, NULL };
	uint64_t nr_wakeups;
	double ns = measure(&p, nr, &nr_wakeups);

	printf("bench-channel: %llu messages checked, 0 wrong, %.1f ns a "
	       "message, %llu wake-ups\n",
	       (unsigned long long)nr, ns, (unsigned long long)nr_wakeups);
}

static void busy(uint64_t nr)
{
	uint64_t nr_wakeups;

	measure(&peers[ONE_WAY], nr, &nr_wakeups);
	measure(&peers[PING_PONG], nr, &nr_wakeups);
}

/* --- system calls, by strace ---------------------------------------------- */

/* All system calls of this program run with --busy @nr; -1: no strace. */
static long count_calls(const char *self, uint64_t nr)
{
	char command[4096], line[256];
	long calls = -1, n;
	FILE *f;

	snprintf(command, sizeof(command),
		 "strace -f -c -o /dev/fd/3 %s --busy %llu 3>&1 1>/dev/null "
		 "2>/dev/null",
		 self, (unsigned long long)nr);
	f = popen(command, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (strstr(line, " total") &&
		    sscanf(line, "%*s %*s %*s %ld", &n) == 1)
			calls = n;
	return pclose(f) == 0 ? calls : -1;
}

#define FEW	  1000u
#define MANY_MORE 1000000u

/* Calls that so many more messages made. False: cannot be told. */
static bool calls_of_messages(const char *self, long *calls)
{
	long few = count_calls(self, FEW);
	long many = count_calls(self, FEW + MANY_MORE);

	if (few < 0 || many < 0)
		return false;
	*calls = many - few;
	return true;
}

/* --- the table ------------------------------------------------------------ */

struct options {
	struct bench_options every;
	uint64_t messages;
};

struct row {
	double ns[MAX_ROUNDS], median;
	uint64_t nr, nr_wakeups;
};

static void run_rounds(const struct options *o, struct row *rows)
{
	srandom(o->every.seed);
	for (unsigned r = 0; r < o->every.rounds; r++) {
		size_t order[NR_PEERS] = { 0 };

		draw_order(order, NR_PEERS);
		for (size_t i = 0; i < NR_PEERS; i++) {
			const struct peer *p = &peers[order[i]];
			struct row *row = &rows[order[i]];
			uint64_t nr_wakeups;

			row->nr = o->messages / p->share;
			row->ns[r] = measure(p, row->nr, &nr_wakeups);
			row->nr_wakeups += nr_wakeups;
		}
	}
	for (size_t i = 0; i < NR_PEERS; i++)
		rows[i].median = median(rows[i].ns, o->every.rounds);
}

static void print_table(const struct options *o, const struct row *rows,
			bool traced, long calls)
{
	printf("bench-channel: commit %s, CPUs %d and %d, %zu-byte messages, "
	       "median (least, most) of %u rounds\n",
	       o->every.commit, cpus[0], cpus[1], MSG_BYTES, o->every.rounds);
	printf("%-18s%12s%10s%10s%14s%10s%10s\n", "", "ns", "least", "most",
	       "a second", "wake-ups", "ratio");
	for (size_t i = 0; i < NR_PEERS; i++)
		printf("%-18s%12.1f%10.1f%10.1f%14.0f%10llu%9.1fx\n",
		       peers[i].name, rows[i].median, rows[i].ns[0],
		       rows[i].ns[o->every.rounds - 1], 1e9 / rows[i].median,
		       (unsigned long long)rows[i].nr_wakeups,
		       rows[SEQ_PACKET].median / rows[i].median);
	printf("ns a message (one way) or a round trip; ratio: of seqpacket's "
	       "round trip to it\n");
	if (traced)
		printf("strace: %ld system calls more for %u messages one way "
		       "and as many round trips more\n",
		       calls, MANY_MORE);
	else
		printf("strace: SKIP: not installed, or may not trace\n");
}

static void write_json(const struct bench_options *o, const struct row *rows,
		       bool traced, long calls)
{
	FILE *f = json_open(o, "channel");

	fprintf(f,
		", \"message_bytes\": %zu, \"pinned\": [%d, %d],"
		"\n \"system_calls_per_million\": ",
		MSG_BYTES, cpus[0], cpus[1]);
	fprintf(f, traced ? "%ld" : "null", calls);
	fprintf(f, ",\n \"rows\": [");
	for (size_t i = 0; i < NR_PEERS; i++) {
		fprintf(f,
			"%s\n  {\"peer\": \"%s\", \"round_trip\": %s, "
			"\"messages\": %llu, \"ns\": %.1f,\n"
			"   \"ratio_to_seqpacket_round_trip\": %.4f, "
			"\"wakeups\": %llu, \"all_ns\": [",
			i ? "," : "", peers[i].name,
			peers[i].round_trip ? "true" : "false",
			(unsigned long long)rows[i].nr, rows[i].median,
			rows[i].median / rows[SEQ_PACKET].median,
			(unsigned long long)rows[i].nr_wakeups);
		for (unsigned r = 0; r < o->rounds; r++)
			fprintf(f, "%s%.1f", r ? ", " : "", rows[i].ns[r]);
		fprintf(f, "]}");
	}
	fprintf(f, "\n ]}\n");
	if (fclose(f))
		fail(o->out);
}

static void bench(const struct options *o, const char *self)
{
	static struct row rows[NR_PEERS];
	long calls = 0;
	bool traced;

	/* Before this process is pinned. */
	traced = calls_of_messages(self, &calls);
	run_rounds(o, rows);
	print_table(o, rows, traced, calls);
	if (o->every.out)
		write_json(&o->every, rows, traced, calls);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		BENCH_OPTIONS,
		{ "messages", 1, NULL, 'm' },
		{ "check", 1, NULL, 'k' },
		{ "busy", 1, NULL, 'b' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { { 31, 1, "unknown", NULL }, 400000 };
	int opt;

	find_cpus("bench-channel");
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt == 'm')
			o.messages = strtoull(optarg, NULL, 10);
		else if (opt == 'k' || opt == 'b')
			return (opt == 'k' ? check
					   : busy)(strtoull(optarg, NULL, 10)),
			       0;
		else if (!bench_option(&o.every, opt))
			return 2;
	}
	if (!bench_rounds_valid(&o.every) || o.messages < 200)
		return 2;
	bench(&o, argv[0]);
	return 0;
}
