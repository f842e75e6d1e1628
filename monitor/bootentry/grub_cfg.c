/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootentry/grub_cfg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/bootentry/grub_env.h"
#include "monitor/bootentry/grub_words.h"

#define ENTRIES_MAX  512u
#define DEPTH_MAX    16u
#define COMMANDS_MAX 100000u
#define TOP	     (-1) /* parent of the entries of the main menu */

struct grub_menu_entry {
	char title[BOOT_TITLE_MAX], id[BOOT_TITLE_MAX];
	int parent; /* a submenu's number, or TOP */
	bool is_submenu;
	const char *body; /* its first command */
};

/* What ended a block. */
enum grub_stop {
	STOP_CLOSE,
	STOP_ELIF,
	STOP_ELSE,
	STOP_FI,
	STOP_DONE,
	STOP_FILE
};

struct grub {
	const char *at, *stop;
	const char *env;
	struct grub_vars vars;
	struct grub_menu_entry entries[ENTRIES_MAX];
	unsigned nr_entries;
	int menu; /* the submenu that is being read, or TOP */
	struct boot_item
		*out;  /* what an entry's commands fill; NULL: no entry */
	unsigned left; /* commands that may still be read */
	const char *why;
};

static int grub_fail(struct grub *g, const char *why)
{
	g->why = why;
	return -EBADMSG;
}

static int grub_read(struct grub *g, struct grub_command *c)
{
	int err;

	if (!g->left--)
		return grub_fail(g, "is too long for a boot menu");
	err = grub_command_read(&g->at, g->stop, &g->vars, c);
	if (err == -E2BIG)
		return grub_fail(g, "has a command that is too long");
	if (err == -EBADMSG)
		return grub_fail(g, "has a quote that is not closed");
	return err;
}

static const char *grub_get(const struct grub *g, const char *name)
{
	return grub_vars_get(&g->vars, name, strlen(name));
}

static int grub_set(struct grub *g, const char *name, size_t len,
		    const char *value)
{
	int err = grub_vars_set(&g->vars, name, len, value);

	return err == -E2BIG
		       ? grub_fail(g, "has too many or too long variables")
		       : err;
}

static bool is_word(const struct grub_command *c, const char *word)
{
	return c->nr && strcmp(c->words[0], word) == 0;
}

/* --- commands; a result of 1 is true, 0 false --- */

/* "NAME=VALUE" */
static int grub_assign(struct grub *g, const char *word)
{
	const char *eq = strchr(word, '=');
	int err;

	if (!eq || eq == word)
		return 0;
	err = grub_set(g, word, (size_t)(eq - word), eq + 1);
	return err ? err : 1;
}

static int cmd_set(struct grub *g, const struct grub_command *c)
{
	return c->nr > 1 ? grub_assign(g, c->words[1]) : 1;
}

static int cmd_unset(struct grub *g, const struct grub_command *c)
{
	int err = 0;

	for (unsigned i = 1; i < c->nr && !err; i++)
		err = grub_set(g, c->words[i], strlen(c->words[i]), "");
	return err ? err : 1;
}

/* Variables that somebody chose by grub-set-default(8) and the like. */
static int cmd_load_env(struct grub *g, const struct grub_command *c)
{
	static const char *const names[] = { "saved_entry", "prev_saved_entry",
					     "kernelopts", "default",
					     "boot_success" };
	char value[GRUB_VALUE_MAX];
	int err = 0;

	(void)c;
	for (size_t i = 0; i < ARRAY_SIZE(names) && !err; i++)
		if (grub_env_get(g->env, names[i], value, sizeof(value)))
			err = grub_set(g, names[i], strlen(names[i]), value);
	return err ? err : g->env != NULL;
}

/* Only the environment block is asked for by those who make configurations. */
static bool test_file(const struct grub *g, const char *path)
{
	static const char name[] = "/grubenv";
	size_t n = strlen(path);

	return g->env && n >= sizeof(name) - 1 &&
	       strcmp(path + n - (sizeof(name) - 1), name) == 0;
}

static bool test_words(const struct grub *g, const char *const *w, unsigned nr)
{
	if (nr && strcmp(w[0], "!") == 0)
		return !test_words(g, w + 1, nr - 1);
	if (nr == 1)
		return *w[0];
	if (nr == 2 && strcmp(w[0], "-z") == 0)
		return !*w[1];
	if (nr == 2 && strcmp(w[0], "-n") == 0)
		return *w[1];
	if (nr == 2 && (strcmp(w[0], "-s") == 0 || strcmp(w[0], "-f") == 0 ||
			strcmp(w[0], "-e") == 0))
		return test_file(g, w[1]);
	if (nr == 3 && (strcmp(w[1], "=") == 0 || strcmp(w[1], "==") == 0 ||
			strcmp(w[1], "-eq") == 0))
		return strcmp(w[0], w[2]) == 0;
	if (nr == 3 && (strcmp(w[1], "!=") == 0 || strcmp(w[1], "-ne") == 0))
		return strcmp(w[0], w[2]) != 0;
	return false;
}

