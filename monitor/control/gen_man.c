/* SPDX-License-Identifier: BSD-2-Clause */
/* gen_man <PAGE.in >PAGE: at build time, the tables of options into a page. */
#include <string.h>

#include "monitor/control/commands.h"
#include "monitor/control/config/man.h"

int main(void)
{
	int err = man_page(stdin, stdout, &disco_command);

	if (err)
		(void)fprintf(stderr, "gen_man: %s\n", strerror(-err));
	return err ? 1 : 0;
}
