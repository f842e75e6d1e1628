# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests of hints by stock guests: what the host tells, memory that goes back
# without a balloon, by programs of root and by the kernel module, marks, and a
# guest that writes nonsense as fast as it can.
# HINTS_MIB: how much is freed (128). HINTS_LOADS: how often the module is loaded
# and unloaded (3; make check-all: 100). Needs monitor.sh, runner.sh, move.sh.

HINTS_MIB=${HINTS_MIB:-128}
HINTS_LOADS=${HINTS_LOADS:-3}
HINTS_HOSTILE=build/${VARIANT:-release}/lab/hostile_hints

scenario hints hints_show hints_free hints_marks hints_module hints_user \
	hints_loads hints_off hints_hostile

# hints_figure NAME KEY - of "hints" in the statistics
hints_figure()
{
	stats_of "$1" "hints.$2"
}

# hints_ram NAME - pages of its memory that the machine has given it
hints_ram()
{
	"$DISCO" stats --exact --json | fields vms name ram_pages |
		sed -n "s/^$1 //p"
}

in_hints_show()
{
	runner_do h 60 <<<'disco-hint show' &&
		want_line '^device /sys/.*/resource0' "$WORK/o" &&
		want_line '^cpu 0 home 1$' "$WORK/o" &&
		want_line '^cpu 1 home 1$' "$WORK/o" &&
		want_line '^node 0 distances 0:10 1:21' "$WORK/o" &&
		want_line '^reserved no' "$WORK/o"
}

# freed_by NAME COMMAND - a file of a quarter more than HINTS_MIB is gone, and
# the machine has HINTS_MIB back once COMMAND has run, though nothing else gives
# any back. The kernel keeps a sixteenth, and may give other pages first.
freed_by()
{
	local full freed all=$((HINTS_MIB << 8)) before
	runner_do "$1" 200 <<-G || return 1
	head -c $((HINTS_MIB * 5 / 4))M /dev/urandom >/dev/shm/a && rm /dev/shm/a
	G
	full=$(hints_ram "$1")
	before=$(hints_figure "$1" freed_pages)
	((full >= all)) || fail "$full pages with $all filled" || return 1
	runner_do "$1" 300 <<<"$2" || return 1
	wait_figure 30 $((before + all)) hints_figure "$1" freed_pages ||
		return 1
	freed=$((full - $(hints_ram "$1")))
	echo "# $full pages, $freed less after '$2': $(tr '\n' ' ' <"$WORK/o")"
	((freed >= all)) || fail "$freed pages are back, not $all"
}

in_hints_free()
{
	freed_by h "disco-hint free all" || return 1
	# What was given back is memory like any other.
	runner_do h 100 <<-'G'
	head -c 64M /dev/urandom >/dev/shm/b && a=$(md5sum </dev/shm/b) &&
		[ "$a" = "$(md5sum </dev/shm/b)" ] && rm /dev/shm/b
	G
}

in_hints_marks()
{
	local kind
	runner_do h 100 <<-'G' || return 1
	md5sum /usr/bin/bash >/tmp/sum
	disco-hint file read-mostly /usr/bin/bash &&
	disco-hint file merge /usr/bin/bash &&
	disco-hint bulk page-tables && disco-hint bulk kernel &&
	disco-hint process $$ all cold && disco-hint process $$ all private=1 &&
	disco-hint process $$ all pin && disco-hint process $$ all pin-off &&
	disco-hint process $$ all forget &&
	disco-hint phase begin 7 && disco-hint phase end 7 &&
	md5sum -c /tmp/sum && disco-hint show
	G
	for kind in read_mostly merge rewrite cold private pin pin_off forget \
		phase_begin phase_end; do
		wait_figure 30 1 hints_figure h "taken.$kind" || return 1
	done
	want_line '^refused 0' "$WORK/o" || return 1
	# A rule for a program that knows nothing of hints.
	runner_do h 100 <<-'G' || return 1
	before=$(disco-hint show | sed -n 's/^hints //p')
	disco-hint run size=1M:cold,file=*/libc.so*:merge sleep 4 &&
		[ "$(disco-hint show | sed -n 's/^hints //p')" -gt "$before" ]
	G
	runner_do h 30 <<-'G'
	disco-hint file sideways /bin/sh; [ $? = 2 ] || exit 8
	disco-hint file merge /none; [ $? = 1 ] || exit 9
	G
}

