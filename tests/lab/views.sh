# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Views of one guest (monitor/worker/views): with a program that uses the room
# directly and a tiny guest of its own, and with a stock guest of 4 virtual CPUs,
# 0 and 1 on node 0, 2 and 3 on node 1. IPI_ROUNDS: round trips of IPIs per
# measurement. VIEWS_SECONDS: how long the stock guest is busy (4). Another one has
# copies of pages for its views (memory=...,copies=SIZE). Needs
# monitor.sh, move.sh, wide.sh and runner.sh.

VIEWS_SECONDS=${VIEWS_SECONDS:-4}

t_ipis_between_views()
{
	local status=0

	"${DISCO%/*}/lab/ipis" "${IPI_ROUNDS:-1000}" >"$WORK/o" 2>&1 ||
		status=$?
	grep '^#' "$WORK/o"
	((status == 0)) || fail "$(grep -v '^[o#]k*' "$WORK/o" | head -n 3)"
}

# --- a stock guest ----------------------------------------------------------------
scenario views views_boot views_start_all_cpus views_keep_the_time \
	views_pass_interrupts_on views_take_device_interrupts \
	views_restart_a_cpu views_are_busy views_pause views_move views_power_off

# views_sent KIND - so far
views_sent()
{
	stats_of v "views.$1"
}

# views_has_booted - with the clock it was told to use, and without complaints
views_has_booted()
{
	runner_do v 60 <<-'G' || return 1
	cat /proc/cmdline
	cat /sys/devices/system/clocksource/clocksource0/current_clocksource
	dmesg | grep -iE 'tsc|x2apic|clocksource' || true
	dmesg | grep -E 'BUG:|Call Trace|soft lockup|rcu.*stall|unstable' &&
		echo COMPLAINS
	true
	G
	sed 's/^/# /' "$WORK/o"
	[[ $(views_sent count) == 2 ]] ||
		fail "$(views_sent count) views, not 2" || return 1
	# Two vCPUs, and the ghosts of the two others.
	(($(threads_on v 1) == 4)) ||
		fail "$(threads_on v 1) threads on node 1, not 4" || return 1
	want_line '^tsc_early_khz=[0-9]+ tsc=reliable ' "$WORK/o" &&
		want_line '^tsc(-early)?$' "$WORK/o" || return 1
	! grep COMPLAINS "$WORK/o" || fail "$(grep -B 4 COMPLAINS "$WORK/o")"
}

# views_all_cpus - CPU 0 has started all of them, two of another view
views_all_cpus()
{
	local inits startups
	runner_do v 60 <<-'G' || return 1
	echo "ONLINE $(cat /sys/devices/system/cpu/online)"
	for i in 0 1 2 3; do
		echo "RAN $i $(taskset -c $i cut -d ' ' -f 39 /proc/self/stat)"
	done
	G
	want_line '^ONLINE 0-3$' "$WORK/o" || return 1
	for i in 0 1 2 3; do
		want_line "^RAN $i $i\$" "$WORK/o" || return 1
	done
	inits=$(views_sent inits) startups=$(views_sent startups)
	echo "# sent on: $inits INITs, $startups start-ups"
	((inits >= 2 && startups >= 2)) ||
		fail "$inits INITs and $startups start-ups were sent on"
}

# views_time CPU... - the time of the day, from the clock of the CMOS; and it goes on
# and never back, whichever CPU is asked
views_time()
{
	local before after guest
	before=$(date +%s)
	runner_do v 60 <<-G || return 1
	echo "NOW \$(date +%s)"
	last=0 back=0
	for round in 1 2 3 4 5 6; do
		for i in $*; do
			now=\$(taskset -c \$i date +%s%N)
			((now >= last)) || back=\$((back + 1))
			last=\$now
		done
	done
	echo "BACK \$back"
	G
	after=$(date +%s)
	guest=$(sed -n 's/^NOW //p' "$WORK/o")
	echo "# between $before and $after the guest's clock showed $guest"
	((guest >= before - 3 && guest <= after + 3)) ||
		fail "the guest's clock shows $guest, not $before to $after" ||
		return 1
	want_line '^BACK 0$' "$WORK/o"
}

