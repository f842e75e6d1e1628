/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-ring: frames per second from one port of a virtual network to another
 * one (vnet/port.h), between two processes pinned to two CPUs, against a Unix
 * socket and a pipe in the same run. Each frame is copied in by the sender from
 * a buffer of its own, and copied out by the receiver.
 *
 *	ring [--rounds N] [--megabytes N] [--seed N] [--commit TEXT]
 *	     [--out FILE.json]
 *
 * Nobody sleeps while it is measured, so the figure is one of the rings and not
 * of the scheduler. Rounds are interleaved in an order drawn from the seed. The
 * receiver counts the frames and adds up their first words; a wrong sum ends
 * the program.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/two_cpus.h"
#include "vnet/port.h"

#define BATCH 64u /* frames that a device sends before it flushes */

struct setup {
	int region[2], reader[2], tx[2], rx[2]; /* of ports */
	int fds[2];				/* 0: read, 1: write */
	_Atomic(unsigned) *meet;		/* [A: both, seq_cst] */
	uint64_t nr;
	uint32_t bytes; /* of a frame */
};

static void meet(const struct setup *s, unsigned target)
{
	atomic_fetch_add(s->meet, 1);
	while (atomic_load(s->meet) < target)
		__builtin_ia32_pause();
}

static uint8_t frame[VNET_FRAME_MAX], got[VNET_FRAME_MAX];

static void expect(const struct setup *s, uint64_t sum)
{
	if (sum == s->nr * (s->nr - 1) / 2)
		return;
	fprintf(stderr, "bench-ring: frames were lost or wrong\n");
	_exit(1);
}

static void number(uint64_t i)
{
	memcpy(frame + 16, &i, sizeof(i));
}

static uint64_t number_of(void)
{
	uint64_t i;

	memcpy(&i, got + 16, sizeof(i));
	return i;
}

/* --- the ring ------------------------------------------------------------- */

static struct vnet_port *port_open(const struct setup *s, int side)
{
	const struct vnet_station names[2] = {
		{ .mac = { 2, 0, 0, 0, 0, 1 } }, { .mac = { 2, 0, 0, 0, 0, 2 } }
	};
	const struct vnet_plan plan = { .bits = 24 };
	struct vnet_port *p;
	int other = !side;

	must(vnet_port_create(dup(s->region[side]), dup(s->rx[side]),
			      (uint32_t)side, 1, &names[side], &plan, &p),
	     "vnet_port_create");
	must(vnet_port_add(p, (uint32_t)other, 1, &names[other],
			   dup(s->reader[other]), dup(s->tx[other])),
	     "vnet_port_add");
	return p;
}

static void ring_send(const struct setup *s, struct vnet_port *p)
{
	struct vnet_peer *to = p->peers[1];

	for (uint64_t i = 0; i < s->nr; i++) {
		struct vnet_buf b;

		while (vnet_port_room(p, to, s->bytes))
			__builtin_ia32_pause();
		number(i);
		vnet_port_begin(p, s->bytes, &b);
		memcpy(b.bytes, frame, s->bytes);
		vnet_port_send(p, &b, to, s->bytes, false);
		if (i % BATCH == BATCH - 1)
			vnet_port_flush(p);
	}
	vnet_port_flush(p);
}

static void ring_receive(const struct setup *s, struct vnet_port *p)
{
	uint64_t sum = 0, i = 0;
	struct vnet_frame f;

	while (i < s->nr) {
		if (!vnet_port_next(p, &f)) {
			vnet_port_settle(p);
			__builtin_ia32_pause();
			continue;
		}
		memcpy(got, f.bytes, f.len);
		vnet_port_take(p, &f);
		sum += number_of();
		i++;
	}
	vnet_port_settle(p);
	expect(s, sum);
}

static void ring_run(const struct setup *s, int side)
{
	struct vnet_port *p = port_open(s, side);

	meet(s, 2);
	if (side == 0)
		ring_send(s, p);
	else
		ring_receive(s, p);
	meet(s, 4);
	vnet_port_destroy(p);
}

/* --- its rivals ----------------------------------------------------------- */

static void rival_run(const struct setup *s, int side)
{
	uint64_t sum = 0;

	meet(s, 2);
	for (uint64_t i = 0; i < s->nr; i++) {
		size_t done = 0;

		number(i);
		while (done < s->bytes) {
			ssize_t n = side == 0 ? write(s->fds[1], frame + done,
						      s->bytes - done)
					      : read(s->fds[0], got + done,
						     s->bytes - done);

			if (n <= 0)
				fail("rival");
			done += (size_t)n;
		}
		sum += side ? number_of() : 0;
	}
	if (side)
		expect(s, sum);
	meet(s, 4);
}

static void make_socket(int fds[2])
{
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds),
	     "socketpair");
	/* A frame of 64 KiB fits, and a few. */
	(void)setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &(int){ 1 << 20 },
			 sizeof(int));
}

static void make_pipe(int fds[2])
{
	must(pipe(fds), "pipe");
}

static const struct peer {
	const char *name;
	unsigned share; /* one of so many of --megabytes */
	void (*run)(const struct setup *s, int side);
	void (*make)(int fds[2]); /* NULL: none */
} peers[] = {
	{ "vnet", 1, ring_run, NULL },
	{ "socket", 16, rival_run, make_socket },
	{ "pipe", 16, rival_run, make_pipe },
};
static const uint32_t sizes[] = { 64, 65536 };

