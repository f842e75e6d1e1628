/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pingpong [ADDRESS NR] - round trips of bench-net: 64 bytes over TCP and back,
 * one at a time, NR of them. Without arguments it answers, each connection in
 * its turn. Compiled in the guest by tcc. Prints "pingpong P50 P99", in us.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BYTES 64
#define PORT  5202

static int whole(int fd, char *buf, int writes)
{
	int at = 0;

	while (at < BYTES) {
		int n = writes ? write(fd, buf + at, BYTES - at)
			       : read(fd, buf + at, BYTES - at);

		if (n <= 0)
			return 0;
		at += n;
	}
	return 1;
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int answer(int fd, struct sockaddr_in *to)
{
	int one = 1;
	char buf[BYTES];

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)to, sizeof(*to)) || listen(fd, 4))
		return 1;
	for (;;) {
		int c = accept(fd, NULL, NULL);

		setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		while (whole(c, buf, 0) && whole(c, buf, 1))
			;
		close(c);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Return: 0; 1: the peer has gone. */
static int ask(int fd, double *us, int nr)
{
	char buf[BYTES] = "ping";

	/* The first ones fill caches, of addresses as well. */
	for (int i = -nr / 10; i < nr; i++) {
		double start = now_us();

		if (!whole(fd, buf, 1) || !whole(fd, buf, 0))
			return 1;
		us[i < 0 ? 0 : i] = now_us() - start;
	}
	qsort(us, nr, sizeof(*us), compare);
	printf("pingpong %.1f %.1f\n", us[nr / 2], us[nr * 99 / 100]);
	return 0;
}

int main(int argc, char *argv[])
{
	struct sockaddr_in to = { 0 };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	int nr, status;
	double *us;

	to.sin_family = AF_INET;
	to.sin_port = htons(PORT);
	to.sin_addr.s_addr = argc > 1 ? inet_addr(argv[1]) : INADDR_ANY;
	if (fd < 0)
		return 1;
	if (argc < 3)
		return answer(fd, &to);
	nr = atoi(argv[2]);
	if (nr < 1 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	us = malloc(nr * sizeof(*us));
	status = us ? ask(fd, us, nr) : 1;
	free(us);
	return status;
}
