# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests of the buffer cache with stock guests: who reads what from the image,
# and that nobody ever reads anything else. Sizes, larger in make check-all:
# CACHE_MIB: the image of two_guests_cause_one_read; HOT_MIB: of
# hot_blocks_are_replicated; PRIVATE_MIB: of writes_stay_private, and
# CACHE_WRITES: how often that writes over all of it (2; make soak: 13, which is
# 10^5 writes of 32 MiB); CACHE_ROUNDS: how often eviction_storm reads.
# Needs monitor.sh, runner.sh, move.sh, pmem.sh and kills.sh.

CACHE_MIB=${CACHE_MIB:-16}
HOT_MIB=${HOT_MIB:-8}
PRIVATE_MIB=${PRIVATE_MIB:-8}
CACHE_WRITES=${CACHE_WRITES:-2}
CACHE_ROUNDS=${CACHE_ROUNDS:-1}

# --- a, b and c of one group, c on another node; d of another; one for fio ---
scenario cache two_guests_cause_one_read writes_stay_private \
	groups_share_nothing hot_blocks_are_replicated fio_verifies

# cache_images - what the guests read
cache_images()
{
	head -c $((CACHE_MIB << 20)) /dev/urandom >"$WORK/shared"
	head -c "${HOT_MIB}M" /dev/urandom >"$WORK/hot"
	head -c "${PRIVATE_MIB}M" /dev/urandom >"$WORK/private"
	truncate -s 256M "$WORK/base"
	"$DISCO" image create "$WORK/base" "$WORK/f.cow"
}

# cache_guests - with them as vdb and on
cache_guests()
{
	local shared="path=$WORK/shared,ro" hot="path=$WORK/hot,ro"
	runner_start a --memory 256M,node=0 --group one \
		--disk "$shared" --disk "$hot" \
		--disk "path=$WORK/private,snapshot" &&
		runner_start b --memory 256M,node=0 --group one \
			--disk "$shared" --disk "path=$WORK/private,ro" &&
		runner_start c --memory 256M,node=1 --group one --disk "$hot" &&
		runner_start d --memory 192M,node=0,huge=thp --group two \
			--disk "$shared" &&
		runner_start fio --memory 384M,node=2,huge=thp --cpus 2 \
			--disk "path=$WORK/base,cow=$WORK/f.cow" &&
		runner_ready a b c d fio
}

# sum_is NAME SECONDS DEVICE FILE - what a guest reads is what is in the file
sum_is()
{
	runner_do "$1" "$2" <<<"md5sum <$3" || return 1
	grep -q "^$(md5sum <"$4" | cut -c 1-32)" "$WORK/o" ||
		fail "$1 read something else: $(head -n 1 "$WORK/o")"
}

# Both read all of a disk at the same time: the image is read once, and is
# once in memory.
cache_one_read()
{
	local i reads shown sent=() want bytes=$((CACHE_MIB << 20))
	want=$(md5sum <"$WORK/shared" | cut -c 1-32)
	# The program itself, and its libraries, are read from the root disk.
	for i in a b; do
		runner_do $i 60 <<<'md5sum </dev/null' || return 1
	done
	shown=$(cache_figure a overlaid_blocks)
	reads=$(cache_figure agents read_bytes)
	for i in a b; do
		runner_send $i <<<'md5sum </dev/vdb'
		sent+=("$RUNNER_NR")
	done
	for i in a b; do
		runner_result $i $((CACHE_MIB * 4)) "${sent[0]}" &&
			want_line "^$want" "$WORK/o" || return 1
		sent=("${sent[@]:1}")
		echo "# $i: $(cache_figure $i hit_blocks) blocks hit," \
			"$(cache_figure $i missed_blocks) missed," \
			"$(cache_figure $i direct_blocks) direct"
	done
	# Workers publish their figures once in a turn of their loop.
	wait_figure 30 $((shown + 1001)) cache_figure a overlaid_blocks ||
		return 1
	reads=$(($(cache_figure agents read_bytes) - reads))
	echo "# $reads bytes read of an image of $bytes," \
		"$(($(cache_figure a overlaid_blocks) - shown)) pages shown"
	((reads * 100 <= bytes * 102)) || fail "$reads bytes of $bytes"
}

