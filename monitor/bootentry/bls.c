/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootentry/bls.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/bootentry/grub_env.h"
#include "monitor/bootentry/version_order.h"

#define SUFFIX	  ".conf"
#define STARS_MAX 3u

bool bls_is_name(const char *name)
{
	size_t n = strlen(name);

	return n > strlen(SUFFIX) && n < BOOT_PATH_MAX && *name != '.' &&
	       strcmp(name + n - strlen(SUFFIX), SUFFIX) == 0;
}

/* "NAME+LEFT" or "NAME+LEFT-DONE": boot counting. */
static void bls_set_name(struct bls_entry *e, const char *name)
{
	size_t n = strlen(name) - strlen(SUFFIX);
	char *plus;

	memcpy(e->name, name, n);
	e->name[n] = '\0';
	plus = strrchr(e->name, '+');
	if (!plus || !plus[1] || plus[1 + strspn(plus + 1, "0123456789-")])
		return;
	e->bad = strtoul(plus + 1, NULL, 10) == 0;
	*plus = '\0';
}

/* --- lines --- */

/* Cut the next line off. Return: it; NULL at the end. */
static char *bls_line(char **text)
{
	char *line = *text, *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	*text = end ? end + 1 : NULL;
	if (end)
		*end = '\0';
	return line;
}

/* "KEY VALUE". Return: the key; NULL: a comment, or an empty line. */
static char *bls_split(char *line, char **value)
{
	static const char blank[] = " \t\r";
	char *key = line + strspn(line, blank), *end;

	if (!*key || *key == '#')
		return NULL;
	*value = key + strcspn(key, blank);
	if (**value)
		*(*value)++ = '\0';
	*value += strspn(*value, blank);
	end = *value + strlen(*value);
	while (end > *value && strchr(blank, end[-1]))
		*--end = '\0';
	return key;
}

/* --- values --- */

/* "$kernelopts" and the like are variables of GRUB; unknown ones are empty. */
static int bls_add_option(struct bls_entry *e, const char *word,
			  const char *env)
{
	char value[CMDLINE_MAX + 1];

	if (*word != '$')
		return boot_words_add(e->item.cmdline, CMDLINE_MAX + 1, word);
	if (!grub_env_get(env, word + 1, value, sizeof(value)))
		return 0;
	return boot_words_add(e->item.cmdline, CMDLINE_MAX + 1, value);
}

/* Paths are from the root of the file system, with or without a slash. */
static int bls_add_initrd(struct bls_entry *e, const char *word,
			  const char *env)
{
	(void)env;
	return *word == '$' ? 0 : boot_item_add_initrd(&e->item, word);
}

static int bls_each_word(struct bls_entry *e, char *value, const char *env,
			 int (*add)(struct bls_entry *e, const char *word,
				    const char *env))
{
	char *save = NULL;
	int err = 0;

	for (char *w = strtok_r(value, " \t", &save); w && !err;
	     w = strtok_r(NULL, " \t", &save))
		err = add(e, w, env);
	return err;
}

/* A title that is too long is cut: people read it, and nothing else does. */
static int bls_set_title(struct bls_entry *e, char *value)
{
	value[min_u64(strlen(value), BOOT_TITLE_MAX - 1)] = '\0';
	return boot_text_set(e->item.title, BOOT_TITLE_MAX, value);
}

static int bls_set(struct bls_entry *e, const char *key, char *value,
		   const char *env)
{
	if (strcmp(key, "title") == 0)
		return bls_set_title(e, value);
	if (strcmp(key, "version") == 0)
		return boot_text_set(e->version, sizeof(e->version), value);
	if (strcmp(key, "sort-key") == 0)
		return boot_text_set(e->sort_key, sizeof(e->sort_key), value);
	if (strcmp(key, "machine-id") == 0)
		return boot_text_set(e->machine_id, sizeof(e->machine_id),
				     value);
	if (strcmp(key, "linux") == 0)
		return boot_text_set(e->item.kernel, BOOT_PATH_MAX, value);
	if (strcmp(key, "initrd") == 0)
		return bls_each_word(e, value, env, bls_add_initrd);
	if (strcmp(key, "options") == 0)
		return bls_each_word(e, value, env, bls_add_option);
	if (strcmp(key, "architecture") == 0)
		return strcmp(value, "x64") == 0 ? 0 : -ENOENT;
	return 0;
}

int bls_parse(const char *name, char *text, const char *env,
	      struct bls_entry *out)
{
	char *line, *key, *value = NULL;
	int err = 0;

	memset(out, 0, sizeof(*out));
	bls_set_name(out, name);
	while (!err && (line = bls_line(&text))) {
		key = bls_split(line, &value);
		if (key)
			err = bls_set(out, key, value, env);
	}
	if (!err && !*out->item.kernel)
		err = -ENOENT;
	if (!err && !*out->item.title)
		memcpy(out->item.title, out->name,
		       strnlen(out->name, BOOT_TITLE_MAX - 1));
	return err;
}

int bls_compare(const struct bls_entry *a, const struct bls_entry *b)
{
	bool keys = *a->sort_key && *b->sort_key;
	int order;

	if (a->bad != b->bad)
		return a->bad - b->bad;
	if (!*a->sort_key != !*b->sort_key)
		return *a->sort_key ? -1 : 1;
	order = keys ? strcmp(a->sort_key, b->sort_key) : 0;
	if (!order && keys)
		order = strcmp(a->machine_id, b->machine_id);
	if (!order && keys)
		order = version_compare(b->version, a->version);
	return order ? order : version_compare(b->name, a->name);
}

const char *bls_default(char *text)
{
	char *line, *key, *value = NULL;

	while ((line = bls_line(&text))) {
		key = bls_split(line, &value);
		if (key && strcmp(key, "default") == 0)
			return *value && *value != '@' ? value : NULL;
	}
	return NULL;
}

/*
 * The pattern may name the file, or the file without its suffix. One of many
 * stars, which fnmatch(3) would take ages for, matches nothing.
 */
bool bls_matches(const struct bls_entry *e, const char *pattern)
{
	char file[BOOT_PATH_MAX + sizeof(SUFFIX)];
	unsigned stars = 0;

	for (const char *p = pattern; *p; p++)
		stars += *p == '*';
	if (stars > STARS_MAX)
		return false;
	(void)snprintf(file, sizeof(file), "%s" SUFFIX, e->name);
	return fnmatch(pattern, file, FNM_NOESCAPE) == 0 ||
	       fnmatch(pattern, e->name, FNM_NOESCAPE) == 0;
}