static int cmd_test(struct grub *g, const struct grub_command *c)
{
	unsigned nr = c->nr - 1;

	if (nr && strcmp(c->words[nr], "]") == 0)
		nr--;
	return test_words(g, c->words + 1, nr);
}

static int cmd_true(struct grub *g, const struct grub_command *c)
{
	(void)g;
	(void)c;
	return 1;
}

/*
 * search [--fs-uuid|--label|--file] [--set[=VAR]] [--hint...=X] NAME, and the
 * old "search.fs_uuid NAME VAR"
 */
static int cmd_search(struct grub *g, const struct grub_command *c)
{
	const char *kind = strchr(c->words[0], '.'), *var = "root",
		   *name = NULL;
	char device[BOOT_DEVICE_MAX];
	int err;

	for (unsigned i = 1; i < c->nr; i++) {
		const char *w = c->words[i];

		if (strcmp(w, "--fs-uuid") == 0 || strcmp(w, "-u") == 0)
			kind = ".fs_uuid";
		else if (strcmp(w, "--label") == 0 ||
			 strcmp(w, "--fs-label") == 0 || strcmp(w, "-l") == 0)
			kind = ".label";
		else if (strncmp(w, "--set=", 6) == 0)
			var = w + 6;
		else if (*w != '-' && !name)
			name = w;
		else if (*w != '-' && strchr(c->words[0], '.') && i == 2)
			var = w;
	}
	if (!name)
		return 0;
	kind = kind && strstr(kind, "uuid")    ? "uuid"
	       : kind && strstr(kind, "label") ? "label"
					       : "file";
	if (snprintf(device, sizeof(device), "%s:%s", kind, name) >=
	    (int)sizeof(device))
		return grub_fail(g, "has a command that is too long");
	err = grub_set(g, var, strlen(var), device);
	return err ? err : 1;
}

/* "(DEVICE)/PATH", or a path on $root. The device goes to @g->out. */
static int grub_path(struct grub *g, const char *word, const char **path)
{
	const char *close = *word == '(' ? strchr(word, ')') : NULL;
	const char *from = close ? word + 1 : grub_get(g, "root");
	size_t n = close ? (size_t)(close - from) : strlen(from);
	char device[BOOT_DEVICE_MAX];

	*path = close ? close + 1 : word;
	if (n >= sizeof(device))
		return -E2BIG;
	memcpy(device, from, n);
	device[n] = '\0';
	return boot_text_set(g->out->device, BOOT_DEVICE_MAX, device);
}

static int cmd_linux(struct grub *g, const struct grub_command *c)
{
	const char *path = NULL;
	int err;

	if (!g->out || c->nr < 2)
		return 0;
	g->out->cmdline[0] = '\0';
	g->out->nr_initrds = 0;
	err = grub_path(g, c->words[1], &path);
	if (!err)
		err = boot_text_set(g->out->kernel, BOOT_PATH_MAX, path);
	for (unsigned i = 2; i < c->nr && !err; i++)
		err = boot_words_add(g->out->cmdline, CMDLINE_MAX + 1,
				     c->words[i]);
	return err ? grub_fail(g, "has a command that is too long") : 1;
}

static int cmd_initrd(struct grub *g, const struct grub_command *c)
{
	int err = 0;

	if (!g->out)
		return 0;
	for (unsigned i = 1; i < c->nr && !err; i++) {
		const char *path = NULL;

		err = grub_path(g, c->words[i], &path);
		if (!err)
			err = boot_item_add_initrd(g->out, path);
	}
	return err ? grub_fail(g, "has a command that is too long, or too many "
				  "initrds")
		   : 1;
}

static int grub_command(struct grub *g, const struct grub_command *c)
{
	static const struct {
		const char *name;
		int (*run)(struct grub *g, const struct grub_command *c);
	} commands[] = {
		{ "set", cmd_set },
		{ "unset", cmd_unset },
		{ "export", cmd_true },
		{ "true", cmd_true },
		{ "load_env", cmd_load_env },
		{ "[", cmd_test },
		{ "test", cmd_test },
		{ "search", cmd_search },
		{ "search.fs_uuid", cmd_search },
		{ "search.fs_label", cmd_search },
		{ "search.file", cmd_search },
		{ "linux", cmd_linux },
		{ "linux16", cmd_linux },
		{ "linuxefi", cmd_linux },
		{ "initrd", cmd_initrd },
		{ "initrd16", cmd_initrd },
		{ "initrdefi", cmd_initrd },
	};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (is_word(c, commands[i].name))
			return commands[i].run(g, c);
	return c->nr == 1 ? grub_assign(g, c->words[0]) : 0;
}

