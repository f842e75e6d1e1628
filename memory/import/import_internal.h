/* SPDX-License-Identifier: BSD-2-Clause */
/* What the readers of the kinds have in common. */
#ifndef DISCO_MEMORY_IMPORT_INTERNAL_H
#define DISCO_MEMORY_IMPORT_INTERNAL_H

#include "memory/import/import.h"

struct import_kind {
	const char *name;
	bool pages;	      /* it has pages, not addresses */
	bool one_cpu;	      /* a file is of one CPU: the next one */
	uint64_t cache_bytes; /* standard */
	int (*read)(struct import_run *im, FILE *f, struct diag *d);
};

extern const struct import_kind import_perf, import_damo, import_lackey,
	import_ramulator, import_csv;

/* An access; .page is an address unless the kind has pages. */
MUST_CHECK int import_add(struct import_run *im, const struct access_record *r,
			  struct diag *d);

/* The run is in another phase from the next access on. */
MUST_CHECK int import_mark(struct import_run *im, uint64_t time_ns,
			   const char *text, struct diag *d);

/*
 * The next line, without its end. Return: 1; 0 at the end; -EBADMSG it is longer
 * than IMPORT_LINE_MAX, or has a NUL; -EIO.
 */
MUST_CHECK int import_line(struct import_run *im, FILE *f, char **line,
			   struct diag *d);

/* @why is wrong with this line. Return: -EBADMSG. */
int import_bad(struct import_run *im, struct diag *d, const char *why);

/* What the file's CPU is, and what its clock shows: it goes on by @steps. */
uint16_t import_cpu(const struct import_run *im);
uint64_t import_tick(struct import_run *im, uint64_t steps);

/*
 * A number at *@s, which is passed; base 10 or 16. Return: false: there is none,
 * or it does not fit.
 */
bool import_number(char **s, unsigned base, uint64_t *out);

#endif
