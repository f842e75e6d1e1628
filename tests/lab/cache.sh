# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests of the buffer cache with stock guests: who reads what from the image,
# and that nobody ever reads anything else. CACHE_MIB: how large the image of
# two_guests_cause_one_read is (16). CACHE_WRITES: how often writes_stay_private
# writes over the whole image (2; make soak: 13, which is 10^5 writes).
# Needs monitor.sh and many.sh.

CACHE_MIB=${CACHE_MIB:-16}
CACHE_WRITES=${CACHE_WRITES:-2}

# start_monitor OPTION...
start_monitor()
{
	"$DISCO" monitor "$@" >"$WORK/monitor" 2>&1 &
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

# cache_figure WHO KEY - of a VM, or of all agents ("agents")
cache_figure()
{
	"$DISCO" stats --json | python3 -c 'import json, sys
who, key = sys.argv[1:]
s = json.load(sys.stdin)
print(sum(x["cache"][key] for x in (s["agents"] if who == "agents" else
          [v for v in s["vms"] if v["name"] == who]) if x["cache"]))' "$@"
}

# start_script NAME ARG... - a guest that runs the script on stdin; its console
# goes to $WORK/console-NAME; its root disk is ROOT_HOW (ro)
start_script()
{
	local name=$1
	shift
	start_detached "$name" "disco.sh=$(base64 -w0)" \
		--disk "path=$ROOT_DISK,${ROOT_HOW:-ro}" "$@" || return 1
	timeout 900 "$DISCO" console --no-input "$name" \
		>"$WORK/console-$name" 2>&1 &
}

# told_begin NAME... - they wait for lines
told_begin()
{
	local name
	for name; do
		wait_lines 1 'TOLD begin' "$WORK/console-$name" 120 || return 1
	done
}

# start_told NAME ARG... - one that, told a line, runs it
start_told()
{
	start_script "$@" <<-'G'
	echo "TOLD begin"
	while read -r line && [[ $line != end ]]; do
		eval "$line"
		echo "TOLD $? $line"
	done
	G
}

# tell NAME SECONDS LINE - and wait until it is done
tell()
{
	local name=$1 limit=$2 done
	shift 2
	done=$(grep -c '^TOLD' "$WORK/console-$name")
	{
		printf '%s\n' "$*"
		sleep 1
	} | timeout 3 "$DISCO" console "$name" >/dev/null 2>&1
	wait_lines $((done + 1)) '^TOLD' "$WORK/console-$name" "$limit"
}

# Both read all of a disk at the same time: the image is read once, and is
# once in memory.
t_two_guests_cause_one_read()
{
	local i want reads shown bytes=$((CACHE_MIB << 20))
	head -c "$bytes" /dev/urandom >"$WORK/image"
	want=$(md5sum <"$WORK/image")
	start_monitor --balance=off --cache=$((CACHE_MIB + 256))M || return 1
	for i in 0 1; do
		start_told "r$i" --memory 384M,node=0 \
			--disk "path=$WORK/image,ro" || return 1
	done
	told_begin r0 r1 || return 1
	reads=$(cache_figure agents read_bytes)
	tell r0 $((CACHE_MIB * 4)) 'md5sum </dev/vdb' &
	tell r1 $((CACHE_MIB * 4)) 'md5sum </dev/vdb' || return 1
	wait $! || fail "r0 does not come to an end" || return 1
	reads=$(($(cache_figure agents read_bytes) - reads))
	shown=$(cache_figure r0 shown_pages)
	for i in 0 1; do
		grep -q "^${want%% *}" "$WORK/console-r$i" ||
			fail "r$i read something else" || return 1
		echo "# r$i: $(cache_figure r$i hit_blocks) blocks hit," \
			"$(cache_figure r$i missed_blocks) missed," \
			"$(cache_figure r$i direct_blocks) direct"
	done
	echo "# $reads bytes read of an image of $bytes, $shown pages shown"
	((reads * 100 <= bytes * 102)) || fail "$reads bytes of $bytes" ||
		return 1
	((shown > 1000)) || fail "only $shown pages are shown" || return 1
	stop_monitor
}

# agent_figure NODE KEY - of one agent's cache
agent_figure()
{
	"$DISCO" stats --json | python3 -c 'import json, sys
node, key = sys.argv[1:]
print(sum(a["cache"][key] for a in json.load(sys.stdin)["agents"]
          if a["node"] == int(node) and a["cache"]))' "$@"
}

# wait_figure SECONDS LEAST COMMAND... - until what it prints is that much
wait_figure()
{
	local i seconds=$1 least=$2
	shift 2
	for ((i = 0; i < seconds; i++)); do
		(($("$@") >= least)) && return 0
		sleep 1
	done
	fail "$*: $("$@"), not $least, after $seconds s"
}

# The guest of node 1 uses what node 0 has read: its node gets copies, and it
# shows those. Nobody reads the image again.
t_hot_blocks_are_replicated()
{
	local i want reads remote bytes=$((16 << 20))
	head -c "$bytes" /dev/urandom >"$WORK/image"
	want=$(md5sum <"$WORK/image")
	want=${want%% *}
	start_monitor --balance=off --cache=256M || return 1
	for i in 0 1; do
		start_told "h$i" --memory "256M,node=$i" \
			--disk "path=$WORK/image,ro" || return 1
	done
	told_begin h0 h1 || return 1
	reads=$(cache_figure agents read_bytes)
	tell h0 100 'md5sum </dev/vdb' || return 1
	tell h1 100 'md5sum </dev/vdb' || return 1
	# What stays in its page cache is used, without a request.
	wait_figure 60 4000 agent_figure 1 replicated_blocks || return 1
	wait_figure 60 500 cache_figure h1 brought_pages || return 1
	remote=$(cache_figure h1 remote_blocks)
	for i in 1 2; do
		tell h1 100 'echo 3 >/proc/sys/vm/drop_caches' || return 1
		tell h1 100 'md5sum </dev/vdb' || return 1
	done
	remote=$(($(cache_figure h1 remote_blocks) - remote))
	reads=$(($(cache_figure agents read_bytes) - reads))
	echo "# $(agent_figure 1 replicated_blocks) blocks copied to node 1," \
		"$(agent_figure 0 replicated_blocks) to node 0;" \
		"$(cache_figure h1 brought_pages) pages brought nearer," \
		"stopped for at most" \
		"$(($(cache_figure h1 brought_longest_ns) / 1000)) us;" \
		"then $remote of $((bytes / 2048)) blocks from afar;" \
		"$reads bytes read of an image of $bytes"
	(($(grep -c "^$want" "$WORK/console-h1") == 3)) ||
		fail "h1 saw something else than $want" || return 1
	(($(grep -c "^$want" "$WORK/console-h0") == 1)) ||
		fail "h0 saw something else than $want" || return 1
	# A little of the root disk is read as well.
	((reads * 10 <= bytes * 11)) || fail "$reads bytes of $bytes" ||
		return 1
	((remote * 10 <= bytes / 2048)) ||
		fail "$remote blocks from afar after all" || return 1
	stop_monitor
}

# Nobody sees what another one writes to a page that both show.
t_writes_stay_private()
{
	local want i
	head -c 32M /dev/urandom >"$WORK/image"
	want=$(md5sum <"$WORK/image")
	want=${want%% *}
	start_monitor --balance=off || return 1
	start_told w --memory 256M,node=0 --disk "path=$WORK/image,snapshot" ||
		return 1
	start_told v --memory 256M,node=0 --disk "path=$WORK/image,ro" ||
		return 1
	for i in w v; do
		told_begin $i || return 1
		tell $i 100 'md5sum </dev/vdb' || return 1
		(($(cache_figure $i shown_pages) > 4000)) ||
			fail "$i shows little" || return 1
	done
	# 8192 writes of 4 KiB each time, into pages that are in its page cache.
	for ((i = 1; i <= CACHE_WRITES; i++)); do
		tell w 100 "yes $i | dd of=/dev/vdb bs=4k count=8192 \
conv=notrunc iflag=fullblock 2>/dev/null" || return 1
	done
	tell v 100 'md5sum </dev/vdb; echo 3 >/proc/sys/vm/drop_caches' ||
		return 1
	tell v 100 'md5sum </dev/vdb' || return 1
	(($(grep -c "^$want" "$WORK/console-v") == 3)) ||
		fail "v saw something else than $want" || return 1
	tell w 100 'md5sum </dev/vdb' || return 1
	(($(grep -c "^$want" "$WORK/console-w") == 1)) ||
		fail "w does not see what it wrote" || return 1
	stop_monitor
}

# A cache that holds a fraction of what is read, again and again.
t_eviction_storm()
{
	local i evicted
	start_monitor --balance=off --cache=8M || return 1
	for i in 0 1 2; do
		start_script "e$i" --memory "192M,node=$i" <<-'G'
		for i in 1 2 3; do
			/usr/lib/disco/checksum
			echo 3 >/proc/sys/vm/drop_caches
		done
		G
	done
	for i in 0 1 2; do
		wait_state "e$i" ended 300 || return 1
		(($(grep -c 'checksum ok' "$WORK/console-e$i") == 3)) ||
			fail "e$i: $(tail -3 "$WORK/console-e$i")" || return 1
	done
	evicted=$(cache_figure agents evicted_blocks)
	echo "# $evicted blocks evicted," \
		"$(cache_figure agents leased_blocks) passed over for a lease," \
		"$(cache_figure agents refused_blocks) refused"
	# Few: what a guest shows is leased until it says that it is free.
	((evicted > 100)) || fail "only $evicted blocks were evicted" ||
		return 1
	stop_monitor
}

# Its agents die again and again while a guest reads.
t_agents_killed_guest_reads_on()
{
	local i
	start_monitor --balance=off --cache=32M || return 1
	start_script k --memory 192M,node=1 <<-'G'
	for i in 1 2 3; do
		/usr/lib/disco/checksum
		echo 3 >/proc/sys/vm/drop_caches
	done
	G
	wait_lines 1 'DISCO-GUEST userspace' "$WORK/console-k" 100 || return 1
	for i in 1 2 3; do
		sleep 2
		kill_agents || return 1
	done
	wait_state k ended 300 || return 1
	(($(grep -c 'checksum ok' "$WORK/console-k") == 3)) ||
		fail "$(tail -3 "$WORK/console-k")" || return 1
	stop_monitor
}

# Each group reads for itself.
t_groups_share_nothing()
{
	local reads image i
	head -c 16M /dev/urandom >"$WORK/image"
	start_monitor --balance=off || return 1
	for i in a b; do
		start_told $i --memory 192M,node=0 --group "of-$i" \
			--disk "path=$WORK/image,ro" || return 1
		told_begin $i || return 1
	done
	reads=$(cache_figure agents read_bytes)
	for i in a b; do
		tell $i 60 'md5sum </dev/vdb' || return 1
	done
	reads=$(($(cache_figure agents read_bytes) - reads))
	image=$((16 << 20))
	# A little of it was read when they booted.
	((reads * 10 >= 19 * image)) ||
		fail "$reads bytes read for two groups" || return 1
	stop_monitor
}
