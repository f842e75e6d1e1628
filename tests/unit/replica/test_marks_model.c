/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The text of memory/replica/marks.c in all interleavings that tests/model
 * knows, as ram_copies.h uses it: an owner that protects a page, copies it, shows
 * the copy, and collapses it when a write faults; an I/O thread that changes the
 * page in a way that does not fault. At the end no copy is shown that is not the
 * page. And with bugs planted, in the text and in its use, each of which must be
 * found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/model/marks_variant.h"
#include "tests/model/verdict.h"

/* Not in atomic_ops.h unless the whole file is under the model. */
uint64_t model_load(const void *p, memory_order order);
void model_store(const void *p, uint64_t v, memory_order order);
void model_fence(memory_order order);

#define PAGE 70u

extern const struct marks_variant marks_0, marks_1, marks_2;

enum misuse { RIGHT, OWNER_LOOKS_FIRST, IO_LOOKS_FIRST, NO_FAULT, NO_MARK };

static const struct {
	const struct marks_variant *code;
	enum misuse misuse;
	const char *bug;
} variants[] = {
	{ &marks_0, RIGHT, "none" },
	{ &marks_1, RIGHT, "no fence" },
	{ &marks_2, RIGHT, "nothing is marked" },
	{ &marks_0, OWNER_LOOKS_FIRST, "the owner looks, and then protects" },
	{ &marks_0, IO_LOOKS_FIRST, "the I/O thread looks, and then marks" },
	{ &marks_0, NO_FAULT, "a guarded page is changed without a fault" },
	{ &marks_0, NO_MARK, "the I/O thread marks nothing" },
};

static const struct marks_variant *code;
static enum misuse misuse;

/* Never touched: their addresses name the words of the model. */
static marks_word guarded[2], busy[2];
static uint64_t ram, copy, shown; /* contents; 1: views show the copy */
static uint64_t protect;	  /* 1: writes fault */
static uint64_t said;		  /* by the I/O thread: enum */

enum { NOTHING, FAULT, CHANGED };

/* Not in the model's memory: that it all happened, in some interleaving. */
static struct {
	unsigned refused, collapsed, spared;
} seen;

static void set_protection(uint64_t on)
{
	/* A system call, and the flush of other CPUs' TLBs. */
	model_store(&protect, on, memory_order_release);
	model_fence(memory_order_seq_cst);
}

static void owner(void)
{
	bool taken = false;

	code->set(guarded, PAGE);
	if (misuse == OWNER_LOOKS_FIRST)
		taken = code->look(busy, PAGE);
	set_protection(1);
	if (misuse != OWNER_LOOKS_FIRST)
		taken = code->look(busy, PAGE);
	if (taken) {
		seen.refused++;
		set_protection(0);
		return;
	}
	model_store(&copy, model_load(&ram, memory_order_acquire),
		    memory_order_release);
	model_store(&shown, 1, memory_order_release);
	while (model_load(&said, memory_order_acquire) == NOTHING)
		model_await_change(&said);
	if (model_load(&said, memory_order_acquire) != FAULT)
		return;
	seen.collapsed++;
	model_store(&shown, 0, memory_order_release);
	set_protection(0);
}

static void io_fault(void)
{
	if (!model_load(&protect, memory_order_acquire)) {
		seen.spared++;
		return;
	}
	model_store(&said, FAULT, memory_order_release);
	while (model_load(&protect, memory_order_acquire))
		model_await_change(&protect);
}

static void io_thread(void)
{
	bool look;

	if (misuse == IO_LOOKS_FIRST) {
		look = code->look(guarded, PAGE);
		code->set(busy, PAGE);
	} else {
		if (misuse != NO_MARK)
			code->set(busy, PAGE);
		look = code->look(guarded, PAGE);
	}
	if (look && misuse != NO_FAULT)
		io_fault();
	model_store(&ram, 1, memory_order_release);
	model_store(&said, CHANGED, memory_order_release);
}

static void at_end(void)
{
	model_assert(!model_last(&shown) ||
			     model_last(&copy) == model_last(&ram),
		     "a copy is shown that is not the page");
	model_assert(model_last(&ram) == 1, "the change is lost");
}

static const struct model_program program = { { owner, io_thread, NULL },
					      at_end };

static void explore(size_t variant, struct model_result *r)
{
	code = variants[variant].code;
	misuse = variants[variant].misuse;
	model_explore(&program, r);
}

static void the_code_is_right(void **state)
{
	struct model_result r;

	(void)state;
	explore(0, &r);
	print_message("# %.3g schedules, %llu states, longest %u\n",
		      r.nr_schedules, (unsigned long long)r.nr_states,
		      r.longest);
	model_is_right(&r);
	assert_true(seen.refused && seen.collapsed && seen.spared);
}

static void every_planted_bug_is_found(void **state)
{
	(void)state;
	for (size_t i = 1; i < ARRAY_SIZE(variants); i++) {
		struct model_result r;

		explore(i, &r);
		model_has_found(i, variants[i].bug, &r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_code_is_right),
		cmocka_unit_test(every_planted_bug_is_found),
	};

	return cmocka_run_group_tests_name("marks_model", tests, NULL, NULL);
}
