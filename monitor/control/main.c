/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * disco: the control process. Runs the command, prints the one line of
 * what went wrong and turns it into the exit status; nothing else exits.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disco/diag.h"
#include "monitor/control/commands.h"

/* One line, whatever names and values got into it. */
static void print_diag(const char *command, struct diag *d)
{
	for (char *s = d->text; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = '?';
	if (d->status == ST_USAGE && command &&
	    command_find(&disco_command, command))
		(void)fprintf(stderr, "disco %s: %s\n", command, d->text);
	else
		(void)fprintf(stderr, "disco: %s\n", d->text);
}

/*
 * A file that we open must not get the number of a standard descriptor that is
 * closed: what is printed would go into it, a disk for example. Reading gives
 * nothing then, and writing fails as on the closed descriptor.
 */
static int hold_standard_fds(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", O_RDONLY | O_NOCTTY) != fd)
			return -EBADF;
	return 0;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL; /* argv is permuted */
	struct diag d = { 0 };
	int ret;

	if (hold_standard_fds())
		return ST_HOST; /* and nowhere to say so */
	/* A file that becomes larger than ulimit -f is an error: EFBIG. */
	(void)signal(SIGXFSZ, SIG_IGN);
	/* hwloc reports by stderr and by value; the value is enough. */
	(void)setenv("HWLOC_HIDE_ERRORS", "2", 0);
	ret = command_run(&disco_command, argc, argv, &d);
	if (ret >= 0 && (fflush(stdout) || ferror(stdout)))
		ret = diag_fail(&d, ST_HOST, EIO, "cannot write the output");
	if (ret >= 0)
		return ret;
	if (d.status == ST_OK)
		(void)diag_fail(&d, ST_INTERNAL, -ret, "internal error: %s",
				strerror(-ret));
	print_diag(word, &d);
	return (int)d.status;
}
