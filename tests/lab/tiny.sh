# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with the tiny guests of tests/guest: one property each.
# t_tiny_pmem_from_cache needs monitor.sh and cache.sh.

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
t_tiny_reset_cf9() { tiny reset_cf9 20; }
t_tiny_reset_fast() { tiny reset_fast 20; }
t_tiny_serial()
{
	tiny serial 0 && want_line '^(0123456789){200}' "$WORK/o"
}
t_tiny_hvc()
{
	tiny hvc 0 --cmdline 'tiny lines=3000' || return 1
	cmp <(tr -d '\r' <"$WORK/o" | head -n 3000) <(seq 1 3000) ||
		fail 'lines were lost, or came in another order'
}
t_tiny_acpi() { tiny acpi 0; }
t_tiny_smp() { tiny smp 0 --cpus 4; }
t_tiny_views() { tiny smp 0 --cpus 4 --memory 64M,nodes=0-3,views=on; }
t_tiny_copies()
{
	run_disco "$WORK/o" --kernel "$GUESTS/copies.elf" --cpus 4 \
		--memory 64M,nodes=0-3,views=on,copies=8M \
		--cmdline 'tiny phases=10 wait=8000000000' \
		--report "$WORK/report"
	want_status 0 "$WORK/o" && want_line 'PASS copies' "$WORK/o" ||
		return 1
	grep -A 40 '"copies"' "$WORK/report" | tr -d ' \n' | sed 's/^/# /'
	echo
	[[ $(report_fields "$WORK/report" views.copies.collapsed) -ge 1 ]] ||
		fail 'no page was copied, and collapsed by a write'
}
t_tiny_pci_scan() { tiny pci_scan 0; }
t_tiny_memory() { tiny memory 0 --memory 4G; }

# words COUNT OFFSET FILE - as hexadecimal numbers
words()
{
	od -An -tx8 -v -w8 -j "$2" -N $(($1 * 8)) "$3" | tr -d ' '
}

# make_words FILE COUNT - what the guest "pmem" expects
make_words()
{
	python3 - "$2" >"$1" <<-'P'
	import struct, sys
	for i in range(int(sys.argv[1])):
	    sys.stdout.buffer.write(struct.pack(
	        "<Q", (i + 1) * 0x9e3779b97f4a7c15 & (1 << 64) - 1))
	P
}

# pmem_was_flushed SUM - what the guest "pmem" leaves in a.cow over base, which
# has the sum that it had
pmem_was_flushed()
{
	rm -f "$WORK/exported"
	"$DISCO" image export "$WORK/base" "$WORK/a.cow" "$WORK/exported" &&
		[[ $(words 1 8000 "$WORK/exported") == 000000000f1a54ed ]] ||
		fail "what was flushed: $(words 1 8000 "$WORK/exported")" ||
		return 1
	[[ $(words 1 16000 "$WORK/exported") == 0000000000001a57 ]] ||
		fail "at the end: $(words 1 16000 "$WORK/exported")" || return 1
	(($(cmp -l "$WORK/base" "$WORK/exported" | wc -l) <= 16)) ||
		fail 'more than two words have changed' || return 1
	[[ $(sha256sum <"$WORK/base") == "$1" ]] || fail 'the base has changed'
}

# pmem_flushes ARG... - a guest of such a kind writes to its disks
pmem_flushes()
{
	local before nr=400000 # no multiple of a page
	make_words "$WORK/base" "$nr" || return 1
	before=$(sha256sum <"$WORK/base")
	rm -f "$WORK/a.cow"
	"$DISCO" image create "$WORK/base" "$WORK/a.cow" || return 1
	tiny pmem 0 --cmdline "words=$nr" \
		--disk "path=$WORK/base,cow=$WORK/a.cow,pmem" \
		--disk "path=$WORK/base,snapshot,pmem" \
		--disk "path=$WORK/base,ro,pmem" "$@" || return 1
	pmem_was_flushed "$before"
}

t_tiny_pmem() { pmem_flushes; }
t_tiny_pmem_of_views()
{
	pmem_flushes --cpus 2 --memory 64M,nodes=0-1,views=on
}

# The same guest out of the buffer cache: three disks read the image once.
t_tiny_pmem_from_cache()
{
	local before reads mapped nr=400000
	make_words "$WORK/base" "$nr" || return 1
	before=$(sha256sum <"$WORK/base")
	rm -f "$WORK/a.cow"
	"$DISCO" image create "$WORK/base" "$WORK/a.cow" || return 1
	start_monitor --balance=off --cache=64M || return 1
	"$DISCO" run -d --name p --kernel "$GUESTS/pmem.elf" \
		--memory 64M,node=0 --cmdline "words=$nr" \
		--disk "path=$WORK/base,cow=$WORK/a.cow,pmem" \
		--disk "path=$WORK/base,snapshot,pmem" \
		--disk "path=$WORK/base,ro,pmem" >/dev/null 2>&1 || return 1
	wait_state p ended 100 || return 1
	reads=$(cache_figure agents read_bytes)
	mapped=$(cache_figure p pmem_mapped_pages)
	echo "# $reads bytes read, $mapped pages mapped," \
		"$(cache_figure p pmem_copied_pages) copied"
	timeout $((20 * SCALE)) "$DISCO" console --no-input p >"$WORK/o" 2>&1
	want_line 'PASS pmem' "$WORK/o" || return 1
	((mapped > 800)) || fail "only $mapped pages are mapped" || return 1
	((reads <= 400000 * 8 + 4096)) || fail "$reads bytes read" || return 1
	pmem_was_flushed "$before" || return 1
	stop_monitor
}

# The guest "halt" halts for ever, after it has said what its command line tells
# it to say. The first is listed as halted; the others have panicked.
t_tiny_halt()
{
	local name kernel=$GUESTS/halt.elf
	start_monitor || return 1
	for name in halt 'sleep' 'panic keep' 'panic sleep'; do
		local options=()
		[[ $name != *keep ]] || options=(--on-panic keep)
		"$DISCO" run -d --name "${name// /-}" --kernel "$kernel" \
			--memory 64M --cmdline "tiny $name" "${options[@]}" \
			>/dev/null || return 1
	done
	wait_state halt halted 30 && wait_state panic-keep panicked 30 ||
		return 1
	# Those that wait for an interrupt may get one.
	wait_state sleep running 10 && wait_state panic-sleep running 10 &&
		wait_state halt halted 10 && wait_state panic-keep panicked 10 &&
		"$DISCO" kill sleep panic-sleep || return 1
	# Nothing reaches these: no use in waiting.
	timeout $((30 * SCALE)) "$DISCO" stop --timeout 86400 halt panic-keep ||
		fail 'not ended at once' || return 1
	want_line 'halt: the guest has halted' "$WORK/monitor" &&
		want_line 'panic-keep: .* panicked: no init' "$WORK/monitor" ||
		return 1
	stop_monitor
}

t_tiny_panic_halts() { tiny_panic panic; }
t_tiny_panic_spins() { tiny_panic 'panic spin'; }

tiny_panic()
{
	tiny halt 21 --cmdline "tiny $1" &&
		want_line 'kernel panicked: no init' "$WORK/o.err"
}

t_tiny_triple_fault()
{
	tiny triple_fault 22 && want_line 'triple fault' "$WORK/o.err"
}
