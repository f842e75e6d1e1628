/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new file that gets its name when it is complete: who finds the name finds
 * the whole file, and a process that ends early leaves none.
 *
 * Until then the file has no name. Where the file system has no such files, it
 * is called "PATH.XXXXXX", and is removed on SIGINT, SIGTERM and SIGHUP; only
 * a SIGKILL or a crash of the host leaves it.
 *
 * Context: one thread, one such file at a time.
 */
#ifndef DISCO_MONITOR_NEW_FILE_H
#define DISCO_MONITOR_NEW_FILE_H

#include "disco/base.h"

struct new_file {
	int fd;	    /* read and write; -1: none */
	char *path; /* owned */
	char *temp; /* owned; NULL: the file has no name */
};

#define NEW_FILE_NONE ((struct new_file){ .fd = -1 })

/**
 * new_file_create() - begin a file
 * @f:    release with new_file_close(), also after an error
 * @path: of a file that must not exist
 *
 * Return: 0; -EEXIST; -ENOMEM; -errno of open().
 */
MUST_CHECK int new_file_create(struct new_file *f, const char *path);

/**
 * new_file_publish() - give a complete file its name
 *
 * The caller has synced f->fd if the file has to survive a crash of the host.
 * f->fd stays open.
 *
 * Return: 0; -EEXIST somebody else has made one; -errno of linkat(). After an
 * error the file still has no name.
 */
MUST_CHECK int new_file_publish(struct new_file *f);

/**
 * new_file_temp() - create a private "@path.XXXXXX"
 * @temp: out: its name, malloc'ed; NULL on error
 *
 * Return: a descriptor (>= 0), read and write; -ENOMEM; -errno of mkstemp().
 */
MUST_CHECK int new_file_temp(const char *path, char **temp);

/*
 * Remove @temp if SIGINT, SIGTERM or SIGHUP ends the process; NULL: nothing.
 * @temp is the caller's, and valid until the next call.
 */
void new_file_guard(char *temp);

/* Make a private file one for whoever the umask lets read it. -errno. */
MUST_CHECK int new_file_share(int fd);

/* Close, and remove what was not published. Accepts NEW_FILE_NONE. */
void new_file_close(struct new_file *f);

#endif