# views_pass_on - a pipe between CPUs of two views; within one there are few
views_pass_on()
{
	local before across
	before=$(views_sent vectors)
	runner_do v 120 <<-'G' || return 1
	taskset -c 0 seq 200000 | taskset -c 3 tail -n 1
	grep -E 'RES|CAL|TLB' /proc/interrupts
	G
	want_line '^200000$' "$WORK/o" || return 1
	across=$(($(views_sent vectors) - before))
	sed 's/^/# /' "$WORK/o"
	echo "# sent on: $across vectors, $(views_sent nmis) NMIs;" \
		"$(views_sent idle_wakeups) wake-ups for nothing in all"
	((across >= 1)) || fail "no vector was sent on"
}

# views_devices - the disk, from CPUs of both views; the serial port, whose
# interrupt comes by the IOAPIC
views_devices()
{
	runner_do v 120 <<-'G' || return 1
	for i in 0 3; do
		taskset -c $i dd if=/dev/vda of=/dev/null bs=64k count=16 \
			iflag=direct 2>&1 | tail -n 1
	done
	grep virtio /proc/interrupts
	exec 3>/dev/ttyS0
	for i in 0 1 2 3; do
		taskset -c $i echo "VIEWS serial $i" >&3
	done
	sleep 1
	awk '/ttyS0/ { for (i = 2; i <= 5; i++) n += $i } END {
		print "SERIAL", n + 0 }' /proc/interrupts
	G
	sed 's/^/# /' "$WORK/o"
	want_line '^SERIAL [1-9]' "$WORK/o" &&
		wait_lines 4 '^VIEWS serial [0-3]' "$WORK/console-v" 30
}

# views_restart - CPU 3 is taken away and started again, by a CPU of another view
views_restart()
{
	local inits
	inits=$(views_sent inits)
	runner_do v 120 <<-'G' || return 1
	cpu=/sys/devices/system/cpu/cpu3/online
	for i in 1 2 3; do
		taskset -c 0 bash -c "echo 0 >$cpu && echo 1 >$cpu" || exit
	done
	echo "ONLINE $(cat /sys/devices/system/cpu/online)"
	taskset -c 3 echo RUNS
	G
	want_line '^ONLINE 0-3$' "$WORK/o" && want_line '^RUNS$' "$WORK/o" ||
		return 1
	(($(views_sent inits) >= inits + 3)) ||
		fail "$inits INITs before, $(views_sent inits) after 3 starts"
}

views_busy()
{
	runner_do v $((60 + 10 * VIEWS_SECONDS)) <<-G
	set -o pipefail
	stress-ng --cpu 2 --futex 2 --mmap 2 --mmap-bytes 4M --fork 2 \
		--timeout $VIEWS_SECONDS 2>&1 | tail -n 3 || exit
	dmesg | grep -E 'BUG:|soft lockup|rcu.*stall|Call Trace' && exit 1
	exit 0
	G
}

# views_alive - it does something on each CPU
views_alive()
{
	runner_do v 60 <<-'G'
	for i in 0 1 2 3; do
		taskset -c $i true || exit
	done
	G
}

views_paused()
{
	"$DISCO" pause v >/dev/null && wait_state v paused 30 &&
		"$DISCO" resume v >/dev/null && wait_state v running 30 &&
		views_alive
}

# views_moved - a virtual CPU alone, which keeps its view; then all of it
views_moved()
{
	"$DISCO" move v/3 0 >"$WORK/move" 2>&1 ||
		fail "v/3: $(cat "$WORK/move")" || return 1
	views_alive || return 1
	"$DISCO" move v 2 >"$WORK/move" 2>&1 ||
		fail "v: $(cat "$WORK/move")" || return 1
	echo "# $(cat "$WORK/move")"
	views_alive
}

views_end()
{
	runner_type v end
	wait_state v ended 60 &&
		want_line '^v +ended .* 0 ok' <("$DISCO" ls)
}

s_views()
{
	start_monitor --balance=off || return 1
	runner_start v --cpus 4 --memory \
		256M,nodes=0-1,views=on,huge=thp && runner_ready v || return 1
	part views_boot views_has_booted
	part views_start_all_cpus views_all_cpus
	part views_keep_the_time views_time 0 2 1 3
	part views_pass_interrupts_on views_pass_on
	part views_take_device_interrupts views_devices
	part views_restart_a_cpu views_restart
	part views_are_busy views_busy
	part views_pause views_paused
	part views_move views_moved
	part views_power_off views_end
	stop_monitor
}

