/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heads of HTTP requests, of any bytes. Checked: what is judged of a part is
 * judged of the whole, and a head that is good has no NUL and ends.
 */
#include <string.h>

#include "monitor/control/api/api_head.h"
#include "tests/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *bytes = (const char *)data;
	struct api_head_error e = { 0, NULL }, part = { 0, NULL };
	enum api_head whole = api_head_check(bytes, n, &e), ret;
	const char *end;

	must((whole == API_HEAD_BAD) == (e.text != NULL));
	must(whole != API_HEAD_MORE || n < API_HEAD_MAX);
	if (whole == API_HEAD_GOOD) {
		end = memmem(bytes, n, "\r\n\r\n", 4);
		must(end && !memchr(bytes, '\0', (size_t)(end - bytes)));
	}
	ret = n ? api_head_check(bytes, n / 2, &part) : API_HEAD_MORE;
	must(ret == API_HEAD_MORE || ret == whole);
	return 0;
}
