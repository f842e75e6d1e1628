/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/workers/worker_code.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/ipc/fds.h"
#include "numa/bind.h"
#include "numa/read_at.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

static int beside_ourselves(const char *program, char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size);
	char *slash;

	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash)
		return -ENOENT;
	slash++;
	if (size - (size_t)(slash - out) < strlen(program) + 1)
		return -ENAMETOOLONG;
	memcpy(slash, program, strlen(program) + 1);
	return 0;
}

static int worker_code_find(const char *program, const char *env, char *out,
			    size_t size)
{
	const char *path = getenv(env);

	if (!path || !*path)
		return beside_ourselves(program, out, size);
	if (strlen(path) >= size)
		return -ENAMETOOLONG;
	memcpy(out, path, strlen(path) + 1);
	return 0;
}

int worker_code_create(struct worker_code *code, const char *program,
		       const char *env, struct diag *d)
{
	int err;

	code->program = program;
	code->file = -1;
	code->nr = 0;
	err = worker_code_find(program, env, code->path, sizeof(code->path));
	if (err < 0)
		return diag_fail(d, ST_HOST, -err,
				 "cannot find %s beside disco: %s; set %s to "
				 "its path",
				 program, strerror(-err), env);
	code->file = open(code->path, O_RDONLY | O_CLOEXEC);
	if (code->file < 0)
		return diag_fail(d, ST_HOST, errno,
				 "program %s: %s; build it, or set %s to its "
				 "path",
				 code->path, strerror(errno), env);
	return 0;
}

void worker_code_destroy(struct worker_code *code)
{
	if (!code)
		return;
	for (unsigned i = 0; i < code->nr; i++)
		(void)close(code->copy[i]);
	code->nr = 0;
	if (code->file >= 0)
		(void)close(code->file);
	code->file = -1;
}

static int new_memfd(const char *name)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create(name, flags | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return fd;
}

/* Also when the pages end up elsewhere: see the header. */
static int worker_code_fill(int from, int to, size_t bytes, nodeid_t node)
{
	size_t mapped = align_up(bytes, PAGE_BYTES);
	uint8_t *p;
	int err;

	if (ftruncate(to, (off_t)bytes) < 0)
		return -errno;
	p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	if (p == MAP_FAILED)
		return -errno;
	(void)!node_bind_memory(p, mapped, node, false);
	err = read_at(from, p, bytes, 0);
	(void)munmap(p, mapped);
	return err;
}

static int copy_to_node(const struct worker_code *code, nodeid_t node)
{
	int fd = new_memfd(code->program);
	struct stat st;
	int err;

	if (fd < 0)
		return -errno;
	if (fstat(code->file, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size <= 0)
		err = -ENOEXEC;
	else
		err = worker_code_fill(code->file, fd, (size_t)st.st_size,
				       node);
	if (err)
		goto close;
	err = fds_seal(fd);
	if (err)
		goto close;
	return fd;
close:
	(void)close(fd);
	return err;
}

int worker_code_get(struct worker_code *code, nodeid_t node, int *fd,
		    struct diag *d)
{
	int copy;

	for (unsigned i = 0; i < code->nr; i++) {
		if (code->node[i] == node) {
			*fd = code->copy[i];
			return 0;
		}
	}
	copy = code->nr < MAX_NODES ? copy_to_node(code, node) : -ENOSPC;
	if (copy < 0)
		return diag_fail(d, ST_HOST, -copy,
				 "cannot copy %s to node %d: %s", code->path,
				 node, strerror(-copy));
	code->node[code->nr] = node;
	code->copy[code->nr++] = copy;
	*fd = copy;
	return 0;
}
