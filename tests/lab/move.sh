# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests of `disco move` with a stock guest: round the nodes while it computes
# checksums. MOVE_ROUNDS: how often round (1). MOVE_STALL_MS: the bound given;
# a batch takes 0.05 s in the lab, and 2 s now and then: the agent shares two
# emulated CPUs with the guest's.
# Needs tests/lab/monitor.sh and many.sh.

MOVE_ROUNDS=${MOVE_ROUNDS:-1}
MOVE_STALL_MS=${MOVE_STALL_MS:-8000}

# start_summing NAME [MEMORY] - a guest that checks 24 MiB against their sum, over and
# over, until it is told "q"; its last words say how often, and how right
start_summing()
{
	local script
	script=$(base64 -w0 <<-'G'
	head -c 24M /dev/urandom >/dev/shm/a
	want=$(md5sum </dev/shm/a) n=0 bad=0
	echo "SUM begin"
	# The time may be up after the q, before the end of its line.
	until read -r -t 0.01 key; [[ $key == q ]]; do
		[[ $(md5sum </dev/shm/a) == "$want" ]] || bad=$((bad + 1))
		cat /usr/bin/bash | md5sum >/dev/null
		dd if=/dev/shm/a of=/dev/shm/b bs=64k 2>/dev/null
		cmp /dev/shm/a /dev/shm/b || bad=$((bad + 1))
		n=$((n + 1))
		echo "SUM $n bad $bad"
	done
	echo "SUM end $n bad $bad"
	exit $bad
	G
	)
	start_detached "$1" "disco.sh=$script" --cpus 2 \
		--memory "256M,node=0${2:-}" --disk "path=$ROOT_DISK,ro" || return 1
	timeout 900 "$DISCO" console --no-input "$1" >"$WORK/o" 2>&1 &
	wait_lines 1 'SUM begin' "$WORK/o" 100
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
		< <("$DISCO" stats --csv | grep "^$1,")
	[[ $node == "$2" ]] || fail "$1 is on node $node, not $2" || return 1
	((ram > 1000 && text > 10)) || fail "$ram, $text pages" || return 1
	((ram == ram_here)) || fail "node $2: $ram_here of $ram pages" ||
		return 1
	((text == text_here)) || fail "node $2: $text_here of $text pages" \
		"of text" || return 1
	text_is_local || return 1
	pid=$(pgrep -f "^disco-vm $1\$" | head -1)
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
	local i why status
	for ((i = 0; i < 10; i++)); do
		status=0
		# 3: one was just executed, and has not touched much
		why=$("$DISCO" stats --json | python3 -c 'import json, sys
s = json.load(sys.stdin)
young = False
for x in s["vms"] + s["agents"]:
    young = young or x["text_pages"] < 10
    if x["text_pages_local"] != x["text_pages"]:
        print("text of", x.get("name", "the agent"), "on node", x["node"],
              x["text_pages_local"], "of", x["text_pages"])
if sorted(a["node"] for a in s["agents"]) != [0, 1, 2, 3]:
    print("agents:", s["agents"])
sys.exit(3 if young else 0)') || status=$?
		((status == 3)) || break
		sleep 0.5
	done
	((status == 0)) || why+=" less than 10 pages of text, or no figures"
	[[ ! $why ]] || fail "$why"
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

# end_summing NAME - and it must have been right all the time
end_summing()
{
	{
		printf 'q\n'
		sleep 2
	} | timeout 60 "$DISCO" console "$1" >/dev/null
	wait_state "$1" ended 60
	wait_lines 1 'DISCO-RESULT' "$WORK/o" 5 || return 1
	want_line 'SUM end [0-9]+ bad 0' "$WORK/o" &&
		want_line 'DISCO-RESULT 0' "$WORK/o" &&
		want_line "^$1 +ended .* 0 ok" <("$DISCO" ls) || return 1
	echo "# $(grep -o 'SUM end .*' "$WORK/o" | tr -d '\r')"
}

t_move_round_four_nodes()
{
	local i node ok=0
	start_summing r || return 1
	text_is_local || return 1
	echo "# bound of a batch: $MOVE_STALL_MS ms"
	for ((i = 1; i <= MOVE_ROUNDS * 4; i++)); do
		node=$((i % 4))
		do_move r $node || return 1
		echo "# $(cat "$WORK/move")"
		awk -F'longest batch | ms of |, parked | ms; ' \
			'$2 + 0 > $3 + 0 || $4 + 0 > $3 + 0 { exit 1 }' "$WORK/move" ||
			fail "held up too long: $(cat "$WORK/move")" || return 1
		has_moved r $node || return 1
	done
	end_summing r || ok=1
	"$DISCO" kill r 2>/dev/null
	kill_monitor TERM
	return $ok
}

# Its kernel is in its own pages, not in an image shown over them.
t_move_huge_pages()
{
	local node ok=0
	start_summing h ,huge=thp || return 1
	for node in 2 0; do
		do_move h $node || return 1
		has_moved h $node || return 1
	done
	end_summing h || ok=1
	"$DISCO" kill h 2>/dev/null
	kill_monitor TERM
	return $ok
}

# agent_pids - of this monitor's agents
agent_pids()
{
	pgrep -f '^disco-agent$'
}

# kill_agents - and wait until there are as many others
kill_agents()
{
	local i old
	old=$(agent_pids)
	xargs kill -9 <<<"$old"
	for ((i = 0; i < 100; i++)); do
		[[ $(agent_pids | grep -cvxF "$old") == 4 ]] && return 0
		sleep 0.1
	done
	fail "agents are not started again: $(agent_pids)"
}

# moves_to VM NODE - within 4 s its threads are on that node's CPUs
moves_to()
{
	local i pid cpus
	cpus=$(cpus_of "$2") || fail "which CPUs has node $2?" || return 1
	pid=$(pgrep -f "^disco-vm $1\$" | head -1)
	for ((i = 0; i < 200; i++)); do
		grep -q "^Cpus_allowed_list:.$cpus\$" "/proc/$pid/status" &&
			return 0
		sleep 0.02
	done
	fail "$1 does not begin to move to node $2"
}

t_move_agent_killed()
{
	local status=0 moving ok=0
	start_summing a || return 1
	do_move a 1 || return 1
	kill_agents || return 1
	text_is_local || return 1
	do_move a 1 || return 1 # a kill between moves is no matter
	# Batches of one page: time to be killed in.
	"$DISCO" move --stall-ms=1 a 2 >"$WORK/move" 2>&1 &
	moving=$!
	moves_to a 2 || return 1
	kill_agents || return 1
	wait $moving || status=$?
	((status == 11)) || fail "status $status of a move whose agent is" \
		"killed: $(cat "$WORK/move")" || return 1
	want_line 'a: not moved: the agent of node 2 died' "$WORK/move" ||
		return 1
	(($(wc -l <"$WORK/move") == 1)) || fail "more than one line" || return 1
	do_move a 3 || return 1
	has_moved a 3 || return 1
	end_summing a || ok=1
	"$DISCO" kill a 2>/dev/null
	kill_monitor TERM
	return $ok
}
