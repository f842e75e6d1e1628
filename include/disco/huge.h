/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages of 2 MiB for guest RAM: what is asked for, and where they begin. */
#ifndef DISCO_HUGE_H
#define DISCO_HUGE_H

#include "disco/base.h"

enum huge_pages {
	HUGE_AUTO = 0, /* the order of the words of memory=...,huge= */
	HUGE_THP,      /* all of it; nothing is shown in place of RAM */
	HUGE_OFF,
};

/*
 * With HUGE_AUTO a VM of less memory has none: what little it touches would take
 * 2 MiB at a time. Nor has the start of any other one's memory, which Linux keeps
 * for devices, and where the worker's own tables for the guest are.
 */
#define HUGE_AUTO_LEAST MIB(128)
#define HUGE_AUTO_FIRST MIB(16)

#endif
