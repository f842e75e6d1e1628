/* SPDX-License-Identifier: BSD-2-Clause */
#include "monitor/control/guests/start_message.h"

#include <errno.h>
#include <string.h>

static const struct message_kind starts[] = {
	[START_VM] = { .bytes = MESSAGE_BYTES(start_message, vm),
		       .fds = { [START_FD_PIDFD] = MESSAGE_PIDFD,
				[START_FD_CONTROL] = MESSAGE_SOCKET,
				[START_FD_CONSOLE] = MESSAGE_SOCKET,
				[START_FD_LOG] = MESSAGE_PIPE,
				[START_FD_BOOT] = MESSAGE_MEMORY } },
	[START_FAILED] = { .bytes = MESSAGE_BYTES(start_message, failed) },
};

static const struct message_table start_table = MESSAGE_TABLE(starts);

int start_message_send(int sock, const struct start_message *msg,
		       const int *fds)
{
	const struct message_kind *k = message_find(&start_table, msg->kind);

	if (!k)
		return -EINVAL;
	return message_send(&start_table, sock, msg, k->bytes, fds, 0);
}

static bool start_boot_sane(const struct boot_layout *b)
{
	return (unsigned)b->entry_kind <= BOOT_LINUX32 &&
	       b->nr_extents <= BOOT_MAX_EXTENTS &&
	       b->hdr_bytes <= BOOT_HDR_MAX;
}

bool start_message_sane(const struct start_message *msg)
{
	switch ((enum start_kind)msg->kind) {
	case START_VM:
		return state_vm_sane(&msg->vm.record) &&
		       start_boot_sane(&msg->vm.boot);
	case START_FAILED:
		return msg->failed.status != ST_OK &&
		       memchr(msg->failed.text, '\0',
			      sizeof(msg->failed.text)) != NULL;
	}
	return false;
}

int start_message_receive(int sock, struct start_message *msg, int fds[FDS_MAX])
{
	size_t len;
	int err = message_receive(&start_table, sock, msg, sizeof(*msg), &len,
				  fds);

	if (err || start_message_sane(msg))
		return err;
	for (unsigned i = 0; i < FDS_MAX; i++)
		fds_drop(&fds[i]);
	return -EINVAL;
}
