# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Wide guests: stock ones with a vCPU on each of four nodes, one that is not told
# of its nodes, and one that is. WIDE_MIB: what a vCPU touches at a time (16).
# WIDE_LOCAL: how much of it, in percent, has to be new pages of the vCPU's node;
# a guest gives pages to programs that it has touched before, on another vCPU.
# Needs monitor.sh, move.sh and runner.sh.

WIDE_MIB=${WIDE_MIB:-16}
WIDE_LOCAL=${WIDE_LOCAL:-60}

# pages_on NAME NODE - of its memory, all of which is looked at
pages_on()
{
	"$DISCO" stats --exact --json |
		fields vms name ram_on.{0..3}.{node,pages} |
		awk -v name="$1" -v node="$2" '$1 == name {
			for (i = 2; i < NF; i += 2)
				if ($i == node)
					sum += $(i + 1)
		} END { printf "%d\n", sum }'
}

# touch_on NAME VCPU - WIDE_MIB more, by a process of that vCPU
touch_on()
{
	TOUCHED=$((${TOUCHED:-0} + 1))
	runner_do "$1" 60 <<-G
	taskset -c $2 head -c ${WIDE_MIB}M /dev/zero >/dev/shm/$TOUCHED
	G
}

# touch_lands NAME VCPU NODE - what it touches is new memory of that node
touch_lands()
{
	local before after more
	before=$(pages_on "$1" "$3")
	touch_on "$1" "$2" || return 1
	after=$(pages_on "$1" "$3")
	more=$(((after - before) * 100 / (WIDE_MIB * 256)))
	echo "# $1: vCPU $2 touched $WIDE_MIB MiB: node $3 has" \
		"$((after - before)) pages more, $more %"
	((more >= WIDE_LOCAL)) ||
		fail "node $3 has $((after - before)) pages more of $WIDE_MIB" \
			"MiB that vCPU $2 has touched:" \
			"$("$DISCO" stats --exact | grep "^$1 ")"
}

# threads_on NAME NODE - how many of its worker's threads, but for those that KVM
# has made, may run there, and nowhere else
threads_on()
{
	local cpus
	cpus=$(cpus_of "$2") || return 1
	awk -v cpus="$cpus" '$1 == "Name:" { kvms = $2 ~ /^kvm/ }
		$1 == "Cpus_allowed_list:" && $2 == cpus && !kvms { n++ }
		END { print n + 0 }' \
		"/proc/$(pgrep -f "^disco-vm $1\$" | head -1)"/task/*/status
}

# shows_nodes NAME LIST - "disco ls" has them
shows_nodes()
{
	want_line "^$1 +running +${2//+/\\+} " <("$DISCO" ls)
}

# --- how they begin ---------------------------------------------------------------
scenario wide wide_is_spread wide_sees_one_node wide_sees_its_nodes \
	wide_memory_is_local wide_memory_is_bound_by_node wide_vcpu_moves \
	wide_outlives_the_monitor wide_is_gathered_and_spread

wide_spread()
{
	local node
	for node in 1 2 3; do
		(($(threads_on w $node) == 1)) ||
			fail "$(threads_on w $node) threads on node $node" ||
			return 1
	done
	(($(threads_on w 0) > 1)) || fail "few threads at home" || return 1
	shows_nodes w 0-3 && shows_nodes v 0-3 || return 1
	"$DISCO" stats --exact >"$WORK/stats" && sed 's/^/# /' "$WORK/stats"
	want_line '^w .* 100 % .*0:[0-9]+M' "$WORK/stats"
}

wide_hidden()
{
	runner_do w 60 <<-'G' || return 1
	ls -d /sys/devices/system/node/node[0-9]*
	dmesg | grep -i srat || true
	G
	want_line '/node0$' "$WORK/o" && (($(grep -c /node "$WORK/o") == 1)) ||
		fail "not one node: $(cat "$WORK/o")" || return 1
	! grep -i srat "$WORK/o" || fail "it has an SRAT"
}

# The lab's own distances: the guest's nodes are its nodes, in order.
wide_shown()
{
	runner_do v 60 <<-'G' || return 1
	for n in 0 1 2 3; do
		d=/sys/devices/system/node/node$n
		echo "NODE $n cpus $(cat $d/cpulist) distance $(cat $d/distance)"
		sed -n 's/.*MemTotal: *//p' $d/meminfo
	done
	ls -d /sys/devices/system/node/node4 2>/dev/null
	dmesg | grep -E 'not on the same node|SRAT|No NUMA' || true
	G
	sed 's/^/# /' "$WORK/o"
	for n in 0 1 2 3; do
		want_line "^NODE $n cpus $n distance $(
			cat /sys/devices/system/node/node$n/distance)\$" \
			"$WORK/o" || return 1
	done
	! grep -E 'node4|not on the same node|No NUMA' "$WORK/o" ||
		fail "$(grep -E 'node4|not on|No NUMA' "$WORK/o")"
}

# --- memory -----------------------------------------------------------------------

wide_local()
{
	local i
	for i in 3 1 2; do
		touch_lands w $i $i || return 1
	done
}

wide_bound()
{
	local i
	for i in 1 3 2; do
		touch_lands v $i $i || return 1
	done
}

# --- moves ------------------------------------------------------------------------

wide_move()
{
	"$DISCO" move w/3 1 >"$WORK/move" 2>&1 ||
		fail "w/3: $(cat "$WORK/move")" || return 1
	want_line '^w/3: on node 1; its VM is on 0-2$' "$WORK/move" &&
		shows_nodes w 0-2 || return 1
	(($(threads_on w 3) == 0 && $(threads_on w 1) == 2)) ||
		fail "threads on node 3: $(threads_on w 3), on node 1:" \
			"$(threads_on w 1)" || return 1
	touch_lands w 3 1
}

wide_adopted()
{
	kill_monitor KILL && wait "$MONITOR_PID" 2>/dev/null
	start_monitor --balance=off || return 1
	runner_attach w && runner_attach v || return 1
	wait_state w running 30 && shows_nodes w 0-2 && shows_nodes v 0-3 ||
		return 1
	"$DISCO" move w/3 3 >"$WORK/move" 2>&1 ||
		fail "w/3: $(cat "$WORK/move")" || return 1
	shows_nodes w 0-3 && (($(threads_on w 3) == 1)) ||
		fail "w/3 is not on node 3: $("$DISCO" ls)"
}

# All of it goes to one node; then one of its vCPUs leaves again, and touches
# memory where it is.
wide_gathered()
{
	do_move w 2 || return 1
	echo "# $(cat "$WORK/move")"
	has_moved w 2 && shows_nodes w 2 || return 1
	"$DISCO" move w/1 3 >"$WORK/move" 2>&1 ||
		fail "w/1: $(cat "$WORK/move")" || return 1
	shows_nodes w 2-3 && touch_lands w 1 3
}

s_wide()
{
	start_monitor --balance=off || return 1
	# Small pages: one that a vCPU touches has been touched by no other.
	runner_start w --cpus 4 --memory 256M,nodes=0-3,huge=off && runner_start v \
		--cpus 4 --memory 384M,nodes=0-3,numa=show,huge=thp &&
		runner_ready w v || return 1
	part wide_is_spread wide_spread
	part wide_sees_one_node wide_hidden
	part wide_sees_its_nodes wide_shown
	part wide_memory_is_local wide_local
	part wide_memory_is_bound_by_node wide_bound
	part wide_vcpu_moves wide_move
	part wide_outlives_the_monitor wide_adopted
	part wide_is_gathered_and_spread wide_gathered
	stop_monitor
}
