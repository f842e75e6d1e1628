/* SPDX-License-Identifier: BSD-2-Clause */
/* The line by which a kernel says that it has panicked, in any pieces. */
#include <stdlib.h>
#include <string.h>

#include "monitor/dev/platform/panic_line.h"
#include "tests/unit/support.h"

#define LINE                                                                   \
	"[    1.234567] Kernel panic - not syncing: VFS: Unable to mount "     \
	"root fs on unknown-block(0,0)\r\n"
#define REASON "VFS: Unable to mount root fs on unknown-block(0,0)"

static bool feed(struct panic_line *p, const char *s)
{
	return panic_line_feed(p, (const uint8_t *)s, strlen(s));
}

static void whole_line(void **state)
{
	struct panic_line p = { 0 };

	(void)state;
	assert_true(feed(&p, "[    1.2] boots\n" LINE "CPU: 0 PID: 1\n"));
	assert_string_equal(p.text, REASON);
	assert_false(feed(&p, "Call Trace:\n"));
}

static void byte_by_byte(void **state)
{
	struct panic_line p = { 0 };
	const char *s = "Kernel paKernel panic - Kernel panic - not syncing: "
			"init\n";
	size_t len = strlen(s);

	(void)state;
	for (size_t i = 0; i < len; i++)
		assert_int_equal(panic_line_feed(&p, (const uint8_t *)s + i, 1),
				 i == len - 1);
	assert_string_equal(p.text, "init");
}

static void other_lines(void **state)
{
	struct panic_line p = { 0 };

	(void)state;
	assert_false(feed(&p, "Kernel panic - not synching: x\n"));
	assert_false(feed(&p, "kernel panic - not syncing: x\n"));
	assert_false(feed(&p, "Kernel panic\n - not syncing: x\n"));
	assert_false(feed(&p, "Kernel panic - not syncing: never ends"));
	assert_true(feed(&p, "\n"));
	assert_false(feed(&p, "\n"));
}

/* What a guest writes there is printed on the host. */
static void long_and_dirty_reason(void **state)
{
	struct panic_line p = { 0 };
	uint8_t noise[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i % 256 == '\n' || i % 256 == '\r'
					     ? 0x1b
					     : i % 256);
	assert_false(feed(&p, "Kernel panic - not syncing: "));
	assert_false(panic_line_feed(&p, noise, sizeof(noise)));
	assert_true(feed(&p, "\n"));
	assert_int_equal(strlen(p.text), PANIC_TEXT_BYTES - 1);
	for (const char *c = p.text; *c; c++)
		assert_in_range(*c, ' ', '~');
	assert_true(feed(&p, "Kernel panic - not syncing: \n"));
	assert_string_equal(p.text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_line),
		cmocka_unit_test(byte_by_byte),
		cmocka_unit_test(other_lines),
		cmocka_unit_test(long_and_dirty_reason),
	};

	return cmocka_run_group_tests_name("panic_line", tests, NULL, NULL);
}
