/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qga_exec SOCKET COMMAND - run a command by a QEMU guest agent whose port is a
 * socket (QEMU's -chardev socket): the least that a client has to do, for
 * bench/exec.py. Exits with the command's status; 125 when something failed.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define FAILED	125
#define LOOK_NS 1000000L /* before the first look that finds it running */

static int sock;

static void give_up(const char *what)
{
	perror(what);
	exit(FAILED);
}

static void ask(const char *text)
{
	size_t len = strlen(text);

	if (send(sock, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		give_up("send");
}

/* The next line; a mark before it is skipped. */
static const char *answer(void)
{
	static char line[65536];
	size_t n = 0;

	for (;;) {
		ssize_t got = recv(sock, line + n, sizeof(line) - 1 - n, 0);

		if (got <= 0)
			give_up("recv");
		n += (size_t)got;
		line[n] = '\0';
		if (line[n - 1] == '\n')
			return line;
	}
}

static long number_after(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

int main(int argc, char **argv)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timespec pause = { .tv_nsec = LOOK_NS };
	char text[512];
	const char *got;
	long pid;

	if (argc != 3 || strlen(argv[1]) >= sizeof(to.sun_path))
		return FAILED;
	strcpy(to.sun_path, argv[1]);
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	if (sock < 0 || connect(sock, (struct sockaddr *)&to, sizeof(to)) < 0)
		give_up(argv[1]);
	ask("\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":"
	    "{\"id\":4711}}\n");
	do
		got = answer();
	while (!strstr(got, "4711"));
	(void)snprintf(text, sizeof(text),
		       "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":"
		       "\"%s\",\"capture-output\":true}}\n",
		       argv[2]);
	ask(text);
	pid = number_after(answer(), "\"pid\": ");
	if (pid < 0)
		return FAILED;
	(void)snprintf(text, sizeof(text),
		       "{\"execute\":\"guest-exec-status\",\"arguments\":"
		       "{\"pid\":%ld}}\n",
		       pid);
	for (;;) {
		ask(text);
		got = answer();
		if (strstr(got, "\"exited\": true"))
			return (int)number_after(got, "\"exitcode\": ");
		(void)nanosleep(&pause, NULL);
		if (pause.tv_nsec < 50 * LOOK_NS)
			pause.tv_nsec *= 2;
	}
}
