/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/control/base/size.h"

#define UNTOUCHED 0x5a5a5a5a5a5a5a5aull

static const struct {
	const char *text;
	uint64_t bytes;
} good[] = {
	{ "0", 0 },
	{ "1", 1 },
	{ "0007", 7 },
	{ "4096", 4096 },
	{ "1K", 1024 },
	{ "1k", 1024 },
	{ "1KiB", 1024 },
	{ "256M", 268435456 },
	{ "256MiB", 268435456 },
	{ "268435456", 268435456 },
	{ "3G", 3221225472 },
	{ "3GiB", 3221225472 },
	{ "1T", 1099511627776 },
	{ "16777215T", 18446742974197923840ull },
	{ "18446744073709551615", UINT64_MAX },
	{ "18014398509481983K", UINT64_MAX - 1023 },
};

static const struct {
	const char *text;
	int err;
} bad[] = {
	{ "", -EINVAL },
	{ "M", -EINVAL },
	{ "-1", -EINVAL },
	{ "+1", -EINVAL },
	{ " 1", -EINVAL },
	{ "1 ", -EINVAL },
	{ "1 M", -EINVAL },
	{ "1.5G", -EINVAL },
	{ "0x10", -EINVAL },
	{ "1P", -EINVAL },
	{ "1MB", -EINVAL },
	{ "1Mi", -EINVAL },
	{ "1MiBs", -EINVAL },
	{ "1MIB", -EINVAL },
	{ "1iB", -EINVAL },
	{ "256M,node=0", -EINVAL },
	{ "1\v", -EINVAL },
	{ "1-", -EINVAL },
	{ "18446744073709551616", -ERANGE },
	{ "99999999999999999999999999", -ERANGE },
	{ "18014398509481984K", -ERANGE },
	{ "16777216T", -ERANGE },
};

static void reads_what_people_write(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint64_t bytes = UNTOUCHED;

		if (size_parse(good[i].text, &bytes))
			fail_msg("'%s' was refused", good[i].text);
		if (bytes != good[i].bytes)
			fail_msg("'%s' gave %llu", good[i].text,
				 (unsigned long long)bytes);
	}
}

static void refuses_the_rest(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t bytes = UNTOUCHED;
		int err = size_parse(bad[i].text, &bytes);

		if (err != bad[i].err)
			fail_msg("'%s' gave %d, not %d", bad[i].text, err,
				 bad[i].err);
		assert_int_equal(bytes, UNTOUCHED);
	}
}

static void writes_the_largest_exact_unit(void **state)
{
	char buf[SIZE_TEXT_MAX];

	(void)state;
	assert_string_equal(size_text(0, buf), "0 B");
	assert_string_equal(size_text(1023, buf), "1023 B");
	assert_string_equal(size_text(4096, buf), "4 KiB");
	assert_string_equal(size_text(MIB(256), buf), "256 MiB");
	assert_string_equal(size_text(MIB(1536), buf), "1536 MiB");
	assert_string_equal(size_text(GIB(1024), buf), "1 TiB");
	assert_string_equal(size_text(GIB(1) << 20, buf), "1024 TiB");
	assert_string_equal(size_text(UINT64_MAX, buf),
			    "18446744073709551615 B");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_people_write),
		cmocka_unit_test(refuses_the_rest),
		cmocka_unit_test(writes_the_largest_exact_unit),
	};

	return cmocka_run_group_tests_name("size", tests, NULL, NULL);
}
