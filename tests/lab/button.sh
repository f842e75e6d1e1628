# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# The power button: a tiny guest that looks at its interrupt, and a stock guest
# with busybox's acpid. BUTTON_ROUNDS: how often the stock guest is started again
# and shut down (0). Needs runner.sh, monitor.sh, cow.sh and tiny.sh.

BUTTON_ROUNDS=${BUTTON_ROUNDS:-0}

# --- a tiny guest, by signals -------------------------------------------------
t_tiny_button()
{
	local pid
	start_disco "$WORK/o" --kernel "$GUESTS/power/button.elf" --memory 64M \
		--cmdline tiny
	wait_lines 1 '^waits' "$WORK/o" 60 || return 1
	pid=$(pgrep -P "$DISCO_PID")
	kill -TERM "$pid"
	STATUS=0
	wait "$DISCO_PID" || STATUS=$?
	want_status 0 "$WORK/o" && want_one_line "$WORK/o" &&
		want_line 'PASS button' "$WORK/o" &&
		want_line 'power button pressed; waiting for vm' "$WORK/o.err"
}

# --- a stock guest -------------------------------------------------------------
scenario button power_button_is_a_key stop_shuts_down

# button_key - Linux has found the button, and an event device delivers its key
# (a struct input_event: 16 bytes of time, type 1, code 116, value 1)
button_key()
{
	runner_do p 60 <<-'G' || return 1
	modprobe -a button evdev && grep -A 5 'Power Button' /proc/bus/input/devices
	echo "EVENT $(sed -n '/Power Button/,/^$/s/.*\(event[0-9]*\).*/\1/p' \
		/proc/bus/input/devices)"
	G
	want_line 'PNP0C0C' "$WORK/o" && want_line 'EVENT event[0-9]' "$WORK/o"
}

# button_acpid - busybox's acpid is there; what it calls leaves a disk clean, and
# shows the event that a reader of the device has got
button_acpid()
{
	runner_do p 60 <<-'G'
	modprobe -a button evdev
	event=$(sed -n '/Power Button/,/^$/s/.*\(event[0-9]*\).*/\1/p' \
		/proc/bus/input/devices)
	od -An -td2 -v -w24 -N 24 "/dev/input/$event" >/run/key &
	mkdir -p /etc/acpi/PWRF /tmp/m && mount /dev/vdb /tmp/m || exit
	seq 1 5000 >/tmp/m/new
	cat >/etc/acpi/PWRF/00000080 <<-'A'
	#!/bin/busybox sh
	until [ -s /run/key ]; do busybox usleep 50000; done
	echo "ACPID $(busybox tr -s ' ' </run/key)" >/dev/hvc0
	busybox umount /tmp/m && busybox poweroff -f
	A
	chmod 755 /etc/acpi/PWRF/00000080
	busybox acpid -l /dev/ttyS0
	G
}

# button_is_clean - the guest has ended by itself; its disk needs no repair
button_is_clean()
{
	[[ ! -s $WORK/o ]] || fail "stop said: $(<"$WORK/o")" || return 1
	want_line '^p +ended .* 0 ok' <("$DISCO" ls) &&
		want_line 'ACPID .* 1 116 1 0' "$WORK/console-p" || return 1
	rm -f "$WORK/exported"
	"$DISCO" image export "$WORK/base" "$WORK/p.cow" "$WORK/exported" &&
		e2fsck -fn "$WORK/exported" >"$WORK/check.log" 2>&1 ||
		fail "e2fsck: $(tail -n 5 "$WORK/check.log")" || return 1
	! grep -qi 'journal' "$WORK/check.log" ||
		fail "its journal: $(<"$WORK/check.log")" || return 1
	[[ $(debugfs -R 'cat /new' "$WORK/exported" 2>/dev/null | tail -n 1) == \
		5000 ]] || fail 'what it wrote is not there'
}

# button_stop - again and again, with the same disks and command line
button_stop()
{
	local i
	for ((i = 0; i <= BUTTON_ROUNDS; i++)); do
		if ((i)); then
			"$DISCO" restart p || fail 'restart failed' || return 1
			runner_attach p
			runner_ready p || return 1
		fi
		button_acpid || return 1
		STATUS=0
		timeout $((120 * SCALE)) "$DISCO" stop --timeout \
			$((50 * SCALE)) p >"$WORK/o" 2>&1 || STATUS=$?
		want_status 0 "$WORK/o" && button_is_clean || return 1
		want_line "^p +ended .* $i  0 ok" <("$DISCO" ls) || return 1
	done
	echo "# shut down $i times of $i"
}

s_button()
{
	make_base "$WORK/base" &&
		"$DISCO" image create "$WORK/base" "$WORK/p.cow" &&
		start_monitor --balance=off || return 1
	# Without its agent, which would be asked instead, and shut it down.
	CMDLINE='disco.agent=no' runner_start p \
		--disk "path=$WORK/base,cow=$WORK/p.cow" &&
		runner_ready p || return 1
	part power_button_is_a_key button_key
	part stop_shuts_down button_stop
	stop_monitor
}
