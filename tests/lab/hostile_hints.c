/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hostile guest: nonsense into the device for hints, as fast as one CPU can,
 * with doorbells, impossible tails, resets, and writes where it may only read.
 * Sent to the guest by its console. Ends when it is killed.
 */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BAR_BYTES 0x20000
#define TAIL	  (0x10000 / 4)
#define ENTRIES	  (0x18000 / 4)
#define NR	  1024
#define WORDS	  8 /* of an entry */
#define DOORBELL  (0x10 / 4)
#define RESET	  (0x14 / 4)

static unsigned random_state = 12345;

static unsigned random_word(void)
{
	random_state = random_state * 1103515245 + 12345;
	return random_state >> 8 ^ random_state << 16;
}

static volatile unsigned *open_bar(void)
{
	char vendor[16] = "", path[256];
	glob_t g;

	glob("/sys/bus/pci/devices/*/vendor", 0, NULL, &g);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		int fd = open(g.gl_pathv[i], O_RDONLY);

		memset(vendor, 0, sizeof(vendor));
		(void)!read(fd, vendor, sizeof(vendor) - 1);
		close(fd);
		if (strncmp(vendor, "0xd15c", 6) != 0)
			continue;
		snprintf(path, sizeof(path), "%.*sresource0",
			 (int)strlen(g.gl_pathv[i]) - 6, g.gl_pathv[i]);
		fd = open(path, O_RDWR);
		return mmap(NULL, BAR_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			    fd, 0);
	}
	return MAP_FAILED;
}

int main(void)
{
	volatile unsigned *bar = open_bar();
	unsigned tail = bar == MAP_FAILED ? 0 : bar[TAIL];

	if (bar == MAP_FAILED)
		return 1;
	for (unsigned n = 0;; n++) {
		for (unsigned i = 0; i < 64; i++) {
			volatile unsigned *e =
				bar + ENTRIES + tail++ % NR * WORDS;

			for (unsigned w = 0; w < WORDS; w++)
				e[w] = random_word();
			/* Most are known kinds, of pages that there are not. */
			e[1] = 0xffff;
			e[3] = random_word() % 14;
		}
		bar[TAIL] = tail;
		bar[DOORBELL] = n;
		bar[0x1000 / 4 + n % 1024] = n;
		if (n % 1000 == 999)
			bar[TAIL] = random_word();
		if (n % 1000 == 999 || n % 4000 == 1) {
			bar[DOORBELL] = n;
			usleep(1000 * 100);
			tail = bar[TAIL] = 0;
			bar[RESET] = 1;
		}
	}
}
