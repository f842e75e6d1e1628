# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests of `disco move` with stock guests: round the nodes while they compute
# checksums. MOVE_ROUNDS: how often round (1); MOVE_MIB: what they have a sum of
# (8). MOVE_STALL_MS: the bound given; a batch takes 0.05 s in the lab, and 2 s
# now and then: the agent shares two emulated CPUs with the guest's.
# Needs monitor.sh and runner.sh.

MOVE_ROUNDS=${MOVE_ROUNDS:-1}
MOVE_MIB=${MOVE_MIB:-8}
MOVE_STALL_MS=${MOVE_STALL_MS:-8000}

# start_summing NAME [MEMORY] - a guest that is to check MOVE_MIB by their sum
start_summing()
{
	runner_start "$1" --cpus 2 --memory "256M,node=0${2:-}"
}

# begin_summing NAME - it does so over and over, until it gets "q"; its last
# words say how often, and how right
begin_summing()
{
	runner_ready "$1" || return 1
	runner_send "$1" <<-G
	head -c ${MOVE_MIB}M /dev/urandom >/dev/shm/a
	want=\$(md5sum </dev/shm/a) n=0 bad=0
	echo "SUM begin"
	# The time may be up after the q, before the end of its line.
	until read -r -t 0.3 key; [[ \$key == q ]]; do
		[[ \$(md5sum </dev/shm/a) == "\$want" ]] || bad=\$((bad + 1))
		cat /usr/bin/bash | md5sum >/dev/null
		dd if=/dev/shm/a of=/dev/shm/b bs=64k 2>/dev/null
		cmp /dev/shm/a /dev/shm/b || bad=\$((bad + 1))
		n=\$((n + 1))
		echo "SUM \$n bad \$bad"
	done
	echo "SUM end \$n bad \$bad"
	exit \$bad
	G
	SUMMING=$RUNNER_NR
	wait_lines 1 'SUM begin' "$WORK/console-$1" 100
}

# do_move NAME NODE - what the command says is in $WORK/move
do_move()
{
	"$DISCO" move --stall-ms="$MOVE_STALL_MS" "$1" "$2" >"$WORK/move" 2>&1 ||
		fail "$1 to node $2: $(cat "$WORK/move")"
}

# cpus_of NODE - those that are to be used
cpus_of()
{
	numactl --cpunodebind="$1" grep ^Cpus_allowed_list /proc/self/status |
		cut -f 2 | grep .
}

# has_moved NAME NODE - the kernel says all of it is there
has_moved()
{
	local pid node ram ram_here text text_here strange away cpus
	IFS=, read -r _ _ node _ _ _ ram ram_here _ text text_here _ \
		< <("$DISCO" stats --exact --csv | grep "^$1,")
	[[ $node == "$2" ]] || fail "$1 is on node $node, not $2" || return 1
	((ram > 1000 && text > 10)) || fail "$ram, $text pages" || return 1
	pid=$(pgrep -f "^disco-vm $1\$" | head -1)
	((ram == ram_here)) || fail "node $2: $ram_here of $ram pages;" \
		"elsewhere: $(mapped_elsewhere "$pid" "$2");" \
		"$(cat "$WORK/move")" || return 1
	((text == text_here)) || fail "node $2: $text_here of $text pages" \
		"of text" || return 1
	text_is_local || return 1
	away=$(figures_elsewhere "$pid" "$2")
	((away == 0)) || fail "$away pages of figures elsewhere" || return 1
	cpus=$(cpus_of "$2") || fail "which CPUs has node $2?" || return 1
	strange=$(grep -h ^Cpus_allowed_list "/proc/$pid"/task/*/status |
		grep -vc "[[:space:]]$cpus\$")
	((strange == 0)) || fail "$strange threads on CPUs of other nodes" ||
		return 1
	echo "# node $2: $ram pages of memory, $text of text, all local;" \
		"elsewhere: $(left_behind "$pid" "$2")"
}

# text_is_local - the kernel says so of every worker and every agent, one of
# which is on each node
text_is_local()
{
	until_true 20 text_is_known ||
		fail "less than 10 pages of text, or no figures: $TEXT" ||
		return 1
	[[ ! $TEXT ]] || fail "$TEXT"
}

# text_is_known - false while one was just executed, and has not touched much;
# sets TEXT to what is wrong
text_is_known()
{
	local all
	all=$("$DISCO" stats --exact --json) || return 1
	TEXT=$({
		fields vms name node text_pages text_pages_local <<<"$all"
		fields agents pid node text_pages text_pages_local <<<"$all" |
			sed 's/^/agent-/'
	} | awk '
	$3 < 10 { young = 1 }
	$3 != $4 { print "text of", $1, "on node", $2, $4, "of", $3 }
	/^agent-/ { seen[$2]++; agents++ }
	END {
		if (agents != 4 || !(seen[0] && seen[1] && seen[2] && seen[3]))
			print agents, "agents, not one per node"
		exit young ? 3 : 0
	}')
}

# figures_elsewhere PID NODE - pages of its region that are on other nodes;
# -1: it has none
figures_elsewhere()
{
	awk -v here="N$2" '/memfd:disco-figures/ {
		for (i = 2; i <= NF; i++)
			if (split($i, f, "=") == 2 && f[1] ~ /^N[0-9]+$/) {
				seen = 1
				if (f[1] != here)
					n += f[2]
			}
	}
	END { print seen ? n + 0 : -1 }' "/proc/$1/numa_maps"
}

# mapped_elsewhere PID NODE - pages of shared memory on other nodes, by file
mapped_elsewhere()
{
	awk -v here="N$2" '/file=.*memfd:/ {
		name = $0
		sub(/.*memfd:/, "", name)
		sub(/[ \\].*/, "", name)
		for (i = 2; i <= NF; i++)
			if (split($i, f, "=") == 2 && f[1] ~ /^N[0-9]+$/ &&
			    f[1] != here)
				n[name " " f[1]] += f[2]
	}
	END { for (i in n) printf "%s %d ", i, n[i] }' "/proc/$1/numa_maps"
}

