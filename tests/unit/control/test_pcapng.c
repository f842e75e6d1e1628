/* SPDX-License-Identifier: BSD-2-Clause */
/* Capture files: the structure of the blocks, and what third parties read. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control/nets/pcapng.h"
#include "tests/unit/support.h"

static char *text;
static size_t size;

/* One interface, a frame of 61 bytes, a cut one after 3 that were lost. */
static void make(void)
{
	FILE *out = open_memstream(&text, &size);
	uint8_t frame[61];

	assert_non_null(out);
	memset(frame, 0xff, 6);
	for (unsigned i = 6; i < sizeof(frame); i++)
		frame[i] = (uint8_t)i;
	frame[12] = 0x88; /* a type for experiments */
	frame[13] = 0xb5;
	pcapng_begin(out);
	pcapng_interface(out, "lan", 65550);
	pcapng_packet(
		out, &(struct pcapng_packet){ .time_ns = 1700000000123456789ull,
					      .bytes = frame,
					      .cut = 61,
					      .len = 61 });
	pcapng_packet(
		out, &(struct pcapng_packet){ .time_ns = 1700000001000000000ull,
					      .outbound = true,
					      .lost = 3,
					      .bytes = frame,
					      .cut = 20,
					      .len = 9000 });
	pcapng_statistics(out, 0, 1700000002000000000ull, 5, 3);
	assert_int_equal(fclose(out), 0);
}

static uint32_t word(size_t at)
{
	uint32_t v;

	assert_true(at + 4 <= size);
	memcpy(&v, text + at, sizeof(v));
	return v;
}

static void blocks_follow_each_other(void **state)
{
	static const uint32_t types[] = { 0x0a0d0d0a, 1, 6, 6, 5 };
	size_t at = 0;

	(void)state;
	make();
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		uint32_t bytes = word(at + 4);

		assert_int_equal(word(at), types[i]);
		assert_int_equal(bytes % 4, 0);
		/* The length is at both ends. */
		assert_int_equal(word(at + bytes - 4), bytes);
		if (i == 0)
			assert_int_equal(word(at + 8), 0x1a2b3c4d);
		if (i == 3) {
			assert_int_equal(word(at + 20), 20);
			assert_int_equal(word(at + 24), 9000);
		}
		at += bytes;
	}
	assert_int_equal(at, size);
	free(text);
}

static void tcpdump_reads_it(void **state)
{
	char name[] = "/tmp/test-pcapng-XXXXXX", command[128], line[256];
	int fd = mkstemp(name), lines = 0, status;
	FILE *p;

	(void)state;
	if (system("tcpdump --version >/dev/null 2>&1") != 0) {
		(void)unlink(name);
		(void)close(fd);
		print_message("SKIP: tcpdump is not installed\n");
		skip();
	}
	make();
	assert_int_equal(write(fd, text, size), size);
	(void)close(fd);
	(void)snprintf(command, sizeof(command),
		       "tcpdump -tt -e -n -r %s 2>/dev/null", name);
	p = popen(command, "r"); /* NOLINT: a test, with a name of its own */
	assert_non_null(p);
	while (fgets(line, sizeof(line), p)) {
		if (*line == '\t')
			continue; /* the bytes */
		if (lines++ == 0) {
			assert_non_null(strstr(line, "1700000000.123456"));
			assert_non_null(strstr(line, "length 61"));
		} else {
			assert_non_null(strstr(line, "length 9000"));
		}
	}
	status = pclose(p);
	(void)unlink(name);
	free(text);
	assert_int_equal(status, 0);
	assert_int_equal(lines, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_follow_each_other),
		cmocka_unit_test(tcpdump_reads_it),
	};

	return cmocka_run_group_tests_name("pcapng", tests, NULL, NULL);
}
