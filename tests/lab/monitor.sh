# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests of the monitor with stock guests: they outlive it, and pauses.

export DISCO_STATE_DIR=$WORK/state

# start_detached NAME CMDLINE ARG... - a stock guest of the monitor
start_detached()
{
	local name=$1 cmdline=$2
	shift 2
	"$DISCO" run -d --name "$name" --kernel "$KERNEL" --initrd "$INITRD" \
		--memory 256M --cmdline "console=ttyS0 quiet $cmdline" "$@" \
		>"$WORK/names" 2>&1 || fail "run -d: $(cat "$WORK/names")"
}

# wait_state NAME STATE SECONDS
wait_state()
{
	local i
	for ((i = 0; i < $3 * 5; i++)); do
		grep -qE "^$1 +$2 " <("$DISCO" ls 2>/dev/null) && return 0
		sleep 0.2
	done
	fail "$1 is not $2 after $3 s: $("$DISCO" ls 2>&1)"
}

# of this test: the process that holds the lock
kill_monitor()
{
	local fd
	for fd in /proc/[0-9]*/fd/*; do
		if [[ $fd -ef $DISCO_STATE_DIR/lock ]]; then
			fd=${fd#/proc/}
			kill "-$1" "${fd%%/*}"
			return
		fi
	done
	fail "no monitor to kill"
}

# The guest computes a checksum while its monitor is killed, another one comes,
# and the guest is paused and resumed.
t_monitor_killed_guests_finish()
{
	local before after ok=0
	start_detached m disco.run=checksum --cpus 2 \
		--disk "path=$ROOT_DISK,ro" || return 1
	start_detached other disco.run=checksum \
		--disk "path=$ROOT_DISK,ro" || return 1
	wait_state m running 30 || return 1
	timeout 100 "$DISCO" console --no-input m >"$WORK/c" 2>&1 &
	wait_lines 1 'DISCO-GUEST userspace' "$WORK/c" 90 || return 1
	kill_monitor 9 || return 1
	sleep 1
	"$DISCO" ls >/dev/null 2>&1 && fail "ls without a monitor"
	"$DISCO" monitor 2>"$WORK/monitor" &
	wait_state m running 20 || return 1
	"$DISCO" pause m || fail "pause failed" || return 1
	before=$("$DISCO" stats --csv | grep ^m, | cut -d, -f6)
	sleep 2
	after=$("$DISCO" stats --csv | grep ^m, | cut -d, -f6)
	[[ $before == "$after" ]] ||
		fail "paused, and went from $before to $after exits"
	"$DISCO" resume m || fail "resume failed" || return 1
	pkill -9 -f '^disco-vm other$'
	wait_state other ended 10 || return 1
	timeout 100 "$DISCO" console --no-input m >"$WORK/o"
	wait_state m ended 60
	want_line 'DISCO-GUEST checksum ok' "$WORK/o" &&
		want_line '^m +ended .* 0 ok' <("$DISCO" ls) || ok=1
	"$DISCO" kill m other 2>/dev/null
	kill_monitor TERM
	return $ok
}

# stats_of NAME FIELD... - figures of a VM, in one line
stats_of()
{
	"$DISCO" stats --json | python3 -c 'import json, sys
for vm in json.load(sys.stdin)["vms"]:
    if vm["name"] == sys.argv[1]:
        print(*(vm[field] for field in sys.argv[2:]))' "$@"
}

# wait_ram NAME LEAST MOST SECONDS - sets RAM to what it was at last
wait_ram()
{
	local i
	for ((i = 0; i < $4 * 2; i++)); do
		RAM=$(stats_of "$1" ram_pages)
		((${RAM:-0} >= $2 && ${RAM:-0} <= $3)) && return 0
		sleep 0.5
	done
	fail "$1 has ${RAM:-no} pages of memory after $4 s, not $2 to $3"
}

# A guest fills and frees 100 MiB: the worker has the memory no more, by free
# page reporting, and the guest gets its pages back when it wants them.
t_free_pages_come_back()
{
	local script full freed mib=$((1 << 8)) # pages
	script=$(base64 -w0 <<-'G'
	head -c 100M /dev/urandom >/dev/shm/a
	echo "FILL there"
	read -r -t 300 key
	rm /dev/shm/a
	echo "FILL gone"
	read -r -t 300 key
	head -c 100M /dev/urandom >/dev/shm/a
	want=$(md5sum </dev/shm/a)
	[[ $(md5sum </dev/shm/a) == "$want" ]] && echo "FILL again"
	G
	)
	start_detached f "disco.sh=$script" --disk "path=$ROOT_DISK,ro" ||
		return 1
	timeout 900 "$DISCO" console --no-input f >"$WORK/o" 2>&1 &
	wait_lines 1 'FILL there' "$WORK/o" 200 || return 1
	wait_ram f $((100 * mib)) $((256 * mib)) 10 || return 1
	full=$RAM
	press_enter f
	wait_lines 1 'FILL gone' "$WORK/o" 60 || return 1
	wait_ram f 1 $((full - 80 * mib)) 30 || return 1
	freed=$(stats_of f freed_pages)
	echo "# $full pages, $RAM after 100 MiB were freed; $freed reported"
	((freed >= 80 * mib)) || fail "only $freed pages reported" || return 1
	press_enter f
	wait_state f ended 100
	"$DISCO" kill f 2>/dev/null
	kill_monitor TERM
	wait_lines 1 'DISCO-RESULT 0' "$WORK/o" 5 &&
		want_line 'FILL again' "$WORK/o"
}

# press_enter NAME - on its console
press_enter()
{
	{
		echo
		sleep 2
	} | timeout 60 "$DISCO" console "$1" >/dev/null
}
