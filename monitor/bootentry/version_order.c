/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/bootentry/version_order.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* Not those of ctype.h, which know locales. */
static bool version_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool version_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Whatever else only separates. */
static const char *version_skip(const char *s)
{
	while (*s && !version_digit(*s) && !version_letter(*s) &&
	       !strchr("~-^.", *s))
		s++;
	return s;
}

static size_t version_span(const char *s, bool (*is)(char c))
{
	size_t n = 0;

	while (is(s[n]))
		n++;
	return n;
}

/* Numbers of any length; then words. Both are moved beyond it. */
static int version_part(const char **a, const char **b)
{
	bool digits = version_digit(**a) || version_digit(**b);
	bool (*is)(char c) = digits ? version_digit : version_letter;
	size_t na, nb;
	int order;

	while (digits && **a == '0')
		(*a)++;
	while (digits && **b == '0')
		(*b)++;
	na = version_span(*a, is);
	nb = version_span(*b, is);
	if (digits && na != nb)
		return na < nb ? -1 : 1;
	order = memcmp(*a, *b, na < nb ? na : nb);
	if (!order && na != nb)
		order = na < nb ? -1 : 1;
	*a += na;
	*b += nb;
	return order;
}

int version_compare(const char *a, const char *b)
{
	/* Whoever has one of these alone is older, in this order. */
	static const char marks[] = { '~', '\0', '-', '^', '.' };

	for (;;) {
		int order;

		a = version_skip(a);
		b = version_skip(b);
		for (size_t i = 0; i < sizeof(marks); i++) {
			bool is_a = *a == marks[i], is_b = *b == marks[i];

			if (is_a != is_b)
				return is_a ? -1 : 1;
			if (!is_a)
				continue;
			if (!marks[i])
				return 0;
			a = version_skip(a + 1);
			b = version_skip(b + 1);
			i = (size_t)-1; /* all marks again */
		}
		order = version_part(&a, &b);
		if (order)
			return order;
	}
}
