/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every direction of every protocol has to refuse, by its table: each kind
 * cut and lengthened, with too few, too many and other descriptors, and kinds
 * that there are not.
 */
#ifndef TESTS_UNIT_IPC_MESSAGES_H
#define TESTS_UNIT_IPC_MESSAGES_H

#include <sys/socket.h>

#include "monitor/ipc/message.h"
#include "tests/unit/support.h"

#define MESSAGES_MAX 8192u /* bytes of one */

struct direction {
	const struct message_table *table;
	/*
	 * Fill what a kind needs besides its head to be accepted. Return: its
	 * length.
	 */
	size_t (*fill)(void *bytes);
	/* Receive one. @fds: FDS_MAX, out. Return: as *_receive(). */
	int (*receive)(int sock, void *bytes, int fds[FDS_MAX]);
	int unknown; /* what it returns for a kind that there is not */
};

/* Both of a protocol: requests and answers, or requests and events. */
#define NR_DIRECTIONS 2u

/* Tests whose *@state is an array of NR_DIRECTIONS struct direction. */
void messages_are_taken(void **state);
void messages_cut_are_refused(void **state);
void messages_of_no_kind_are_refused(void **state);
void messages_with_wrong_fds_are_refused(void **state);

#define MESSAGE_TESTS(directions)                                              \
	cmocka_unit_test_prestate(messages_are_taken, directions),             \
		cmocka_unit_test_prestate(messages_cut_are_refused,            \
					  directions),                         \
		cmocka_unit_test_prestate(messages_of_no_kind_are_refused,     \
					  directions),                         \
		cmocka_unit_test_prestate(messages_with_wrong_fds_are_refused, \
					  directions)

/*
 * Send @bytes with @nr descriptors, and receive them. Return: what the receiver
 * returns. No descriptor stays open.
 */
int message_pass(const struct direction *d, const void *bytes, size_t len,
		 const int *fds, unsigned nr);

#endif
