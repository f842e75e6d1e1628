/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of nodes: what is one, how it is written, how things are spread. */
#include <errno.h>
#include <string.h>

#include "numa/bind.h"
#include "numa/node_list.h"
#include "tests/unit/support.h"

static void reads(const char *text, const char *same)
{
	char buf[NODE_LIST_TEXT_MAX];
	struct node_list l;

	assert_int_equal(node_list_parse(text, &l), 0);
	assert_string_equal(node_list_text(&l, buf), same);
}

static void refuses(const char *text, int err)
{
	struct node_list l = { .nr = 77 };

	assert_int_equal(node_list_parse(text, &l), err);
	assert_int_equal(l.nr, 77);
}

static void lists(void **state)
{
	(void)state;
	reads("0", "0");
	reads("0-3", "0-3");
	reads("0+1+2+3", "0-3");
	reads("2+0-1", "2+0-1");
	reads("5-5", "5");
	reads("1023", "1023");
	reads("3+2+1", "3+2+1");
	reads("007", "7");
}

static void no_lists(void **state)
{
	static const char *const bad[] = { "",	    "a",
					   "-1",    "0-",
					   "0,1",   "0+",
					   "+0",    "3-1",
					   "0 ",    " 0",
					   "0--1",  "1024",
					   "0-1-2", "99999999999999999999" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		refuses(bad[i], -EINVAL);
	refuses("0-2+1", -EEXIST);
	refuses("4+4", -EEXIST);
	refuses("0-64", -E2BIG);
	reads("0-63", "0-63");
}

/* The longest text: no two neighbours, and large numbers. */
static void every_list_has_room(void **state)
{
	char buf[NODE_LIST_TEXT_MAX];
	struct node_list l = { .nr = 0 }, again;

	(void)state;
	for (nodeid_t i = 0; i < MAX_NODES; i++)
		node_list_add(&l, NODE_ID_MAX - 2 * i);
	assert_int_equal(l.nr, MAX_NODES);
	assert_true(strlen(node_list_text(&l, buf)) + 1 < sizeof(buf));
	assert_int_equal(node_list_parse(buf, &again), 0);
	assert_memory_equal(&again, &l, sizeof(l));
	node_list_add(&l, 0);
	node_list_insert(&l, 0);
	assert_true(l.nr == MAX_NODES && !node_list_has(&l, 0));
}

static void nodes_are_inserted_in_order(void **state)
{
	static const nodeid_t in[] = { 5, 1, 9, 5, 0, 2 };
	char buf[NODE_LIST_TEXT_MAX];
	struct node_list l = { .nr = 0 };

	(void)state;
	assert_string_equal(node_list_text(&l, buf), "");
	for (size_t i = 0; i < ARRAY_SIZE(in); i++)
		node_list_insert(&l, in[i]);
	assert_string_equal(node_list_text(&l, buf), "0-2+5+9");
	assert_true(node_list_has(&l, 9) && !node_list_has(&l, 3));
}

static void things_are_spread_evenly(void **state)
{
	struct node_list l = { .nr = 0 };

	(void)state;
	assert_int_equal(node_list_spread(&l, 4, 3), 0);
	for (l.nr = 1; l.nr <= MAX_NODES; l.nr++)
		for (unsigned nr = l.nr; nr <= 2 * MAX_NODES; nr++) {
			unsigned of[MAX_NODES] = { 0 }, last = 0;

			for (unsigned i = 0; i < nr; i++) {
				unsigned at = node_list_spread(&l, nr, i);

				assert_true(at == last || at == last + 1);
				last = at;
				of[at]++;
			}
			assert_int_equal(last, l.nr - 1);
			for (unsigned k = 0; k < l.nr; k++)
				assert_in_range(of[k], nr / l.nr,
						(nr + l.nr - 1) / l.nr);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(no_lists),
		cmocka_unit_test(every_list_has_room),
		cmocka_unit_test(nodes_are_inserted_in_order),
		cmocka_unit_test(things_are_spread_evenly),
	};

	return cmocka_run_group_tests_name("node_list", tests, NULL, NULL);
}
