/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/launch/cache_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *cache_dir_env(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

int cache_dir_path(char **out)
{
	const char *own = cache_dir_env("DISCO_CACHE_DIR");
	const char *xdg = cache_dir_env("XDG_CACHE_HOME");
	const char *home = cache_dir_env("HOME");
	char *path;
	int n;

	if (own)
		n = asprintf(&path, "%s", own);
	else if (xdg && *xdg == '/')
		n = asprintf(&path, "%s/disco", xdg);
	else if (geteuid() == 0)
		n = asprintf(&path, "/var/cache/disco");
	else if (home)
		n = asprintf(&path, "%s/.cache/disco", home);
	else
		return -ENOENT;
	if (n < 0)
		return -ENOMEM;
	*out = path;
	return 0;
}

/* mkdir -p; @path is changed and put back meanwhile. */
static int make_all(char *path, mode_t mode)
{
	for (char *s = path + 1; *s; s++) {
		int err;

		if (*s != '/')
			continue;
		*s = '\0';
		err = mkdir(path, mode) && errno != EEXIST ? -errno : 0;
		*s = '/';
		if (err)
			return err;
	}
	return mkdir(path, mode) && errno != EEXIST ? -errno : 0;
}

int cache_dir_make(char **out, struct diag *d)
{
	char *path = NULL;
	int err = cache_dir_path(&path);

	if (err)
		return diag_fail(d, ST_HOST, -err,
				 "no directory for unpacked kernels: set "
				 "DISCO_CACHE_DIR");
	err = make_all(path, geteuid() == 0 ? 0755 : 0700);
	if (err) {
		err = diag_fail(d, ST_HOST, -err,
				"cannot make the cache directory '%s': %s; "
				"set DISCO_CACHE_DIR to one that can be "
				"written",
				path, strerror(-err));
		free(path);
		return err;
	}
	*out = path;
	return 0;
}