#define NR_PEERS ARRAY_SIZE(peers)
#define NR_SIZES ARRAY_SIZE(sizes)
#define NR_ROWS	 (NR_PEERS * NR_SIZES)

static void make_ports(struct setup *s)
{
	for (int i = 0; i < 2; i++) {
		must(region_prepare("bench-ring", sizeof(struct vnet_shared),
				    NODE_AUTO, &s->region[i]),
		     "region_prepare");
		must(region_reader_fd(s->region[i], &s->reader[i]),
		     "region_reader_fd");
		must(chan_wake_create(&s->tx[i], &s->rx[i]),
		     "chan_wake_create");
	}
}

static void close_ports(struct setup *s)
{
	for (int i = 0; i < 2; i++) {
		close(s->region[i]);
		close(s->reader[i]);
		close(s->tx[i]);
		close(s->rx[i]);
	}
}

/* ns per frame, until the receiver has the last one. */
static double measure(const struct peer *p, uint32_t bytes, uint64_t nr)
{
	struct setup s = { .nr = nr, .bytes = bytes };
	uint64_t start;
	int status;
	pid_t pid;

	s.meet = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s.meet == MAP_FAILED)
		fail("mmap");
	make_ports(&s);
	if (p->make)
		p->make(s.fds);
	pid = fork();
	must(pid, "fork");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(pid == 0);
	start = clock_now_ns();
	p->run(&s, pid == 0);
	start = clock_now_ns() - start;
	if (pid == 0)
		_exit(0);
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "bench-ring: %s: receiver failed\n", p->name);
		exit(1);
	}
	if (p->make) {
		close(s.fds[0]);
		close(s.fds[1]);
	}
	close_ports(&s);
	munmap(s.meet, PAGE_BYTES);
	return (double)start / (double)nr;
}

/* --- the table ------------------------------------------------------------ */

struct row {
	double ns[MAX_ROUNDS], median;
	uint64_t nr;
};

static void run_rounds(const struct bench_options *o, uint64_t megabytes,
		       struct row *rows)
{
	srandom(o->seed);
	for (unsigned r = 0; r < o->rounds; r++) {
		size_t order[NR_ROWS] = { 0 };

		draw_order(order, NR_ROWS);
		for (size_t i = 0; i < NR_ROWS; i++) {
			const struct peer *p = &peers[order[i] / NR_SIZES];
			uint32_t bytes = sizes[order[i] % NR_SIZES];
			struct row *row = &rows[order[i]];

			row->nr = (megabytes << 20) / p->share / bytes;
			/* Large ones move more bytes in the same time. */
			if (bytes > 4096)
				row->nr *= 4;
			row->ns[r] = measure(p, bytes, row->nr);
		}
	}
	for (size_t i = 0; i < NR_ROWS; i++)
		rows[i].median = median(rows[i].ns, o->rounds);
}

static double row_gigabytes(size_t i, const struct row *row)
{
	return sizes[i % NR_SIZES] / row->median;
}

static void print_table(const struct bench_options *o, const struct row *rows)
{
	printf("bench-ring: commit %s, CPUs %d and %d, median (least, most) of "
	       "%u rounds, %u frames per flush\n",
	       o->commit, cpus[0], cpus[1], o->rounds, BATCH);
	printf("%-8s%8s%12s%12s%12s%16s%10s\n", "", "bytes", "ns/frame",
	       "least", "most", "frames/s/core", "GB/s");
	for (size_t i = 0; i < NR_ROWS; i++)
		printf("%-8s%8u%12.1f%12.1f%12.1f%16.0f%10.2f\n",
		       peers[i / NR_SIZES].name, sizes[i % NR_SIZES],
		       rows[i].median, rows[i].ns[0], rows[i].ns[o->rounds - 1],
		       1e9 / rows[i].median, row_gigabytes(i, &rows[i]));
	printf("one core sends and one receives, each so many frames a "
	       "second\n");
}

static void write_json(const struct bench_options *o, const struct row *rows)
{
	FILE *f = json_open(o, "ring");

	fprintf(f, ", \"pinned\": [%d, %d], \"batch\": %u,\n \"rows\": [",
		cpus[0], cpus[1], BATCH);
	for (size_t i = 0; i < NR_ROWS; i++) {
		fprintf(f,
			"%s\n  {\"peer\": \"%s\", \"bytes\": %u, "
			"\"frames\": %llu, \"ns\": %.2f, \"per_second\": %.0f,"
			"\n   \"all_ns\": [",
			i ? "," : "", peers[i / NR_SIZES].name,
			sizes[i % NR_SIZES], (unsigned long long)rows[i].nr,
			rows[i].median, 1e9 / rows[i].median);
		for (unsigned r = 0; r < o->rounds; r++)
			fprintf(f, "%s%.2f", r ? ", " : "", rows[i].ns[r]);
		fprintf(f, "]}");
	}
	fprintf(f, "\n ]}\n");
	if (fclose(f))
		fail(o->out);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		BENCH_OPTIONS,
		{ "megabytes", 1, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	static struct row rows[NR_ROWS];
	struct bench_options o = { 15, 1, "unknown", NULL };
	uint64_t megabytes = 512;
	int opt;

	find_cpus("bench-ring");
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt == 'm')
			megabytes = strtoull(optarg, NULL, 10);
		else if (!bench_option(&o, opt))
			return 2;
	}
	if (!bench_rounds_valid(&o) || megabytes < 16)
		return 2;
	run_rounds(&o, megabytes, rows);
	print_table(&o, rows);
	if (o.out)
		write_json(&o, rows);
	return 0;
}
