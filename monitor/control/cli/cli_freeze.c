/* SPDX-License-Identifier: BSD-2-Clause */
/* disco freeze, thaw: the file systems of guests, by their guest agents. */
#include <string.h>

#include "monitor/control/cli/agent_link.h"
#include "monitor/control/cli/cli.h"

static int freeze_one(const char *vm, bool freeze, struct diag *d)
{
	struct agent_link l;
	json_t *value = NULL;
	int err = agent_link_open(&l, vm, 0, d);

	if (!err)
		err = agent_link_ask(&l,
				     json_pack("{s:s}", "execute",
					       freeze ? "guest-fsfreeze-freeze"
						      : "guest-fsfreeze-thaw"),
				     &value, d);
	if (!err)
		printf("%s: %lld file systems %s\n", vm,
		       json_integer_value(value), freeze ? "frozen" : "thawed");
	json_decref(value);
	agent_link_close(&l);
	return err;
}

static int cli_freeze_run(const struct command_args *a, struct diag *d)
{
	bool freeze = strcmp(a->command->name, "freeze") == 0;
	int err = 0;

	/* All are tried; the first that failed is reported. */
	for (unsigned i = 0; i < a->nr_words; i++) {
		int one = freeze_one(a->words[i], freeze, d);

		err = err ? err : one;
	}
	return err ? err : ST_OK;
}

#define FREEZES_VMS                                                            \
	.words = "VM...", .min_words = 1, .max_words = COMMAND_MAX_WORDS,      \
	.run = cli_freeze_run

const struct command cli_freeze = {
	.name = "freeze",
	.brief = "freeze the file systems of VMs, by their guest agents",
	.help = "Write everything to the disks of virtual machines, and let "
		"nothing more be written until 'disco thaw': for copies of "
		"the disks. While a guest is frozen, its agent refuses other "
		"commands.",
	FREEZES_VMS,
};

const struct command cli_thaw = {
	.name = "thaw",
	.brief = "let frozen file systems go on",
	.help = "Let the file systems of frozen virtual machines go on.",
	FREEZES_VMS,
};
