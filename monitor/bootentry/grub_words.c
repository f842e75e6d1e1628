/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootentry/grub_words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- variables --- */

void grub_vars_destroy(struct grub_vars *v)
{
	for (unsigned i = 0; i < v->nr; i++)
		free(v->vars[i].value);
	v->nr = 0;
}

static int grub_vars_find(const struct grub_vars *v, const char *name,
			  size_t len)
{
	for (unsigned i = 0; i < v->nr; i++)
		if (strlen(v->vars[i].name) == len &&
		    memcmp(v->vars[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

const char *grub_vars_get(const struct grub_vars *v, const char *name,
			  size_t len)
{
	int i = grub_vars_find(v, name, len);

	return i >= 0 ? v->vars[i].value : "";
}

int grub_vars_set(struct grub_vars *v, const char *name, size_t len,
		  const char *value)
{
	int i = grub_vars_find(v, name, len);
	char *copy;

	if (len >= GRUB_NAME_MAX || strlen(value) >= GRUB_VALUE_MAX ||
	    (i < 0 && v->nr == GRUB_VARS_MAX))
		return -E2BIG;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	if (i < 0) {
		i = (int)v->nr++;
		memcpy(v->vars[i].name, name, len);
		v->vars[i].name[len] = '\0';
		v->vars[i].value = NULL;
	}
	free(v->vars[i].value);
	v->vars[i].value = copy;
	return 0;
}

/* --- words --- */

struct grub_lexer {
	const char *at, *stop;
	const struct grub_vars *vars;
	struct grub_command *c;
	size_t used;   /* of c->text */
	size_t start;  /* of the word in it */
	bool in_word;  /* it has begun; it may be empty, between quotes */
	bool is_plain; /* it has neither quotes nor variables: a keyword? */
};

static int lexer_put(struct grub_lexer *l, char ch)
{
	if (l->used + 1 >= GRUB_TEXT_MAX)
		return -E2BIG;
	if (!l->in_word) {
		l->in_word = true;
		l->is_plain = true;
		l->start = l->used;
	}
	l->c->text[l->used++] = ch;
	return 0;
}

static int lexer_end_word(struct grub_lexer *l)
{
	if (!l->in_word)
		return 0;
	if (l->c->nr == GRUB_WORDS_MAX || l->used + 1 >= GRUB_TEXT_MAX)
		return -E2BIG;
	l->c->text[l->used++] = '\0';
	l->c->words[l->c->nr++] = l->c->text + l->start;
	l->in_word = false;
	return 0;
}

static void lexer_begin_quoted(struct grub_lexer *l)
{
	if (!l->in_word)
		l->start = l->used;
	l->in_word = true;
	l->is_plain = false;
}

static bool lexer_is_name(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
	       (ch >= '0' && ch <= '9') || ch == '_';
}

/* "$NAME", "${NAME}", "$?", "$1"; a dollar that begins no name is a dollar. */
static int lexer_variable(struct grub_lexer *l, bool quoted)
{
	const char *name = l->at + 1, *end, *value;
	bool braces = name < l->stop && *name == '{';
	int err = 0;

	name += braces;
	end = name;
	while (end < l->stop && lexer_is_name(*end))
		end++;
	if (end == name && end < l->stop && strchr("?*@#", *end))
		end++;
	if (end == name || (braces && (end == l->stop || *end != '}'))) {
		l->at++;
		return lexer_put(l, '$');
	}
	value = grub_vars_get(l->vars, name, (size_t)(end - name));
	l->at = end + braces;
	for (; *value && !err; value++)
		if (!quoted && (*value == ' ' || *value == '\t'))
			err = lexer_end_word(l);
		else
			err = lexer_put(l, *value);
	l->is_plain = false;
	return err;
}

static int lexer_single(struct grub_lexer *l)
{
	int err = 0;

	lexer_begin_quoted(l);
	for (l->at++; l->at < l->stop && *l->at != '\'' && !err; l->at++)
		err = lexer_put(l, *l->at);
	if (!err && l->at == l->stop)
		err = -EBADMSG;
	l->at++;
	return err;
}

static int lexer_double(struct grub_lexer *l)
{
	int err = 0;

	lexer_begin_quoted(l);
	l->at++;
	while (!err && l->at < l->stop && *l->at != '"') {
		if (*l->at == '$') {
			err = lexer_variable(l, true);
			continue;
		}
		/* Others keep their backslash. */
		if (*l->at == '\\' && l->at + 1 < l->stop &&
		    strchr("$\"\\", l->at[1]))
			l->at++;
		err = lexer_put(l, *l->at++);
	}
	if (!err && l->at >= l->stop)
		err = -EBADMSG;
	l->at++;
	return err;
}

static int lexer_escape(struct grub_lexer *l)
{
	int err = 0;

	l->at++;
	if (l->at == l->stop)
		return 0;
	if (*l->at != '\n') {
		err = lexer_put(l, *l->at);
		l->is_plain = false;
	}
	l->at++;
	return err;
}

/* Keywords behind which another command begins, or the block goes on. */
static bool lexer_is_keyword(const struct grub_lexer *l)
{
	static const char *const words[] = { "if",   "then",  "else", "elif",
					     "fi",   "while", "do",   "until",
					     "done", "!" };

	if (l->c->nr != 1 || !l->is_plain)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(l->c->words[0], words[i]) == 0)
			return true;
	return false;
}

/* What is between words. Return: 1 the command has ended; 0; -errno. */
static int lexer_gap(struct grub_lexer *l)
{
	int err = lexer_end_word(l);
	char ch;

	if (err)
		return err;
	l->c->end = GRUB_END_LINE;
	if (lexer_is_keyword(l))
		return 1;
	ch = *l->at++;
	if (ch == '#')
		while (l->at < l->stop && *l->at != '\n')
			l->at++;
	if (ch == '{')
		l->c->end = GRUB_END_OPEN;
	if (ch == '}')
		l->c->end = GRUB_END_CLOSE;
	return ch == '\n' || ch == ';' || ch == '&' || ch == '|' || ch == '{' ||
	       ch == '}';
}

static int lexer_step(struct grub_lexer *l)
{
	char ch = *l->at;

	if (strchr(" \t\r\n;&|", ch) || (!l->in_word && strchr("#{}", ch)))
		return ch ? lexer_gap(l) : (l->at++, 0);
	switch (ch) {
	case '\'':
		return lexer_single(l);
	case '"':
		return lexer_double(l);
	case '$':
		return lexer_variable(l, false);
	case '\\':
		return lexer_escape(l);
	default:
		l->at++;
		return lexer_put(l, ch);
	}
}

int grub_command_read(const char **at, const char *stop,
		      const struct grub_vars *vars, struct grub_command *out)
{
	struct grub_lexer l = {
		.at = *at, .stop = stop, .vars = vars, .c = out
	};
	int err = 0;

	out->nr = 0;
	while (!err && l.at < stop)
		err = lexer_step(&l);
	if (!err) {
		err = lexer_end_word(&l);
		out->end = GRUB_END_FILE;
	}
	/* Ends of quotes may be counted behind the end of the text. */
	*at = l.at < stop ? l.at : stop;
	return err < 0 ? err : 0;
}
