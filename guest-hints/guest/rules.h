/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What users write: sizes, hints, and rules, for the command and for the preloaded
 * library. Nothing here needs a device.
 */
#ifndef DISCO_HINT_RULES_H
#define DISCO_HINT_RULES_H

#include <stdint.h>

#define HINT_RULES_MAX 16u

/* A hint of mappings of a program. */
struct hint_rule {
	int kind;	/* enum disco_hint_kind */
	unsigned vcpu;	/* of DISCO_HINT_PRIVATE */
	uint64_t bytes; /* anonymous ones of so many or more; 0: .pattern */
	const char *pattern; /* of files, as of glob(7) */
};

/* 4096, 64K, 128M, 1G. Return: whether it is one; @out is untouched if not. */
int hint_parse_size(const char *text, uint64_t *out);

/* HINT or private=CPU. Return: the kind; 0: it is none. */
int hint_parse_kind(const char *text, unsigned *vcpu);

/**
 * hint_parse_rules() - "size=SIZE:HINT" and "file=PATTERN:HINT", by commas
 * @text: is cut up, and has to outlive @out
 * @out:  HINT_RULES_MAX
 * @bad:  out: the first rule that is none, as far as it was not cut up; NULL: all
 *        are. One that is none is left out
 *
 * Return: how many there are.
 */
unsigned hint_parse_rules(char *text, struct hint_rule *out, const char **bad);

#endif
