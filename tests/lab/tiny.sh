# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with the tiny guests of tests/guest: one property each.

GUESTS=${DISCO%/*}/guest

# tiny NAME STATUS [ARG...] - boots it, wants "PASS NAME" and the exit status
tiny()
{
	local name=$1 status=$2
	shift 2
	run_disco "$WORK/o" --kernel "$GUESTS/$name.elf" --memory 64M \
		--cmdline "tiny $name" "$@"
	want_status "$status" "$WORK/o" &&
		want_line "PASS $name" "$WORK/o"
}

t_tiny_pvh_entry() { tiny pvh_entry 0; }
t_tiny_poweroff() { tiny poweroff 0; }
t_tiny_reset() { tiny reset 20; }
t_tiny_serial()
{
	tiny serial 0 && want_line '^(0123456789){200}' "$WORK/o"
}
t_tiny_acpi() { tiny acpi 0; }
t_tiny_pci_scan() { tiny pci_scan 0; }
t_tiny_memory() { tiny memory 0 --memory 4G; }

t_tiny_triple_fault()
{
	tiny triple_fault 22 && want_line 'triple fault' "$WORK/o.err"
}
