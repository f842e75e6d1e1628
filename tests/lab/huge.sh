# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Stock guests with the default memory, huge=auto: most of it is in huge pages,
# and what guests of small pages share is shared as well. HUGE_MIB: what a guest
# touches (96). HUGE_SHARE: how much of its memory has to be huge then, in percent
# (50). HUGE_DISK_MIB: of the image that both read (16).
# Needs monitor.sh, runner.sh, move.sh and cache.sh.

HUGE_MIB=${HUGE_MIB:-96}
HUGE_SHARE=${HUGE_SHARE:-50}
HUGE_DISK_MIB=${HUGE_DISK_MIB:-16}

# --- ha and hb of one node, with the default; hs, the same in small pages ---------
scenario huge huge_is_most huge_kernel_is_shared huge_cache_saves huge_moves \
	huge_is_reported

# of_worker NAME FILE FIELD - the sum, in KiB, over its worker's mappings of such a
# file
of_worker()
{
	awk -v file="$2" -v field="$3:" '
		/^[0-9a-f]+-[0-9a-f]+ / { mine = index($0, file) }
		mine && $1 == field { sum += $2 }
		END { print sum + 0 }' \
		"/proc/$(pgrep -f "^disco-vm $1\$" | head -1)/smaps"
}

# ram_of NAME - KiB of its RAM file. Descriptor 7 is RAM (worker_spec.h).
ram_of()
{
	local blocks
	blocks=$(stat -L -c %b "/proc/$(pgrep -f "^disco-vm $1\$" | head -1)/fd/7")
	echo $((blocks / 2))
}

# Of what the guest has touched, and of what came with that.
huge_most()
{
	local name all huge
	for name in ha hb hs; do
		runner_do $name 100 <<-G || return 1
		head -c ${HUGE_MIB}M /dev/zero >/dev/shm/touched
		G
		echo "# $name: $(ram_of $name) KiB of RAM," \
			"$(of_worker $name disco-ram ShmemPmdMapped) KiB huge," \
			"$(stats_of $name huge.splits) splits"
	done
	for name in ha hb; do
		all=$(ram_of $name)
		huge=$(of_worker $name disco-ram ShmemPmdMapped)
		((all > HUGE_MIB << 10)) || fail "$name has $all KiB" ||
			return 1
		((huge * 100 >= all * HUGE_SHARE)) ||
			fail "$name: $huge of $all KiB are huge" || return 1
	done
	(($(of_worker hs disco-ram ShmemPmdMapped) == 0)) ||
		fail "hs, of small pages, has huge ones"
}

# Pages of the boot image that two workers map are shared, and no RAM is under
# them.
huge_kernel()
{
	local name shared least=2048
	for name in hs ha hb; do
		shared=$(of_worker $name disco-boot Shared_Clean)
		shared=$((shared + $(of_worker $name disco-boot Shared_Dirty)))
		echo "# $name: $shared KiB of the boot image shared"
		((shared >= least)) ||
			fail "$name shares $shared KiB of its kernel" ||
			return 1
		((least > 2048)) || least=$((shared * 7 / 10))
	done
}

# Both read the image: it is read once, shown to both, and takes no RAM of theirs.
# What is shown where a huge page was takes that page's memory away instead.
huge_cache()
{
	local name sent=() before=() shown=() reads grown i=0
	local bytes=$((HUGE_DISK_MIB << 20))
	for name in ha hb; do
		runner_do $name 60 <<<'md5sum </dev/null' || return 1
		before+=("$(ram_of $name)")
		shown+=("$(cache_figure $name overlaid_blocks)")
	done
	reads=$(cache_figure agents read_bytes)
	for name in ha hb; do
		runner_do $name 30 <<<'sleep 1000000 </dev/vdb &' &&
			sum_is $name $((HUGE_DISK_MIB * 4)) /dev/vdb \
				"$WORK/shared" || return 1
	done
	reads=$(($(cache_figure agents read_bytes) - reads))
	for name in ha hb; do
		# Half of its pages, at least.
		wait_figure 30 $((shown[i] + HUGE_DISK_MIB * 128)) \
			cache_figure $name overlaid_blocks || return 1
		grown=$(($(ram_of $name) - before[i]))
		echo "# $name: $grown KiB more RAM after $HUGE_DISK_MIB MiB;" \
			"$(stats_of $name huge.splits) splits"
		((grown < HUGE_DISK_MIB * 768)) ||
			fail "$name has $grown KiB more of its own" || return 1
		i=$((i + 1))
	done
	((reads * 100 <= bytes * 110)) ||
		fail "$reads bytes read of an image of $bytes"
}

