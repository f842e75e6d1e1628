/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `disco image` on files nobody vouches for: a COW file whose header, bitmap
 * and length come from the input, and commands with any of the files, or words
 * that are none, in any place. (Not import: that is another program's.)
 *
 * Checked: a command that fails says why in one line, with a status; a base
 * changes by commit alone; what `check` finds clean can be exported.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/control/disks/cow_files.h"
#include "monitor/control/disks/image.h"
#include "tests/fuzz/bytes.h"
#include "tests/must.h"

#define BASE_BYTES (KIB(64) + 512)
#define WORDS_MAX  7
#define COMMANDS   4

static struct cow_base base_now;
static uint8_t base_bytes[2][BASE_BYTES];
/* Files, all in one directory, and words that are none; options come last. */
enum word {
	BASE,
	OTHER,
	COW,
	OUT,
	NEW_COW,
	DIR,
	ABSENT,
	DIR_OUT,
	NR_PATHS,
	JSON = NR_PATHS,
	FROM,
	HELP,
	EMPTY,
	NR_WORDS,
};
static char paths[NR_PATHS][64];
static const char *all[NR_WORDS] = {
	[BASE] = "base",     [OTHER] = "other",	    [COW] = "cow",
	[OUT] = "out",	     [NEW_COW] = "new.cow", [DIR] = "dir",
	[ABSENT] = "absent", [DIR_OUT] = "dir/out", [JSON] = "--json",
	[FROM] = "--from",   [HELP] = "--help",	    [EMPTY] = "",
};

static void write_file(const char *path, const void *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, p, n) == (ssize_t)n && close(fd) == 0);
}

static void write_bases(void)
{
	const struct disk_name name = { .path = all[BASE], .read_only = true };
	struct diag d = { .status = ST_OK };
	struct cow_pair p = COW_PAIR_NONE;

	for (unsigned i = 0; i < 2; i++)
		write_file(all[BASE + i], base_bytes[i], BASE_BYTES);
	must(cow_base_open(&name, &p, &d) == 0);
	base_now = p.now;
	cow_pair_close(&p);
}

static void leave_nothing(void)
{
	for (unsigned i = 0; i < NR_PATHS; i++)
		(void)unlink(all[i]);
	(void)rmdir(all[DIR]);
	*strrchr(paths[DIR], '/') = '\0';
	(void)rmdir(paths[DIR]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char dir[] = "/dev/shm/disco-fuzz.XXXXXX";

	(void)argc;
	(void)argv;
	must(mkdtemp(dir));
	for (unsigned i = 0; i < NR_PATHS; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir,
			       all[i]);
		all[i] = paths[i];
	}
	must(mkdir(all[DIR], 0700) == 0 && atexit(leave_nothing) == 0);
	must(freopen("/dev/null", "w", stdout));
	for (size_t i = 0; i < BASE_BYTES; i++) {
		base_bytes[0][i] = (uint8_t)(i * 0x9e3779b97f4a7c15ull >> 56);
		/* Half of its blocks are the same. */
		base_bytes[1][i] = base_bytes[0][i] ^ (i / 4096 % 2);
	}
	write_bases();
	return 0;
}

static void make_cow(struct bytes *b)
{
	struct cow_header h = { .base = base_now };
	struct cow_layout l;
	uint8_t kind = (uint8_t)take(b, 1), *file;
	uint64_t bytes;

	if (kind & 1)
		h.base.bytes = (take(b, 2) + 1) * 512;
	if (kind & 2)
		h.base.content = take(b, 8);
	h.committing = kind & 4;
	must(cow_layout_of(h.base.bytes, &l) == 0);
	file = calloc(1, l.file_bytes);
	must(file);
	cow_header_encode(&h, file);
	for (unsigned n = kind >> 5; n && b->n; n--)
		file[take(b, 2) % l.file_bytes] = (uint8_t)take(b, 1);
	for (unsigned n = (unsigned)take(b, 1) % 24; n && b->n; n--)
		file[COW_HEADER_BYTES + take(b, 1) % 16] = (uint8_t)take(b, 1);
	for (uint64_t i = l.data_offset; i < l.file_bytes; i += 512)
		file[i] = (uint8_t)(i / 512);
	bytes = kind & 8 ? take(b, 3) % (l.file_bytes + 1) : l.file_bytes;
	write_file(all[COW], file, bytes);
	free(file);
}

static bool is_as_made(unsigned i)
{
	static uint8_t now[BASE_BYTES + 1];
	int fd = open(all[BASE + i], O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, now, sizeof(now));

	must(fd >= 0 && close(fd) == 0);
	return n == BASE_BYTES && memcmp(now, base_bytes[i], BASE_BYTES) == 0;
}

static int run(unsigned nr, const char *const *words)
{
	char *argv[WORDS_MAX + 2] = { (char *)(uintptr_t) "image" };
	struct diag d = { .status = ST_OK };
	int ret;

	for (unsigned i = 0; i < nr; i++)
		argv[i + 1] = (char *)(uintptr_t)words[i];
	ret = command_run(&image_command, (int)nr + 1, argv, &d);
	if (ret < 0) {
		must(d.status != ST_OK && *d.text && !strchr(d.text, '\n'));
		must(memchr(d.text, 0, sizeof(d.text)));
	}
	return ret;
}

static void run_one(struct bytes *b)
{
	static const char *const names[] = { "info",   "check",	 "commit",
					     "export", "rebase", "create",
					     "mend",   "" };
	const char *words[WORDS_MAX] = { names[take(b, 1) % ARRAY_SIZE(names)],
					 all[BASE], all[COW] };
	unsigned nr = 3, k = (unsigned)take(b, 1);
	bool was[2];

	/* Mostly what makes sense. */
	if (k & 1)
		for (nr = 1; nr < WORDS_MAX && b->n && k % 8 >= nr; nr++)
			words[nr] = all[take(b, 1) % NR_WORDS];
	else if (strcmp(words[0], "export") == 0)
		words[nr++] = all[OUT];
	was[0] = is_as_made(0);
	was[1] = is_as_made(1);
	(void)run(nr, words);
	if (strcmp(words[0], "commit") != 0)
		must((!was[0] || is_as_made(0)) && (!was[1] || is_as_made(1)));
}

static void tidy(void)
{
	static const enum word left[] = { OUT, NEW_COW, DIR_OUT, ABSENT };

	for (unsigned i = 0; i < ARRAY_SIZE(left); i++)
		(void)unlink(all[left[i]]);
	/* A new time, and so another base, only when it must be. */
	if (!is_as_made(0) || !is_as_made(1))
		write_bases();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *const check[] = { "check", all[BASE], all[COW] };
	const char *const export[] = { "export", all[BASE], all[COW],
				       all[DIR_OUT] };
	struct bytes b = { data, size };

	make_cow(&b);
	for (unsigned i = 0; i < COMMANDS && b.n; i++)
		run_one(&b);
	tidy();
	if (run(3, check) == ST_OK)
		must(run(4, export) == ST_OK);
	(void)unlink(all[DIR_OUT]);
	return 0;
}