/* --- blocks --- */

static int grub_block(struct grub *g, bool live, unsigned depth,
		      enum grub_stop *stop);

/* The conditions between "if" and "then"; the last one counts. */
static int grub_condition(struct grub *g, bool live, struct grub_command *c)
{
	bool negate = false;
	int got = 0;

	for (;;) {
		int err = grub_read(g, c);

		if (err)
			return err;
		if (is_word(c, "then") || is_word(c, "do"))
			return got;
		if (c->end == GRUB_END_FILE)
			return grub_fail(g, "ends within an 'if'");
		if (is_word(c, "!") && c->nr == 1) {
			negate = !negate;
			continue;
		}
		if (live && c->nr)
			got = grub_command(g, c);
		if (got < 0)
			return got;
		got = negate ? !got : got;
		negate = false;
	}
}

static int grub_if(struct grub *g, bool live, unsigned depth,
		   struct grub_command *c)
{
	enum grub_stop stop = STOP_ELIF;
	bool taken = false;

	while (stop == STOP_ELIF) {
		int is = grub_condition(g, live && !taken, c), err;

		if (is < 0)
			return is;
		is = is && live && !taken;
		taken = taken || is;
		err = grub_block(g, is, depth, &stop);
		if (err)
			return err;
	}
	if (stop == STOP_ELSE) {
		int err = grub_block(g, live && !taken, depth, &stop);

		if (err)
			return err;
	}
	return stop == STOP_FI ? 0 : grub_fail(g, "has an 'if' without 'fi'");
}

/* Loops are not run: nobody's menu depends on one. */
static int grub_loop(struct grub *g, unsigned depth, struct grub_command *c)
{
	enum grub_stop stop = STOP_FILE;
	int err = 0;

	while (!err && !is_word(c, "do")) {
		if (c->end == GRUB_END_FILE)
			return grub_fail(g, "ends within a loop");
		err = grub_read(g, c);
	}
	if (!err)
		err = grub_block(g, false, depth, &stop);
	if (!err && stop != STOP_DONE)
		err = grub_fail(g, "has a loop without 'done'");
	return err;
}

static int grub_skip_braces(struct grub *g, bool live, unsigned depth)
{
	enum grub_stop stop = STOP_FILE;
	int err = grub_block(g, live, depth, &stop);

	if (!err && stop != STOP_CLOSE)
		err = grub_fail(g, "has a '{' without '}'");
	return err;
}

