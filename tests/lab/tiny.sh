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

# words COUNT OFFSET FILE - as hexadecimal numbers
words()
{
	od -An -tx8 -v -w8 -j "$2" -N $(($1 * 8)) "$3" | tr -d ' '
}

t_tiny_pmem()
{
	local before nr=400000 # no multiple of a page
	python3 - "$nr" >"$WORK/base" <<-'P'
	import struct, sys
	for i in range(int(sys.argv[1])):
	    sys.stdout.buffer.write(struct.pack(
	        "<Q", (i + 1) * 0x9e3779b97f4a7c15 & (1 << 64) - 1))
	P
	before=$(sha256sum <"$WORK/base")
	rm -f "$WORK/a.cow" "$WORK/exported"
	"$DISCO" image create "$WORK/base" "$WORK/a.cow" || return 1
	tiny pmem 0 --cmdline "words=$nr" \
		--disk "path=$WORK/base,cow=$WORK/a.cow,pmem" \
		--disk "path=$WORK/base,snapshot,pmem" \
		--disk "path=$WORK/base,ro,pmem" || return 1
	"$DISCO" image export "$WORK/base" "$WORK/a.cow" "$WORK/exported" &&
		[[ $(words 1 8000 "$WORK/exported") == 000000000f1a54ed ]] ||
		fail "what was flushed: $(words 1 8000 "$WORK/exported")" ||
		return 1
	[[ $(words 1 16000 "$WORK/exported") == 0000000000001a57 ]] ||
		fail "at the end: $(words 1 16000 "$WORK/exported")" || return 1
	(($(cmp -l "$WORK/base" "$WORK/exported" | wc -l) <= 16)) ||
		fail 'more than two words have changed' || return 1
	[[ $(sha256sum <"$WORK/base") == "$before" ]] ||
		fail 'the base has changed'
}

t_tiny_triple_fault()
{
	tiny triple_fault 22 && want_line 'triple fault' "$WORK/o.err"
}
