/* SPDX-License-Identifier: BSD-2-Clause */
/* As tests/model/channel_variant.h, for memory/replica/marks.c. */
#ifndef TESTS_MODEL_MARKS_VARIANT_H
#define TESTS_MODEL_MARKS_VARIANT_H

#ifdef MODEL_VARIANT
#include "tests/model/variant.h"
#define marks_set  MODEL_NAME(marks_set)
#define marks_look MODEL_NAME(marks_look)
#endif

#include "memory/replica/marks.h"

struct marks_variant {
	void (*set)(marks_word *own, uint64_t page);
	bool (*look)(const marks_word *other, uint64_t page);
};

#define MODEL_TABLE                                                            \
	extern const struct marks_variant MODEL_NAME(marks);                   \
	const struct marks_variant MODEL_NAME(marks) = { marks_set,            \
							 marks_look };

#endif