static void grub_cut(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

/* menuentry TITLE [--class X] [--users X] [--id X] {; old: "$option 'id'" */
static int grub_entry(struct grub *g, const struct grub_command *c,
		      unsigned depth)
{
	struct grub_menu_entry *e;
	int err, menu = g->menu;

	if (c->end != GRUB_END_OPEN || c->nr < 2)
		return grub_fail(g, "has a menu entry without a title or '{'");
	if (g->nr_entries == ENTRIES_MAX)
		return grub_fail(g, "has too many menu entries");
	e = &g->entries[g->nr_entries];
	e->parent = menu;
	e->is_submenu = is_word(c, "submenu");
	e->body = g->at;
	grub_cut(e->title, sizeof(e->title), c->words[1]);
	e->id[0] = '\0';
	for (unsigned i = 2; i < c->nr; i++)
		if (strcmp(c->words[i], "--id") == 0 && i + 1 < c->nr)
			grub_cut(e->id, sizeof(e->id), c->words[i + 1]);
	g->menu = (int)g->nr_entries++;
	err = grub_skip_braces(g, e->is_submenu, depth);
	g->menu = menu;
	return err;
}

static int grub_statement(struct grub *g, bool live, unsigned depth,
			  struct grub_command *c)
{
	int got;

	if (is_word(c, "if"))
		return grub_if(g, live, depth, c);
	if (is_word(c, "while") || is_word(c, "until") || is_word(c, "for"))
		return grub_loop(g, depth, c);
	/* An entry of an entry is not shown, nor one that was not reached. */
	if (live && !g->out &&
	    (is_word(c, "menuentry") || is_word(c, "submenu")))
		return grub_entry(g, c, depth);
	if (c->end == GRUB_END_OPEN)
		return grub_skip_braces(g, live && c->nr == 0, depth);
	got = live && c->nr ? grub_command(g, c) : 0;
	return got < 0 ? got : 0;
}

static bool grub_is_stop(const struct grub_command *c, enum grub_stop *stop)
{
	static const char *const words[] = { [STOP_ELIF] = "elif",
					     [STOP_ELSE] = "else",
					     [STOP_FI] = "fi",
					     [STOP_DONE] = "done" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (words[i] && is_word(c, words[i])) {
			*stop = (enum grub_stop)i;
			return true;
		}
	}
	return false;
}

static int grub_block(struct grub *g, bool live, unsigned depth,
		      enum grub_stop *stop)
{
	struct grub_command *c;
	int err = 0;

	if (depth == DEPTH_MAX)
		return grub_fail(g, "is nested too deeply");
	c = malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	for (;;) {
		err = grub_read(g, c);
		if (err || grub_is_stop(c, stop))
			break;
		err = grub_statement(g, live, depth + 1, c);
		if (err)
			break;
		*stop = c->end == GRUB_END_CLOSE ? STOP_CLOSE : STOP_FILE;
		if (c->end == GRUB_END_CLOSE || c->end == GRUB_END_FILE)
			break;
	}
	free(c);
	return err;
}

/* --- the default --- */

/* "2", a title, an id. Return: an entry of the menu; -1: none. */
static int grub_find(const struct grub *g, int menu, const char *name,
		     size_t len)
{
	char *end;
	unsigned long nr = strtoul(name, &end, 10), i = 0;
	bool is_number = end == name + len && len && *name >= '0' &&
			 *name <= '9';

	for (unsigned k = 0; k < g->nr_entries; k++) {
		const struct grub_menu_entry *e = &g->entries[k];

		if (e->parent != menu)
			continue;
		if (is_number ? i++ == nr
			      : (strncmp(e->title, name, len) == 0 &&
				 !e->title[len]) ||
					(*e->id &&
					 strncmp(e->id, name, len) == 0 &&
					 !e->id[len]))
			return (int)k;
	}
	return -1;
}

/* "SUBMENU>ENTRY", each as in grub_find(). The first entry, if there is none. */
static int grub_choose(const struct grub *g)
{
	const char *name = grub_get(g, "default");
	int at = TOP, found = -1;

	while (*name) {
		size_t len = strcspn(name, ">");

		found = len < BOOT_TITLE_MAX ? grub_find(g, at, name, len) : -1;
		if (found < 0)
			break;
		at = found;
		name += len + (name[len] == '>');
	}
	if (found < 0)
		found = grub_find(g, TOP, "0", 1);
	while (found >= 0 && g->entries[found].is_submenu)
		found = grub_find(g, found, "0", 1);
	return found;
}

static int grub_run_entry(struct grub *g, const struct grub_menu_entry *e,
			  struct boot_item *out)
{
	enum grub_stop stop = STOP_FILE;
	int err;

	memset(out, 0, sizeof(*out));
	grub_cut(out->title, sizeof(out->title), e->title);
	g->out = out;
	g->at = e->body;
	err = grub_block(g, true, 0, &stop);
	if (err || *out->kernel)
		return err;
	g->why = "its default entry does not load Linux";
	return -ENOENT;
}

static int grub_init(struct grub *g)
{
	static const char *const set[][2] = {
		{ "feature_menuentry_id", "y" },
		{ "feature_default_font_path", "y" },
		{ "feature_timeout_style", "y" },
		{ "feature_platform_search_hint", "y" },
		{ "feature_all_video_module", "y" },
		{ "grub_platform", "efi" },
		{ "grub_cpu", "x86_64" },
		{ "prefix", "/boot/grub" },
	};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(set) && !err; i++)
		err = grub_set(g, set[i][0], strlen(set[i][0]), set[i][1]);
	return err;
}

int grub_cfg_default(const char *text, const char *env, struct boot_item *out,
		     const char **why)
{
	struct grub *g = calloc(1, sizeof(*g));
	struct boot_item item = { .nr_initrds = 0 };
	enum grub_stop stop = STOP_FILE;
	int err, chosen;

	if (!g)
		return -ENOMEM;
	g->at = text;
	g->stop = text + strlen(text);
	g->env = env;
	g->menu = TOP;
	g->left = COMMANDS_MAX;
	g->why = "has no menu entry";
	err = grub_init(g);
	if (!err)
		err = grub_block(g, true, 0, &stop);
	chosen = err ? -1 : grub_choose(g);
	if (!err)
		err = chosen < 0
			      ? -ENOENT
			      : grub_run_entry(g, &g->entries[chosen], &item);
	if (!err)
		*out = item;
	*why = g->why;
	grub_vars_destroy(&g->vars);
	free(g);
	return err;
}
