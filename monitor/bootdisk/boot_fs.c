/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootdisk/boot_fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct text_sink {
	struct boot_sink sink;
	char *text;
	size_t used, room;
};

static int text_sink_put(struct boot_sink *s, const void *data, size_t bytes)
{
	struct text_sink *t = container_of(s, struct text_sink, sink);

	if (bytes > t->room - t->used)
		return -EFBIG;
	memcpy(t->text + t->used, data, bytes);
	t->used += bytes;
	return 0;
}

int boot_fs_text(struct boot_fs *fs, const char *path, size_t max, char **out)
{
	struct text_sink t = { .sink.put = text_sink_put, .room = max };
	int err;

	t.text = malloc(max + 1);
	if (!t.text)
		return -ENOMEM;
	err = fs->ops->read(fs, path, max, &t.sink);
	if (err) {
		free(t.text);
		return err;
	}
	t.text[t.used] = '\0';
	*out = t.text;
	return 0;
}
