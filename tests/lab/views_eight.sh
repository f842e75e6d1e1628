# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# A stock guest of 8 virtual CPUs in 4 views, two CPUs on each of four nodes: under
# load (scenario views_load), and booted over and over (views_boots).
#
# VIEWS_LOAD: seconds of load (20). VIEWS_CALLS: function calls from each CPU to all
# others, and rounds of a token over all CPUs (10). VIEWS_BOOTS: boots (2). A lab has
# a buffer of translated code that some 20 boots fill (machine_args() of lab/run says
# what happens then): for more boots, take several labs.
#
# Needs views.sh, monitor.sh, move.sh, wide.sh and runner.sh.

VIEWS_LOAD=${VIEWS_LOAD:-20}
VIEWS_CALLS=${VIEWS_CALLS:-10}
VIEWS_BOOTS=${VIEWS_BOOTS:-2}
EIGHT_CPUS=(0 2 4 6 1 3 5 7) # those of other nodes after each other
EIGHT_MEMORY=512M,nodes=0-3,views=on,huge=thp

# eight_start OPTION... - the guest; does not wait for it
eight_start()
{
	runner_start v --cpus 8 --memory "$EIGHT_MEMORY" "$@"
}

# eight_up - all of its CPUs are there and run programs, by the clock that it was
# told to use, and its kernel has complained of nothing. The scripts for guests are
# short: what is typed before it is read has to fit the guest's terminal.
eight_up()
{
	local i
	runner_do v 120 <<-'G' || return 1
	echo "ONLINE $(cat /sys/devices/system/cpu/online)"
	for i in 0 1 2 3 4 5 6 7; do
		echo "RAN $i $(taskset -c $i cut -d ' ' -f 39 /proc/self/stat)"
	done
	cat /sys/devices/system/clocksource/clocksource0/current_clocksource
	G
	want_line '^ONLINE 0-7$' "$WORK/o" && want_line '^tsc(-early)?$' "$WORK/o" ||
		return 1
	for i in 0 1 2 3 4 5 6 7; do
		want_line "^RAN $i $i\$" "$WORK/o" || return 1
	done
	eight_is_calm
}

# eight_is_calm - nothing that a lost interrupt, or a clock that differs between
# CPUs, makes a kernel say
eight_is_calm()
{
	runner_do v 60 <<-'G' || return 1
	wrong='BUG:|Call Trace|soft lockup|rcu.*stall|unstable'
	wrong+='|blocked for more than|nobody cared'
	dmesg | grep -E "$wrong" && echo COMPLAINS
	true
	G
	! grep -q COMPLAINS "$WORK/o" ||
		fail "the guest's kernel says: $(head -n 6 "$WORK/o")"
}

# --- under load ---------------------------------------------------------------------
scenario views_load eight_boot eight_keep_the_time eight_lose_no_call \
	eight_are_busy eight_have_kept_the_time eight_lose_no_call_after_load \
	eight_power_off

# eight_booted - each node has its two vCPUs and the ghosts of the six others
eight_booted()
{
	local node
	eight_up || return 1
	[[ $(views_sent count) == 4 ]] ||
		fail "$(views_sent count) views, not 4" || return 1
	for node in 1 2 3; do
		(($(threads_on v $node) == 8)) ||
			fail "$(threads_on v $node) threads on node $node, not 8" ||
			return 1
	done
	eight_take_program
}

eight_take_program()
{
	runner_do v 60 <<-'G' && want_line '^taken' "$WORK/o"
	cat /dev/vdb >/tmp/calls && chmod +x /tmp/calls && echo taken
	G
}

# eight_make_program - as a disk
eight_make_program()
{
	gcc -std=gnu11 -D_GNU_SOURCE -static -O1 -pthread -o "$WORK/calls" \
		tests/lab/calls.c && truncate -s %512 "$WORK/calls"
}

# eight_calls - each call is answered by all CPUs, and no CPU sleeps when it is to
# wake; without the guest's watchdog, whose timers would wake it, too. Three of four
# interrupts have a view to cross: at least half of them are sent on.
eight_calls()
{
	local before sent least=$((VIEWS_CALLS * 8 * 6 / 2))
	before=$(views_sent vectors)
	runner_do v $((120 + 20 * VIEWS_CALLS)) <<-G || return 1
	echo 0 >/proc/sys/kernel/watchdog
	/tmp/calls all $VIEWS_CALLS $((10 * SCALE)) &&
		/tmp/calls ring $VIEWS_CALLS $((10 * SCALE))
	status=\$?
	echo 1 >/proc/sys/kernel/watchdog
	exit \$status
	G
	sent=$(($(views_sent vectors) - before))
	grep -E '^(CALLS|RING)' "$WORK/o" | sed 's/^/# /'
	echo "# sent on meanwhile: $sent vectors"
	want_line "^CALLS $((VIEWS_CALLS * 8)) of $((VIEWS_CALLS * 8)) answered by 8" \
		"$WORK/o" && want_line "^RING $VIEWS_CALLS rounds over 8" "$WORK/o" ||
		return 1
	((sent >= least)) || fail "$sent vectors were sent on, not $least"
}

