/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot images, and their copies on nodes. */
#include <numaif.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/control/launch/boot_copies.h"
#include "monitor/ipc/fds.h"
#include "tests/unit/support.h"

#define BYTES (16 * PAGE_BYTES)

/* A hole of an image gets memory of the image's node, whoever reads it. */
static void holes_are_the_nodes(void **state)
{
	struct boot_copies set = { .first = NULL };
	struct boot_image image = {
		.fd = memfd_create("disco-boot",
				   MFD_CLOEXEC | MFD_ALLOW_SEALING),
	};
	struct boot_key key;
	unsigned long nodes[16] = { 0 };
	int mode = MPOL_DEFAULT;
	char *at;

	(void)state;
	if (get_mempolicy(&mode, NULL, 0, NULL, 0) < 0)
		SKIP("no memory policies here");
	memset(&key, 1, sizeof(key));
	assert_int_equal(ftruncate(image.fd, BYTES), 0);
	assert_int_equal(fds_seal_to_read(&image.fd), 0);
	at = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, image.fd, 0);
	assert_true(at != MAP_FAILED);
	assert_true(boot_copies_started(&set, &key, 0, &image) > 0);
	assert_int_equal(get_mempolicy(&mode, nodes, sizeof(nodes) * 8,
				       at + 7 * PAGE_BYTES, MPOL_F_ADDR),
			 0);
	assert_int_not_equal(mode, MPOL_DEFAULT);
	assert_int_equal(nodes[0], 1);
	(void)munmap(at, BYTES);
	boot_copies_sweep(&set, NULL, NULL);
	assert_null(set.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holes_are_the_nodes),
	};

	return cmocka_run_group_tests_name("boot_copies", tests, NULL, NULL);
}
