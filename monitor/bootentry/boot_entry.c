/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootentry/boot_entry.h"

#include <errno.h>
#include <string.h>

int boot_words_add(char *list, size_t size, const char *word)
{
	size_t used = strlen(list), n = strlen(word);

	if (n == 0)
		return 0;
	if (used + (used > 0) + n >= size)
		return -E2BIG;
	if (used)
		list[used++] = ' ';
	memcpy(list + used, word, n + 1);
	return 0;
}

int boot_text_set(char *to, size_t size, const char *text)
{
	size_t n = strlen(text);

	if (n >= size)
		return -E2BIG;
	memcpy(to, text, n + 1);
	return 0;
}

int boot_item_add_initrd(struct boot_item *item, const char *path)
{
	int err;

	if (item->nr_initrds == BOOT_MAX_INITRDS)
		return -E2BIG;
	err = boot_text_set(item->initrds[item->nr_initrds], BOOT_PATH_MAX,
			    path);
	if (!err)
		item->nr_initrds++;
	return err;
}

bool boot_cmdline_has_console(const char *cmdline)
{
	static const char serial[] = "console=ttyS", virtio[] = "console=hvc";

	for (const char *w = cmdline; *w; w += strcspn(w, " ")) {
		w += strspn(w, " ");
		if (strncmp(w, serial, sizeof(serial) - 1) == 0 ||
		    strncmp(w, virtio, sizeof(virtio) - 1) == 0)
			return true;
	}
	return false;
}

int boot_cmdline_add_console(char cmdline[CMDLINE_MAX + 1])
{
	if (boot_cmdline_has_console(cmdline))
		return 0;
	return boot_words_add(cmdline, CMDLINE_MAX + 1, "console=ttyS0");
}