in_hints_module()
{
	runner_do h 60 <<-'G' &&
	modprobe disco_hints && disco-hint show
	G
		want_line '^device /dev/disco-hints' "$WORK/o" &&
		want_line '^cpu 0 home 1$' "$WORK/o" || return 1
	freed_by h "disco-hint free all" || return 1
	runner_do h 100 <<-'G' && want_line '^pages [1-9]' "$WORK/o"
	md5sum /usr/bin/bash >/tmp/sum
	disco-hint bulk page-tables && disco-hint bulk kernel &&
	disco-hint file merge /usr/bin/bash &&
	disco-hint process $$ all cold && disco-hint phase begin 1 &&
	md5sum -c /tmp/sum
	G
}

# Anybody, of the memory of their own, within a budget.
in_hints_user()
{
	runner_do h 100 <<-'G'
	user='setpriv --reuid 65534 --regid 65534 --clear-groups'
	$user disco-hint show >/dev/null || exit 8
	$user disco-hint file merge /usr/bin/bash || exit 9
	$user disco-hint phase begin 3 || exit 10
	$user disco-hint bulk page-tables && exit 11
	$user disco-hint free 1M && exit 12
	$user disco-hint process 1 all cold && exit 13
	exit 0
	G
}

in_hints_loads()
{
	runner_do h 600 <<-G
	dmesg -C # a boot has warnings of its own
	rmmod disco_hints || exit 8
	for i in \$(seq $HINTS_LOADS); do
		modprobe disco_hints && disco-hint phase begin \$i &&
			rmmod disco_hints || exit 9
	done
	disco-hint show | grep -q '^device /sys' || exit 10
	! dmesg | grep -E 'BUG:|WARNING:|Oops'
	G
}

# Entries and a tail of nonsense, and a doorbell, without rest. The host spends
# its share on them; peers and the guest itself go on.
in_hints_hostile()
{
	local spent wall sent
	wait_figure 30 0 hints_figure h spent_ns || return 1
	spent=$(hints_figure h spent_ns)
	wall=${EPOCHREALTIME/[.,]/}
	runner_send h <<<"base64 -d <<<'$(gzip -9 <"$HINTS_HOSTILE" | base64 -w0)' |
		gunzip >/tmp/h && chmod 755 /tmp/h && timeout 20 /tmp/h
		echo end \$?"
	sent=$RUNNER_NR
	runner_do p 200 <<<'/usr/lib/disco/checksum' &&
		want_line 'DISCO-GUEST checksum ok' "$WORK/o" || return 1
	runner_result h 200 "$sent" && want_line '^end 124' "$WORK/o" || return 1
	spent=$((($(hints_figure h spent_ns) - spent) / 1000))
	wall=$((${EPOCHREALTIME/[.,]/} - wall))
	echo "# nonsense took $spent us of $wall; $(hints_figure h refused)" \
		"hints refused, broken $(hints_figure h broken) times, slowed" \
		"$(hints_figure h slowed) times"
	((spent * 40 <= wall)) ||
		fail "$spent us of $wall were spent on nonsense" || return 1
	(($(hints_figure h slowed) > 0 && $(hints_figure h refused) > 0 &&
		$(hints_figure h broken) > 0)) ||
		fail 'it was not hostile' || return 1
	# It is heard again, and frees as before.
	freed_by h "disco-hint free all" &&
		! grep -q 'h ended' "$WORK/monitor"
}

in_hints_off()
{
	runner_do p 30 <<<'disco-hint show; echo status $?' &&
		want_line '^status 3' "$WORK/o"
}

s_hints()
{
	start_monitor --balance=off --merge=off || return 1
	runner_start h --cpus 2 --memory 384M,node=1,huge=thp &&
		runner_ready h || return 1
	# No free page reporting: hints alone give memory back.
	runner_do h 30 <<<'modprobe -r virtio_balloon' || return 1
	part hints_show in_hints_show
	part hints_free in_hints_free
	part hints_marks in_hints_marks
	part hints_module in_hints_module
	part hints_user in_hints_user
	part hints_loads in_hints_loads
	: >"$WORK/why"
	runner_start p --memory 256M,node=1,huge=thp --hints=off &&
		runner_ready p || return 1
	part hints_off in_hints_off
	part hints_hostile in_hints_hostile
	stop_monitor
}