# Each group reads for itself, what another has already.
cache_groups()
{
	local reads bytes=$((CACHE_MIB << 20))
	reads=$(cache_figure agents read_bytes)
	# A little of it was read when it booted.
	sum_is d 60 /dev/vdb "$WORK/shared" &&
		wait_figure 30 $((reads + bytes / 10 * 9)) \
			cache_figure agents read_bytes
}

# The guest of node 1 uses what node 0 has read: its node gets copies, and it
# shows those. Nobody reads the image again.
cache_hot()
{
	local i reads remote bytes=$((HOT_MIB << 20))
	reads=$(cache_figure agents read_bytes)
	sum_is a 100 /dev/vdc "$WORK/hot" &&
		sum_is c 100 /dev/vdb "$WORK/hot" || return 1
	# What stays in its page cache is used, without a request.
	wait_figure 60 $((HOT_MIB * 256 - 256)) \
		agent_figure 1 replicated_blocks || return 1
	wait_figure 60 $((HOT_MIB * 32)) cache_figure c brought_pages || return 1
	remote=$(cache_figure c remote_blocks)
	for i in 1 2; do
		runner_do c 100 <<<'echo 3 >/proc/sys/vm/drop_caches' &&
			sum_is c 100 /dev/vdb "$WORK/hot" || return 1
	done
	remote=$(($(cache_figure c remote_blocks) - remote))
	reads=$(($(cache_figure agents read_bytes) - reads))
	echo "# $(agent_figure 1 replicated_blocks) blocks copied to node 1," \
		"$(agent_figure 0 replicated_blocks) to node 0;" \
		"$(cache_figure c brought_pages) pages brought nearer," \
		"stopped for at most" \
		"$(($(cache_figure c brought_longest_ns) / 1000)) us;" \
		"then $remote of $((bytes / 2048)) blocks from afar;" \
		"$reads bytes read of an image of $bytes"
	# A little of the root disk is read as well.
	((reads * 10 <= bytes * 11)) || fail "$reads bytes of $bytes" ||
		return 1
	((remote * 10 <= bytes / 2048)) ||
		fail "$remote blocks from afar after all"
}

# shows_enough NAME DEVICE LEAST - it shows that many blocks of the cache. If not,
# it reads once more: what the agent of a busy machine has no time for is read
# past it.
shows_enough()
{
	at_least "$3" cache_figure "$1" overlaid_blocks && return
	runner_do "$1" 30 <<<'echo 3 >/proc/sys/vm/drop_caches' &&
		sum_is "$1" 100 "$2" "$WORK/private" &&
		at_least "$3" cache_figure "$1" overlaid_blocks
}

# Nobody sees what another one writes to a page that both show.
cache_private()
{
	local i shown written
	for i in 'a /dev/vdd' 'b /dev/vdc'; do
		# Linux forgets a disk's pages when nobody has it open.
		runner_do "${i% *}" 30 <<<"sleep 1000000 <${i#* } &" ||
			return 1
		# Ever: pages of earlier disks are given back meanwhile.
		shown=$(cache_figure "${i% *}" overlaid_blocks)
		sum_is "${i% *}" 100 "${i#* }" "$WORK/private" || return 1
		shown=$((shown + PRIVATE_MIB * 125))
		until_true 60 shows_enough "${i% *}" "${i#* }" "$shown" ||
			fail "${i% *} does not show $shown blocks" || return 1
	done
	# Writes of 4 KiB, into pages that are in its page cache.
	for ((i = 1; i <= CACHE_WRITES; i++)); do
		runner_do a 100 <<-G || return 1
		yes $i | dd of=/dev/vdd bs=4k count=$((PRIVATE_MIB * 256)) conv=notrunc \
			iflag=fullblock 2>/dev/null
		G
	done
	sum_is b 100 /dev/vdc "$WORK/private" &&
		runner_do b 100 <<<'echo 3 >/proc/sys/vm/drop_caches' &&
		sum_is b 100 /dev/vdc "$WORK/private" || return 1
	written=$(yes "$CACHE_WRITES" | head -c "${PRIVATE_MIB}M" | md5sum | cut -c 1-32)
	runner_do a 100 <<<'md5sum </dev/vdd' &&
		{ grep -q "^$written" "$WORK/o" ||
			fail "a does not see what it wrote"; }
}