# --- copies of pages for views ------------------------------------------------------
scenario copies copies_boot copies_are_made copies_collapse copies_and_devices \
	copies_are_busy copies_pause copies_power_off

copies_figure()
{
	stats_of v "views.copies.$1"
}

copies_show()
{
	echo "# $1: $(copies_figure pages) pages have copies," \
		"$(copies_figure views.0.now) in view 0," \
		"$(copies_figure views.1.now) in view 1;" \
		"made $(copies_figure views.0.made) and" \
		"$(copies_figure views.1.made);" \
		"$(copies_figure collapsed) collapsed by a write;" \
		"waits $(copies_figure views.0.waits)," \
		"$(copies_figure views.1.waits)," \
		"devices $(copies_figure device_waits)"
}

copies_booted()
{
	[[ $(copies_figure limit) == 8192 ]] ||
		fail "at most '$(copies_figure limit)' copies, not 8192" || return 1
	copies_show booted
	runner_do v 60 <<-'G'
	dmesg | grep -E 'BUG:|Call Trace|soft lockup|rcu.*stall' && exit 1
	exit 0
	G
}

# copies_made - of the kernel, at least: both views run it
copies_made()
{
	wait_figure 300 200 copies_figure pages || return 1
	copies_show 'after a while'
}

# copies_collapsed - files that all CPUs read are written by each of them in turn
copies_collapsed()
{
	local n made
	runner_do v 120 <<-'G' || return 1
	mkdir -p /tmp/c && cd /tmp/c || exit
	for i in $(seq 64); do
		seq $i $((i + 4000)) | head -c 16384 >f$i
	done
	cat f* | md5sum >sum
	for i in 0 3; do
		taskset -c $i sh -c 'cat f* | md5sum' | grep -qxF "$(cat sum)" || exit
	done
	G
	for n in 1 2 3 4; do
		made=$(copies_figure views.$((n % 2)).made)
		nap 3
		runner_do v 120 <<-G || return 1
		cd /tmp/c || exit
		for i in 0 3 1 2; do
			taskset -c \$i sh -c 'cat f* | md5sum' | grep -qxF "\$(cat sum)" || exit
		done
		for i in 0 3; do
			taskset -c \$i sh -c "echo $n \$i | dd of=f$n \
				bs=1 seek=\$((4096 + \$i)) conv=notrunc" \
				2>/dev/null || exit
			cat f* | md5sum >sum
			for k in 0 1 2 3; do
				taskset -c \$k sh -c 'cat f* | md5sum' |
					grep -qxF "\$(cat sum)" || exit
			done
		done
		G
		echo "# round $n: $(($(copies_figure \
			views.$((n % 2)).made) - made)) copies more"
	done
	wait_figure 60 1 copies_figure collapsed && copies_show 'after writes'
}

# copies_device - the disk's pages, read into memory again and again, are those of
# the first time, whichever CPU looks
copies_device()
{
	runner_do v 240 <<-'G' || return 1
	dd if=/dev/vda bs=64k count=64 2>/dev/null | md5sum >/tmp/disk || exit
	for round in 1 2 3 4; do
		for i in 0 3; do
			echo 3 >/proc/sys/vm/drop_caches
			taskset -c $i dd if=/dev/vda bs=64k count=64 \
				2>/dev/null | md5sum | grep -qxF "$(cat /tmp/disk)" || exit
			taskset -c $((3 - i)) dd if=/dev/vda bs=64k count=64 \
				2>/dev/null | md5sum | grep -qxF "$(cat /tmp/disk)" || exit
		done
	done
	G
	copies_show 'after reading the disk'
}

copies_busy()
{
	views_busy && copies_show 'after stress-ng' && runner_do v 120 <<-'G'
	cd /tmp/c && cat f* | md5sum | grep -qxF "$(cat sum)"
	G
}

s_copies()
{
	start_monitor --balance=off || return 1
	runner_start v --cpus 4 --memory \
		256M,nodes=0-1,views=on,copies=32M,huge=thp && runner_ready v ||
		return 1
	part copies_boot copies_booted
	part copies_are_made copies_made
	part copies_collapse copies_collapsed
	part copies_and_devices copies_device
	part copies_are_busy copies_busy
	part copies_pause views_paused
	copies_show 'at the end'
	part copies_power_off views_end
	stop_monitor
}
