# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Commands in a guest, by its guest agent: disco exec, cp, freeze, thaw.
# EXECS: commands in a row (10). EXEC_MIB: MiB that go through a command's input
# and output, and through files (4). EXEC_HOSTILE: kinds of hostile agents (1), of
# which each may cost 20 s. Needs runner.sh and monitor.sh.

EXECS=${EXECS:-10}
EXEC_MIB=${EXEC_MIB:-4}
EXEC_HOSTILE=${EXEC_HOSTILE:-1}

scenario exec exec_status exec_streams exec_many exec_parallel cp_both_ways \
	exec_killed_client frozen hostile_agent no_agent

# in_guest STATUS ARG... - "disco exec ARG..." with that status; what it has
# printed is in $WORK/o and $WORK/o.err
in_guest()
{
	local want=$1 wait=()
	shift
	[[ $want == 18 || $* == *--wait* ]] || wait=(--wait $((30 * SCALE)))
	STATUS=0
	timeout -k 5 $((GUEST_LIMIT * SCALE)) "$DISCO" exec "${wait[@]}" "$@" \
		>"$WORK/o" 2>"$WORK/o.err" || STATUS=$?
	want_status "$want" "$WORK/o"
}

# random_file NAME - of EXEC_MIB, in $WORK; prints its checksum
random_file()
{
	head -c "${EXEC_MIB}M" /dev/urandom >"$WORK/$1"
	cksum <"$WORK/$1"
}

exec_status()
{
	in_guest 0 x -- true </dev/null &&
		in_guest 7 x -- sh -c 'exit 7' </dev/null &&
		in_guest 137 x -- sh -c 'kill -9 $$' </dev/null &&
		in_guest 127 x -- no-such-program </dev/null &&
		want_line 'not found' "$WORK/o.err" &&
		in_guest 17 nobody -- true && want_one_line "$WORK/o" &&
		in_guest 0 --json x -- sh -c 'echo a; echo b >&2; exit 3' \
			</dev/null &&
		want_line '"exit_status": 3' "$WORK/o" &&
		want_line '"stdout": "a\\n"' "$WORK/o" &&
		want_line '"stderr": "b\\n"' "$WORK/o" &&
		in_guest 0 -n 2 x -- seq 10 </dev/null &&
		[[ $(<"$WORK/o") == $'1\n2' ]] &&
		want_line '8 more lines of output' "$WORK/o.err"
}

exec_streams()
{
	local sum
	sum=$(random_file in)
	in_guest 0 x -- cat <"$WORK/in" || return 1
	[[ $(cksum <"$WORK/o") == "$sum" ]] ||
		fail "$(wc -c <"$WORK/o") bytes came back, or others" ||
		return 1
	in_guest 0 x -- cksum <"$WORK/in" || return 1
	[[ $(<"$WORK/o") == "$sum" ]] ||
		fail "in the guest: $(<"$WORK/o"), not $sum" || return 1
	# Both streams, and one that reads nothing.
	in_guest 0 x -- sh -c 'echo out; echo err >&2' <"$WORK/in" &&
		want_line '^out$' "$WORK/o" && want_line '^err$' "$WORK/o.err"
}

exec_many()
{
	local i
	for ((i = 1; i <= EXECS; i++)); do
		in_guest 0 x -- echo "number $i" </dev/null || return 1
		[[ $(<"$WORK/o") == "number $i" ]] ||
			fail "command $i of $EXECS said '$(<"$WORK/o")'" ||
			return 1
	done
}

# More than there are sets of streams: they wait for each other.
exec_parallel()
{
	local i pids=()
	for i in 1 2 3 4 5; do
		timeout -k 5 $((GUEST_LIMIT * SCALE)) "$DISCO" exec x -- \
			sh -c "sleep 0.2; echo parallel $i" </dev/null \
			>"$WORK/p$i" 2>&1 &
		pids+=($!)
	done
	for i in 1 2 3 4 5; do
		wait "${pids[i - 1]}" || fail "one of 5: $(<"$WORK/p$i")" ||
			return 1
		[[ $(<"$WORK/p$i") == "parallel $i" ]] ||
			fail "said '$(<"$WORK/p$i")'" || return 1
	done
}

