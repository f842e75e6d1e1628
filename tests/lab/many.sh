# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with several stock guests at once: placement, supervision, sandbox.

t_four_guests_on_four_nodes()
{
	local i name node pages local_pages nodes=''
	boot "$WORK/o" disco.run=checksum -n 4 --name n \
		--disk "path=$ROOT_DISK,ro" --mark 'DISCO-GUEST userspace' \
		--summary --report "$WORK/r.json"
	want_status 0 "$WORK/o" || return 1
	for i in 0 1 2 3; do
		want_line "^n-$i\| .*DISCO-GUEST checksum ok" "$WORK/o" ||
			return 1
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

# wait_lines COUNT PATTERN FILE SECONDS
wait_lines()
{
	local i
	for ((i = 0; i < $4 * 5; i++)); do
		(($(grep -cE -- "$2" "$3") >= $1)) && return 0
		sleep 0.2
	done
	fail "no $1 lines '$2' in $4 s: $(tail -3 "$3")"
}

# start_disco OUT ARG... - in the background, pid in $DISCO_PID
start_disco()
{
	local out=$1
	shift
	timeout -k 5 "$GUEST_LIMIT" "$DISCO" run --kernel "$KERNEL" \
		--initrd "$INITRD" --memory 256M "$@" >"$out" \
		2>"$out.err" </dev/null &
	DISCO_PID=$!
}

t_kill_one_worker_of_four()
{
	local victim i
	start_disco "$WORK/o" -n 4 --name k --disk "path=$ROOT_DISK,ro" \
		--cmdline 'console=ttyS0 quiet disco.run=checksum'
	wait_lines 4 'DISCO-GUEST userspace' "$WORK/o" 90 || return 1
	victim=$(pgrep -f '^disco-vm k-2$' | head -1)
	[[ $victim ]] || fail "no process disco-vm k-2" || return 1
	kill -9 "$victim"
	STATUS=0
	wait "$DISCO_PID" || STATUS=$?
	want_status 31 "$WORK/o" &&
		want_line 'k-2: worker killed by signal 9' "$WORK/o.err" ||
		return 1
	for i in 0 1 3; do
		want_line "^k-$i\| .*DISCO-GUEST checksum ok" "$WORK/o" ||
			return 1
	done
}

t_sigterm_stops_guests()
{
	local child
	start_disco "$WORK/o" -n 2 --name s --disk "path=$ROOT_DISK,ro" \
		--cmdline 'console=ttyS0 quiet'
	wait_lines 2 'DISCO-GUEST userspace' "$WORK/o" 90 || return 1
	child=$(pgrep -P "$DISCO_PID")
	kill -TERM "$child"
	STATUS=0
	wait "$DISCO_PID" || STATUS=$?
	want_status 23 "$WORK/o" || return 1
	[[ -z $(pgrep -f '^disco-vm s-') ]] || fail "workers were left over"
}

t_control_killed_ends_workers()
{
	start_disco "$WORK/o" -n 2 --name c --disk "path=$ROOT_DISK,ro" \
		--cmdline 'console=ttyS0 quiet'
	wait_lines 2 'DISCO-GUEST userspace' "$WORK/o" 90 || return 1
	kill -KILL "$(pgrep -P "$DISCO_PID")"
	wait "$DISCO_PID"
	sleep 2
	[[ -z $(pgrep -f '^disco-vm c-') ]] || fail "workers were left over"
}

t_worker_is_sandboxed()
{
	local pid f
	start_disco "$WORK/o" --name box --disk "path=$ROOT_DISK,ro" \
		--cmdline 'console=ttyS0 quiet'
	wait_lines 1 'DISCO-GUEST userspace' "$WORK/o" 90 || return 1
	pid=$(pgrep -f '^disco-vm box$' | head -1)
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
	kill -TERM "$(pgrep -P "$DISCO_PID")"
	wait "$DISCO_PID"
	[[ ! -s $WORK/why ]]
}

t_json_config_two_guests()
{
	cat >"$WORK/c.json" <<-J
	{"vms": [
	  {"name": "one", "kernel": "$PWD/$KERNEL", "initrd": "$PWD/$INITRD",
	   "memory": "128M", "node": 2, "strict": true,
	   "cmdline": "console=ttyS0 quiet disco.stop=early"},
	  {"name": "two", "kernel": "$PWD/$KERNEL", "initrd": "$PWD/$INITRD",
	   "memory": "192M", "cpus": 2,
	   "cmdline": "console=ttyS0 quiet disco.stop=early"}
	]}
	J
	run_disco "$WORK/o" --config "$WORK/c.json" --report "$WORK/r.json"
	want_status 0 "$WORK/o" || return 1
	[[ $(report_fields "$WORK/r.json" name node | head -1) == 'one 2' ]] ||
		fail "VM one is not on node 2" || return 1
	want_line '^two\| .*DISCO-GUEST userspace' "$WORK/o"
}

t_strict_memory_beyond_node()
{
	boot "$WORK/o" '' --memory 6G,node=1,strict
	want_status 9 "$WORK/o" && want_one_line "$WORK/o"
}

t_doctor_in_lab()
{
	STATUS=0
	"$DISCO" doctor >"$WORK/o" 2>"$WORK/o.err" || STATUS=$?
	want_status 0 "$WORK/o"
}