# left_behind PID NODE - pages of its own that are on other nodes
left_behind()
{
	awk -v here="N$2" '!/file=/ || /anon=/ {
		for (i = 2; i <= NF; i++)
			if (split($i, f, "=") == 2 && f[1] ~ /^N[0-9]+$/ &&
			    f[1] != here)
				n += f[2]
	}
	END { print n + 0 }' "/proc/$1/numa_maps"
}

# end_summing NAME
end_summing()
{
	runner_type "$1" q
	runner_result "$1" 60 "${2:-$SUMMING}" && want_status 0 "$WORK/o" &&
		want_line 'SUM end [0-9]+ bad 0' "$WORK/o" || return 1
	echo "# $(grep -o 'SUM end .*' "$WORK/o")"
	runner_type "$1" end
	wait_state "$1" ended 60 &&
		want_line "^$1 +ended .* 0 ok" <("$DISCO" ls)
}

# --- two guests, with memory of small and of huge pages --------------------------
scenario moves move_huge_pages move_round_four_nodes move_agent_killed

move_round()
{
	local i node
	text_is_local || return 1
	echo "# bound of a batch: $MOVE_STALL_MS ms"
	for ((i = 1; i <= MOVE_ROUNDS * 4; i++)); do
		node=$((i % 4))
		do_move r $node || return 1
		echo "# $(cat "$WORK/move")"
		awk -v scale=$SCALE -F'longest batch | ms of |, parked | ms; ' \
			'$2 + 0 > $3 * scale || $4 + 0 > $3 * scale { exit 1 }' \
			"$WORK/move" ||
			fail "held up too long: $(cat "$WORK/move")" || return 1
		has_moved r $node || return 1
	done
}

# Its kernel is in its own pages, not in an image shown over them.
move_huge()
{
	local node
	begin_summing h || return 1
	for node in 2 0; do
		do_move h $node || return 1
		has_moved h $node || return 1
	done
	end_summing h
}

# agent_pids - of this monitor's agents; 0 stands for one that is to start
agent_pids()
{
	"$DISCO" stats --json | fields agents pid | grep -vx 0
}

# new_agents OLD - as many others are there
new_agents()
{
	[[ $(agent_pids | grep -cvxF "$1") == 4 ]]
}

# kill_agents - and wait until there are as many others
kill_agents()
{
	local old
	old=$(agent_pids)
	xargs kill -9 <<<"$old"
	until_true 10 new_agents "$old" ||
		fail "agents are not started again: $(agent_pids)"
}

# begins_to_move PID CPUS - its threads are on these already
begins_to_move()
{
	grep -q "^Cpus_allowed_list:.$2\$" "/proc/$1/status"
}

move_agent()
{
	local status=0 moving pid cpus
	do_move r 1 || return 1
	kill_agents || return 1
	text_is_local || return 1
	do_move r 1 || return 1 # a kill between moves is no matter
	pid=$(pgrep -f "^disco-vm r\$" | head -1)
	cpus=$(cpus_of 2) || fail "which CPUs has node 2?" || return 1
	# Batches of one page: time to be killed in.
	"$DISCO" move --stall-ms=1 r 2 >"$WORK/move" 2>&1 &
	moving=$!
	until_true 10 begins_to_move "$pid" "$cpus" ||
		fail "r does not begin to move to node 2" || return 1
	kill_agents || return 1
	wait $moving || status=$?
	((status == 11)) || fail "status $status of a move whose agent is" \
		"killed: $(cat "$WORK/move")" || return 1
	want_line 'r: not moved: the agent of node 2 died' "$WORK/move" ||
		return 1
	(($(wc -l <"$WORK/move") == 1)) || fail "more than one line" || return 1
	do_move r 3 || return 1
	has_moved r 3 || return 1
	end_summing r
}

s_moves()
{
	start_monitor --balance=off || return 1
	start_summing h ,huge=thp && start_summing r ,huge=off && runner_ready h r ||
		return 1
	part move_huge_pages move_huge
	"$DISCO" kill h 2>/dev/null
	begin_summing r || return 1
	part move_round_four_nodes move_round
	part move_agent_killed move_agent
	stop_monitor
}
