# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests of the monitor with a stock guest: it outlives the monitor, is paused,
# and gives memory back: FREE_MIB of it (40). Needs runner.sh and move.sh; has
# what other tests with a monitor need. DISCO_STATE_DIR is each scenario's own.

FREE_MIB=${FREE_MIB:-40}

# start_monitor OPTION...
start_monitor()
{
	"$DISCO" monitor "$@" >"$WORK/monitor" 2>&1 &
	MONITOR_PID=$!
	wait_lines 1 'is ready' "$WORK/monitor" 30
}

stop_monitor()
{
	local names
	mapfile -t names < <("$DISCO" ls --names)
	((${#names[@]} == 0)) || "$DISCO" kill "${names[@]}" 2>/dev/null
	kill_monitor TERM
	wait
}

# start_detached NAME CMDLINE ARG... - a stock guest of the monitor
start_detached()
{
	local name=$1 cmdline=$2
	shift 2
	memory_of "$@"
	"$DISCO" run -d --name "$name" --kernel "$KERNEL" --initrd "$INITRD" \
		--cmdline "console=ttyS0 quiet $cmdline" "${MEMORY_ARGS[@]}" "$@" \
		>"$WORK/names" 2>&1 || fail "run -d: $(cat "$WORK/names")"
}

# in_state NAME STATE
in_state()
{
	grep -qE "^$1 +$2 " <("$DISCO" ls 2>/dev/null)
}

# wait_state NAME STATE SECONDS
wait_state()
{
	until_true "$3" in_state "$1" "$2" ||
		fail "$1 is not $2 after $(($3 * SCALE)) s:" \
			"$("$DISCO" ls 2>&1)"
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

# stats_of NAME FIELD... - figures of a VM, in one line
stats_of()
{
	local name=$1
	shift
	"$DISCO" stats --json | fields vms name "$@" |
		sed -n "s/^$name //p"
}

# cache_figure WHO KEY - of a VM, or of all agents ("agents")
cache_figure()
{
	local list=vms
	[[ $1 != agents ]] || list=agents
	"$DISCO" stats --json | fields $list name "cache.$2" |
		awk -v list=$list -v name="$1" 'list == "agents" || $1 == name {
			sum += $NF
		} END { printf "%d\n", sum }'
}

# agent_figure NODE KEY - of one agent's cache
agent_figure()
{
	"$DISCO" stats --json | fields agents node "cache.$2" |
		awk -v node="$1" '$1 == node { sum += $2 }
			END { printf "%d\n", sum }'
}

# at_least N COMMAND... - it prints that much
at_least()
{
	local least=$1
	shift
	(($("$@") >= least))
}

# wait_figure SECONDS LEAST COMMAND... - until what it prints is that much
wait_figure()
{
	local seconds=$1 least=$2
	shift 2
	until_true "$seconds" at_least "$least" "$@" ||
		fail "$*: $("$@"), not $least, after $((seconds * SCALE)) s"
}

# start_script NAME ARG... - a guest that runs the script on stdin; its console
# goes to $WORK/console-NAME; its root disk is ROOT_HOW (ro)
start_script()
{
	local name=$1
	shift
	start_detached "$name" "disco.sh=$(base64 -w0)" \
		--disk "path=$ROOT_DISK,${ROOT_HOW:-ro}" "$@" || return 1
	timeout $((900 * SCALE)) "$DISCO" console --no-input "$name" \
		>"$WORK/console-$name" 2>&1 &
}

# --- one stock guest, and a tiny one ------------------------------------------
scenario monitor free_pages_come_back monitor_killed_guests_finish

# runs_on NAME - it uses a CPU. Not by its exits: a guest that computes from its
# page cache has none for a minute.
runs_on()
{
	local before
	before=$(stats_of "$1" cpu_ns)
	nap 2
	(($(stats_of "$1" cpu_ns) - before > 500000000))
}

# The guest computes checksums, until it gets a line, while its monitor is killed,
# another one comes, and the guest is paused and resumed.
monitor_killed()
{
	runner_send m <<-'G'
	until read -r -t 0.1 _; do
		/usr/lib/disco/checksum || exit
	done
	G
	wait_lines 1 "RUNNER begin $RUNNER_NR" "$WORK/console-m" 30 || return 1
	kill_monitor 9 || return 1
	wait "$MONITOR_PID" 2>/dev/null
	"$DISCO" ls >/dev/null 2>&1 && fail "ls without a monitor"
	start_monitor || return 1
	wait_state m running 20 || return 1
	"$DISCO" pause m || fail "pause failed" || return 1
	runs_on m && fail "paused, and runs" && return 1
	"$DISCO" resume m || fail "resume failed" || return 1
	until_true 20 runs_on m || fail "resumed, and runs nothing"
	pkill -9 -f '^disco-vm other$'
	wait_state other ended 10 || return 1
	wait "${RUNNER_PID[m]}"
	# The console's first part ended with the first monitor.
	runner_attach m
	runner_type m q
	wait_lines 1 "RUNNER end $RUNNER_NR 0" "$WORK/console-m" 100 &&
		want_line 'DISCO-GUEST checksum ok' "$WORK/console-m" ||
		return 1
	runner_type m end
	wait_state m ended 60 && want_line '^m +ended .* 0 ok' <("$DISCO" ls) &&
		[[ ! -s $WORK/why ]]
}

# wait_ram NAME LEAST MOST SECONDS - sets RAM to what it was at last
wait_ram()
{
	until_true "$4" has_ram "$1" "$2" "$3" ||
		fail "$1 has ${RAM:-no} pages of memory after" \
			"$(($4 * SCALE)) s, not $2 to $3"
}

has_ram()
{
	RAM=$("$DISCO" stats --exact --json | fields vms name ram_pages |
		sed -n "s/^$1 //p")
	((${RAM:-0} >= $2 && ${RAM:-0} <= $3))
}

# A guest fills and frees FREE_MIB: the worker has the memory no more, by free
# page reporting, and the guest gets its pages back when it wants them.
free_pages()
{
	local full freed all=$((FREE_MIB << 8)) # pages
	local most=$((all - (16 << 8))) # but for what is in pieces
	runner_do m 100 <<<"head -c ${FREE_MIB}M /dev/urandom >/dev/shm/a" ||
		return 1
	wait_ram m $all $((256 << 8)) 10 || return 1
	full=$RAM
	freed=$(stats_of m freed_pages)
	runner_do m 30 <<<'rm /dev/shm/a' || return 1
	wait_ram m 1 $((full - most)) 30 || return 1
	freed=$(($(stats_of m freed_pages) - freed))
	echo "# $full pages, $RAM after $FREE_MIB MiB were freed; $freed" \
		"reported"
	((freed >= most)) || fail "only $freed pages reported" || return 1
	runner_do m 100 <<-G
	head -c ${FREE_MIB}M /dev/urandom >/dev/shm/a
	want=\$(md5sum </dev/shm/a)
	[[ \$(md5sum </dev/shm/a) == "\$want" ]] && rm /dev/shm/a
	G
}

s_monitor()
{
	start_monitor || return 1
	runner_start m --cpus 2 --memory 256M || return 1
	"$DISCO" run -d --name other --kernel "$GUESTS/busy.elf" --memory 64M \
		--cmdline 'tiny idle' >/dev/null || return 1
	runner_ready m || return 1
	part free_pages_come_back free_pages
	part monitor_killed_guests_finish monitor_killed
	stop_monitor
}