cp_both_ways()
{
	local sum
	sum=$(random_file file)
	chmod 750 "$WORK/file"
	STATUS=0
	"$DISCO" cp "$WORK/file" x:/tmp >"$WORK/o" 2>"$WORK/o.err" ||
		STATUS=$?
	want_status 0 "$WORK/o" &&
		in_guest 0 x -- sh -c 'stat -c %a /tmp/file; cksum </tmp/file' \
			</dev/null || return 1
	[[ $(<"$WORK/o") == "750"$'\n'"$sum" ]] ||
		fail "in the guest: $(<"$WORK/o"), not $sum" || return 1
	"$DISCO" cp x:/tmp/file "$WORK/back" >"$WORK/o" 2>"$WORK/o.err" ||
		STATUS=$?
	want_status 0 "$WORK/o" || return 1
	[[ $(cksum <"$WORK/back") == "$sum" ]] ||
		fail "not what was sent came back" || return 1
	"$DISCO" cp x:/nothing "$WORK/none" 2>"$WORK/o.err" && return 1
	want_one_line "$WORK/o" && want_line 'No such file' "$WORK/o.err" &&
		[[ ! -e $WORK/none ]]
}

# Whoever goes takes the command along, and the next one has the streams.
exec_killed_client()
{
	local i pid
	for i in 1 2 3; do
		"$DISCO" exec x -- sh -c 'echo $$ >/tmp/yes; exec yes' \
			</dev/null >"$WORK/yes" 2>&1 &
		pid=$!
		until_true 30 test -s "$WORK/yes" ||
			fail "no output: $(head -c 200 "$WORK/yes")" || return 1
		kill -9 $pid
		{ wait $pid; } 2>/dev/null
		in_guest 0 x -- sh -c 'while kill -0 "$(cat /tmp/yes)"; do
			sleep 0.1; done 2>&-' </dev/null || return 1
	done
}

frozen()
{
	# The root is an overlay on memory: what can be frozen is little, and an
	# agent may refuse. Either is an answer, and it works after it.
	"$DISCO" freeze x >"$WORK/o" 2>"$WORK/o.err" || STATUS=$?
	"$DISCO" thaw x >"$WORK/o" 2>"$WORK/o.err"
	in_guest 0 x -- true </dev/null
}

# With what it has started, which has the port open as well.
# shellcheck disable=SC2016 # expanded in the guest
AGENT_GOES='[ ! -e /run/agent.pid ] || kill -9 -- -$(cat /run/agent.pid)'

# agent_is SCRIPT - in the place of the guest's agent, by the console; it has the
# port open when this returns
agent_is()
{
	runner_do x 60 <<-END
	pkill qemu-ga
	$AGENT_GOES
	cat >/tmp/agent <<'SCRIPT'
	$1
	SCRIPT
	until exec 9<>/dev/vport0p1; do sleep 0.1; done
	setsid bash /tmp/agent <&9 >&9 2>/dev/null &
	echo \$! >/run/agent.pid
	END
}

# Each costs one line, and the console and other VMs go on meanwhile.
hostile_agent()
{
	local i scripts=(
		'while :; do printf "\377{\"return\": 7}\n"; done'
		'while :; do head -c 65536 /dev/zero; done'
		'while read -r line; do printf "\377{}\n"; done'
		'exec sleep 600'
	)
	for ((i = 0; i < EXEC_HOSTILE; i++)); do
		agent_is "${scripts[i]}" || return 1
		in_guest 18 x -- true </dev/null && want_one_line "$WORK/o" &&
			want_line 'its guest agent' "$WORK/o.err" || return 1
		runner_do x 60 <<<'echo the console works' || return 1
		grep -qx x <("$DISCO" ls --names) || fail 'no VM' || return 1
	done
	runner_do x 60 <<-END
	$AGENT_GOES
	until : 9<>/dev/vport0p1; do sleep 0.1; done
	qemu-ga -p /dev/vport0p1 -t /run -f /run/qemu-ga.pid \
		</dev/null >/run/qemu-ga.log 2>&1 &
	END
	in_guest 0 --wait $((60 * SCALE)) x -- true </dev/null
}

no_agent()
{
	runner_do x 60 <<<'pkill qemu-ga; while pkill -0 qemu-ga; do sleep 0.1
		done; :' || return 1
	in_guest 18 x -- true </dev/null && want_one_line "$WORK/o" &&
		want_line 'apt install qemu-guest-agent' "$WORK/o.err"
}

s_exec()
{
	start_monitor
	runner_start x || return 1
	in_guest 0 --wait $((120 * SCALE)) x -- true </dev/null || return 1
	runner_ready x || return 1
	part exec_status exec_status
	part exec_streams exec_streams
	part exec_many exec_many
	part exec_parallel exec_parallel
	part cp_both_ways cp_both_ways
	part exec_killed_client exec_killed_client
	part frozen frozen
	part hostile_agent hostile_agent
	part no_agent no_agent
	stop_monitor
}
