/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/api/mhd.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define MHD_LIBRARY "libmicrohttpd.so.12" /* of its version 0.9.43 and later */

struct mhd_calls mhd;

int mhd_load(struct diag *d)
{
	static const char *const names[] = {
#define MHD_CALL_NAME(name) "MHD_" #name,
		MHD_CALLS(MHD_CALL_NAME)
#undef MHD_CALL_NAME
	};
	void *lib, *calls[ARRAY_SIZE(names)];

	if (mhd.run)
		return 0;
	/* It stays until the process ends. */
	lib = dlopen(MHD_LIBRARY, RTLD_NOW);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		calls[i] = lib ? dlsym(lib, names[i]) : NULL;
		if (!calls[i])
			return diag_fail(d, ST_HOST, ENOENT,
					 "the API needs libmicrohttpd: %s",
					 dlerror());
	}
	_Static_assert(sizeof(calls) == sizeof(mhd), "a pointer per call");
	memcpy(&mhd, calls, sizeof(mhd));
	return 0;
}