# eight_begin_load - stress-ng in the background, which checks what it computes;
# meanwhile, over and over, hackbench by processes with sockets and by threads with
# pipes, and direct reads of the disk from each CPU in turn. All have to end well.
eight_begin_load()
{
	runner_do v 60 <<-'G' || return 1
	cat >/tmp/load <<'S'
	end=$((SECONDS + $1)) n=0
	stress-ng --cpu 3 --vm 2 --vm-bytes 24M --mmap 2 --mmap-bytes 8M \
		--futex 2 --fork 2 --verify --timeout "$1" >/tmp/stress 2>&1 &
	while ((SECONDS < end)); do
		for how in '' '-T -p'; do
			hackbench $how -g 2 -f 4 -l 50 >/tmp/hackbench 2>&1 && continue
			echo "HACKBENCH $? $how: $(tail -n 3 /tmp/hackbench)"
			exit 1
		done
		taskset -c $((n % 8)) dd if=/dev/vda of=/dev/null bs=64k count=8 \
			iflag=direct 2>/tmp/dd || { cat /tmp/dd; exit 1; }
		n=$((n + 1))
	done
	wait $! || { echo "STRESS-NG $?"; tail -n 20 /tmp/stress; exit 1; }
	tail -n 3 /tmp/stress
	echo "LOADED $1 s, $n rounds"
	S
	G
	runner_send v <<<"bash /tmp/load $VIEWS_LOAD"
}

eight_loaded()
{
	local before
	before=$(views_sent vectors)
	eight_begin_load && runner_result v $((300 + 4 * VIEWS_LOAD)) &&
		want_status 0 "$WORK/o" &&
		want_line "^LOADED $VIEWS_LOAD s, [1-9]" "$WORK/o" || return 1
	sed 's/^/# /' "$WORK/o"
	echo "# sent on meanwhile: $(($(views_sent vectors) - before)) vectors;" \
		"$(views_sent nmis) NMIs in all"
	eight_up
}

s_views_load()
{
	local RUNNER_LIMIT=$((900 + 4 * VIEWS_LOAD))
	eight_make_program || fail 'no program' || return 1
	start_monitor --balance=off || return 1
	eight_start --disk "path=$WORK/calls,ro" && runner_ready v || return 1
	part eight_boot eight_booted
	part eight_keep_the_time views_time "${EIGHT_CPUS[@]}"
	part eight_lose_no_call eight_calls
	part eight_are_busy eight_loaded
	part eight_have_kept_the_time views_time "${EIGHT_CPUS[@]}"
	part eight_lose_no_call_after_load eight_calls
	part eight_power_off views_end
	stop_monitor
}

# --- boots --------------------------------------------------------------------------
scenario views_boots eight_boot_each_time

# eight_boot_once - up, with the right time, and off again
eight_boot_once()
{
	local inits startups
	eight_start && runner_ready v && eight_up &&
		views_time "${EIGHT_CPUS[@]}" || return 1
	# CPU 0 starts seven others, six of them in other views.
	inits=$(views_sent inits) startups=$(views_sent startups)
	((inits >= 6 && startups >= 6)) ||
		fail "$inits INITs and $startups start-ups were sent on" || return 1
	views_end
}

# eight_keep NR - what there is of a boot that failed, for whoever is to find out
# whose fault it was; it goes where the logs of scenarios do
eight_keep()
{
	{
		"$DISCO" ls
		"$DISCO" stats --json
		tests/lab/standstill
	} >"$WORK/boot-$1.state" 2>&1
	tail -c 200000 "$WORK/console-v" >"$WORK/boot-$1.console"
	tail -c 200000 "$WORK/monitor" >"$WORK/boot-$1.monitor"
	dmesg | tail -n 100 >"$WORK/boot-$1.lab-kernel"
}

# eight_clear - the guest of a boot is no more, whatever has become of it; what was
# typed and not read is not for the next one
eight_clear()
{
	local in=${RUNNER_IN[v]:-}
	in_state v ended || "$DISCO" kill v >/dev/null 2>&1
	wait_state v ended 30 || return 1
	[[ ! ${RUNNER_PID[v]:-} ]] || wait "${RUNNER_PID[v]}"
	[[ ! $in ]] || exec {in}<&-
	unset 'RUNNER_IN[v]'
	return 0
}

# eight_boots - all of them, also after one that failed, of which the first is kept:
# a guest that the lab's emulator kills (lab/keeper.c) is one of many
eight_boots()
{
	local i begun first='' why failed=0
	for ((i = 1; i <= VIEWS_BOOTS; i++)); do
		begun=$SECONDS
		: >"$WORK/why"
		if eight_boot_once; then
			echo "# boot $i of $VIEWS_BOOTS: $((SECONDS - begun)) s"
		else
			failed=$((failed + 1))
			why=$(tr '\n' ' ' <"$WORK/why")
			echo "# boot $i of $VIEWS_BOOTS failed: $why"
			[[ $first ]] || eight_keep $i
			first=${first:-boot $i: $why}
		fi
		eight_clear || break
	done
	echo "# $((i - 1 - failed)) boots of $VIEWS_BOOTS were good"
	: >"$WORK/why"
	((failed == 0 && i > VIEWS_BOOTS)) ||
		fail "$failed of $((i - 1)) failed, of $VIEWS_BOOTS;" \
			"the first: ${first:-it has not ended}"
}

s_views_boots()
{
	start_monitor --balance=off || return 1
	part eight_boot_each_time eight_boots
	stop_monitor
}
