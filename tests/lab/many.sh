# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with several stock guests at once: placement, supervision, sandbox.

t_four_guests_on_four_nodes()
{
	local i name node pages local_pages nodes=''
	# On a node that is full of others' files, Linux takes memory of the next one.
	echo 1 >/proc/sys/vm/drop_caches
	boot "$WORK/o" disco.run=checksum -n 4 --name n \
		--disk "path=$ROOT_DISK,ro" --mark 'DISCO-GUEST userspace' \
		--summary --report "$WORK/r.json"
	want_status 0 "$WORK/o" || return 1
	for i in 0 1 2 3; do
		want_line "^n-$i\| .*DISCO-GUEST checksum ok" "$WORK/o" &&
			want_line "^n-$i\| DISCO-RESULT checksum 0" \
				"$WORK/o" || return 1
	done
	while read -r name node pages local_pages; do
		nodes+=" $node"
		((pages > 1000)) ||
			fail "$name touched hardly any memory" || return 1
		((pages == local_pages)) ||
			fail "$name: $local_pages of $pages pages on its node" ||
			return 1
	done < <(report_fields "$WORK/r.json" name node ram_pages \
		ram_pages_local)
	[[ $(tr ' ' '\n' <<<"$nodes" | sed '/^$/d' | sort -u | wc -l) == 4 ]] ||
		fail "guests are on nodes$nodes, not on four"
}

# start_disco OUT ARG... - "disco run" in the background, pid in $DISCO_PID
start_disco()
{
	local out=$1
	shift
	timeout -k 5 $((GUEST_LIMIT * SCALE)) "$DISCO" run "$@" >"$out" \
		2>"$out.err" </dev/null &
	DISCO_PID=$!
}

# no_worker PREFIX - none whose VM's name begins with it is left
no_worker()
{
	[[ -z $(pgrep -f "^disco-vm $1") ]]
}

# start_ticking NAME COUNT - "disco run" of that many tiny guests, whose names
# begin so; waits until each has begun. They tick until they are ended.
start_ticking()
{
	local i
	start_disco "$WORK/$1" -n "$2" --name "$1" --memory 64M \
		--kernel "$GUESTS/ticker.elf" --cmdline tiny
	for ((i = 0; i < $2; i++)); do
		wait_lines 1 "^$1-$i\\| tick" "$WORK/$1" 60 || return 1
	done
}

# --- two runs of two guests each, which are ended from outside ----------------
scenario ends sigterm_stops_guests control_killed_ends_workers

ends_sigterm()
{
	insist "$(pgrep -P "$1")"
	STATUS=0
	wait "$1" || STATUS=$?
	want_status 23 "$WORK/s" || return 1
	no_worker s- || fail "workers were left over"
}

ends_killed()
{
	kill -KILL "$(pgrep -P "$1")"
	wait "$1"
	until_true 10 no_worker c- || fail "workers were left over"
}

s_ends()
{
	local name pids=()
	for name in s c; do
		start_ticking $name 2 || return 1
		pids+=("$DISCO_PID")
	done
	part sigterm_stops_guests ends_sigterm "${pids[0]}"
	part control_killed_ends_workers ends_killed "${pids[1]}"
}

# --- four guests; a look at one worker, and another is killed ------------------
scenario four worker_is_sandboxed kill_one_worker_of_four

four_sandboxed()
{
	local pid f
	pid=$(pgrep -f '^disco-vm k-1$' | head -1)
	for f in "/proc/$pid/status" /proc/"$pid"/task/*/status; do
		grep -q '^Seccomp:.2' "$f" || fail "no filter: $f"
		grep -q '^NoNewPrivs:.1' "$f" || fail "new privileges: $f"
		grep -qE '^CapEff:.0+$' "$f" || fail "capabilities: $f"
		grep -qE '^CapBnd:.0+$' "$f" || fail "bounding set: $f"
	done
	[[ $(readlink "/proc/$pid/ns/net") != "$(readlink /proc/self/ns/net)" ]] ||
		fail "shares the network namespace"
	[[ $(readlink "/proc/$pid/ns/mnt") != "$(readlink /proc/self/ns/mnt)" ]] ||
		fail "shares the mount namespace"
	[[ ! -s $WORK/why ]]
}

# The others tick on, until SIGTERM ends them.
four_killed()
{
	local victim i ticks
	victim=$(pgrep -f '^disco-vm k-2$' | head -1)
	[[ $victim ]] || fail "no process disco-vm k-2" || return 1
	kill -9 "$victim"
	wait_lines 1 'k-2: worker killed by signal 9' "$WORK/k.err" 20 ||
		return 1
	for i in 0 1 3; do
		ticks=$(grep -c "^k-$i|" "$WORK/k")
		wait_lines $((ticks + 3)) "^k-$i\\| tick" "$WORK/k" 20 ||
			return 1
	done
	insist "$(pgrep -P "$DISCO_PID")"
	STATUS=0
	wait "$DISCO_PID" || STATUS=$?
	want_status 23 "$WORK/k"
}

s_four()
{
	start_ticking k 4 || return 1
	part worker_is_sandboxed four_sandboxed
	part kill_one_worker_of_four four_killed
}

t_strict_memory_beyond_node()
{
	boot "$WORK/o" '' --memory 6G,node=1,strict
	want_status 9 "$WORK/o" && want_one_line "$WORK/o"
}

# The guest has touched a part of it only. Descriptor 7 is RAM (worker_spec.h).
t_strict_memory_is_reserved()
{
	local blocks mib=640
	start_disco "$WORK/o" --memory ${mib}M,node=3,strict --name w \
		--kernel "$KERNEL" --initrd "$INITRD" \
		--disk "path=$ROOT_DISK,ro" --cmdline 'console=ttyS0 quiet'
	wait_lines 1 'DISCO-GUEST userspace' "$WORK/o" 90 || return 1
	blocks=$(stat -L -c %b "/proc/$(pgrep -f '^disco-vm w$')/fd/7")
	insist "$(pgrep -P "$DISCO_PID")"
	STATUS=0
	wait "$DISCO_PID" || STATUS=$?
	want_status 23 "$WORK/o" || return 1
	((blocks / 2048 == mib)) ||
		fail "$((blocks / 2048)) MiB of $mib are there"
}

t_doctor_in_lab()
{
	STATUS=0
	"$DISCO" doctor >"$WORK/o" 2>"$WORK/o.err" || STATUS=$?
	want_status 0 "$WORK/o"
}