# What it has touched is right on another node, and all of it is there.
huge_move()
{
	runner_do ha 100 <<-'G' || return 1
	rm /dev/shm/touched
	head -c 16M /dev/urandom >/dev/shm/a
	md5sum </dev/shm/a >/dev/shm/sum
	G
	do_move ha 1 && has_moved ha 1 || return 1
	echo "# $(cat "$WORK/move"); then" \
		"$(of_worker ha disco-ram ShmemPmdMapped) KiB huge"
	runner_do ha 100 <<-'G' || return 1
	md5sum </dev/shm/a | cmp - /dev/shm/sum
	G
	sum_is ha $((HUGE_DISK_MIB * 4)) /dev/vdb "$WORK/shared"
}

# What the statistics say is near to what the kernel says.
huge_reported()
{
	local kernel ours
	"$DISCO" stats --exact >"$WORK/o" || return 1
	kernel=$(of_worker hb disco-ram ShmemPmdMapped)
	ours=$(($(stats_of hb huge.bytes) / 1024))
	echo "# hb: $ours KiB huge by stats, $kernel by the kernel;" \
		"$(stats_of hb huge.splits huge.collapses huge.aborted)"
	((ours * 2 >= kernel && kernel * 2 >= ours)) ||
		fail "$ours KiB huge, the kernel says $kernel" || return 1
	(($(stats_of hs huge.bytes) == 0)) || fail "hs has none"
}

s_huge()
{
	local disk="path=$WORK/shared,ro"
	head -c $((HUGE_DISK_MIB << 20)) /dev/urandom >"$WORK/shared"
	start_monitor --balance=off || return 1
	runner_start ha --memory 256M,node=0 --disk "$disk" &&
		runner_start hb --memory 256M,node=0 --disk "$disk" &&
		runner_start hs --memory 256M,node=0,huge=off --disk "$disk" &&
		runner_ready ha hb hs || return 1
	part huge_is_most huge_most
	part huge_kernel_is_shared huge_kernel
	part huge_cache_saves huge_cache
	part huge_is_reported huge_reported
	part huge_moves huge_move
	stop_monitor
}

# Equal pages of guests in huge pages are merged, and none of them can tell.
t_huge_pages_are_merged()
{
	local name
	start_monitor --balance=off --merge=1 || return 1
	runner_start g0 --memory 192M,node=0,merge &&
		runner_start g1 --memory 192M,node=0,merge &&
		runner_ready g0 g1 || return 1
	for name in g0 g1; do
		runner_do $name 100 <<-'G' || return 1
		yes equal | head -c 16M >/dev/shm/a
		head -c 4M /dev/urandom >/dev/shm/b
		md5sum /dev/shm/a /dev/shm/b >/dev/shm/sums
		G
	done
	for name in g0 g1; do
		wait_figure 200 1000 cache_figure $name merged_pages || return 1
		echo "# $name: $(cache_figure $name merged_pages) pages merged," \
			"$(cache_figure $name zero_pages) of zeroes given back," \
			"stopped for at most" \
			"$(($(cache_figure $name merged_longest_ns) / 1000))" \
			"us; $(stats_of $name huge.splits) splits;" \
			"$(ram_of $name) KiB of RAM"
	done
	for name in g0 g1; do
		runner_do $name 100 <<<'md5sum -c /dev/shm/sums' || return 1
	done
	stop_monitor
}