s_cache()
{
	start_monitor --balance=off --cache=$((CACHE_MIB + 256))M &&
		cache_images && cache_guests || return 1
	part two_guests_cause_one_read cache_one_read
	part writes_stay_private cache_private
	part groups_share_nothing cache_groups
	part hot_blocks_are_replicated cache_hot
	part fio_verifies fio_in fio /dev/vdb
	stop_monitor
}

# --- a cache that holds a fraction of what is read, again and again ----------
scenario evictions eviction_storm pmem_evicted

# evicted_on NODE... - blocks that their agents have evicted
evicted_on()
{
	local node sum=0
	for node; do
		sum=$((sum + $(agent_figure "$node" evicted_blocks)))
	done
	echo $sum
}

evictions_of_blocks()
{
	local i
	for i in 0 1 2; do
		runner_result e$i 300 "${SENT[i]}" && want_status 0 "$WORK/o" ||
			return 1
		(($(grep -c 'checksum ok' "$WORK/o") == CACHE_ROUNDS)) ||
			fail "e$i: $(tail -3 "$WORK/o")" || return 1
	done
	# Few: what a guest shows is leased until it says that it is free.
	wait_figure 30 101 evicted_on 0 1 2 || return 1
	echo "# $(evicted_on 0 1 2) blocks evicted," \
		"$(cache_figure agents leased_blocks) passed over for a lease," \
		"$(cache_figure agents refused_blocks) refused"
}

# Too little room for the image of a root that is memory: what is taken away
# comes again, and is right.
evictions_of_memory()
{
	runner_result e3 400 "${SENT[3]}" && want_status 0 "$WORK/o" || return 1
	(($(grep -c 'checksum ok' "$WORK/o") == 2)) ||
		fail "e3: $(tail -3 "$WORK/o")" || return 1
	wait_figure 30 1001 evicted_on 3 || return 1
	echo "# $(evicted_on 3) blocks evicted," \
		"$(cache_figure e3 pmem_faults) faults," \
		"$(cache_figure e3 pmem_mapped_pages) pages mapped," \
		"$(cache_figure e3 pmem_copied_pages) copied"
}

s_evictions()
{
	local i how huge SENT=()
	start_monitor --balance=off --cache=8M || return 1
	for i in 0 1 2 3; do
		how=ro huge=
		((i != 3)) || how=ro,pmem huge=,huge=thp
		ROOT_HOW=$how runner_start "e$i" --memory "192M,node=$i$huge" ||
			return 1
	done
	runner_ready e{0..3} || return 1
	for i in 0 1 2; do
		runner_send e$i <<-G
		for ((i = 0; i < $CACHE_ROUNDS; i++)); do
			/usr/lib/disco/checksum || exit
			echo 3 >/proc/sys/vm/drop_caches
		done
		G
		SENT[i]=$RUNNER_NR
	done
	runner_send e3 <<<'/usr/lib/disco/checksum && /usr/lib/disco/checksum'
	SENT[3]=$RUNNER_NR
	part eviction_storm evictions_of_blocks
	part pmem_evicted evictions_of_memory
	stop_monitor
}

# --- agents that die again and again while two guests read -------------------
scenario agents agents_killed_guest_reads_on pmem_agents_killed

s_agents()
{
	local i script='for i in 1 2 3; do
		/usr/lib/disco/checksum || exit
		echo 3 >/proc/sys/vm/drop_caches
	done'
	start_monitor --balance=off --cache=32M || return 1
	runner_start k --memory 192M,node=1 &&
		ROOT_HOW=snapshot,pmem runner_start d \
			--memory 192M,node=2,huge=thp &&
		runner_ready k d || return 1
	for i in k d; do
		runner_send $i <<<"$script"
	done
	for i in 1 2 3; do
		# They read, and are not at the end.
		wait_lines $((i - 1)) 'checksum ok' "$WORK/console-k" 100 &&
			kill_agents || return 1
	done
	part agents_killed_guest_reads_on agents_read_on k $((RUNNER_NR - 1))
	part pmem_agents_killed agents_read_on d "$RUNNER_NR"
	stop_monitor
}

agents_read_on()
{
	runner_result "$1" 300 "$2" && want_status 0 "$WORK/o" || return 1
	(($(grep -c 'checksum ok' "$WORK/o") == 3)) ||
		fail "$1: $(tail -3 "$WORK/o")"
}
