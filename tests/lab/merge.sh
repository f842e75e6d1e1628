# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests of the merging of equal pages with stock guests. MERGE_PAGES: how many
# two of them have to have in common (1500). MERGE_FILES: how many programs of
# the root are then read (10; make check-all: all).
# Needs monitor.sh, runner.sh, move.sh and cache.sh. Of huge pages: see huge.sh.

MERGE_PAGES=${MERGE_PAGES:-1500}
MERGE_FILES=${MERGE_FILES:-10}

# anonymous_kib NAME - written copies of its worker
anonymous_kib()
{
	awk '/^Anonymous:/ { print $2 }' \
		"/proc/$(pgrep -f "^disco-vm $1\$" | head -1)/smaps_rollup"
}

# Two guests that ask for it share what they have in common, one that does not
# shares nothing, and none can tell. One computes all the time, and then moves.
t_equal_pages_are_merged()
{
	local name sent=() sums=()
	start_monitor --balance=off --merge=1 || return 1
	start_summing sum ,merge,huge=off &&
		runner_start m0 --memory 256M,node=0,merge,huge=off &&
		runner_start m1 --memory 256M,node=0,huge=off || return 1
	begin_summing sum && runner_ready m0 m1 || return 1
	for name in sum m0; do
		wait_figure 120 "$MERGE_PAGES" \
			cache_figure "$name" merged_pages || return 1
	done
	for name in sum m0 m1; do
		echo "# $name: $(cache_figure "$name" merged_pages) pages" \
			"merged, stopped for at most" \
			"$(($(cache_figure "$name" merged_longest_ns) / 1000))" \
			"us; $(anonymous_kib "$name") KiB of its own"
	done
	(($(cache_figure m1 merged_pages) == 0)) ||
		fail "m1 did not ask for it" || return 1
	for name in m0 m1; do
		runner_send $name <<-G
		find /usr/bin -type f | sort | head -n $MERGE_FILES |
			xargs md5sum | md5sum
		G
		sent+=("$RUNNER_NR")
	done
	runner_result m0 200 "${sent[0]}" && sums+=("$(head -n 1 "$WORK/o")") &&
		runner_result m1 200 "${sent[1]}" &&
		sums+=("$(head -n 1 "$WORK/o")") || return 1
	[[ ${sums[0]} =~ ^[0-9a-f]{32}\ && ${sums[0]} == "${sums[1]}" ]] ||
		fail "m0 and m1 read different files: ${sums[*]}" || return 1
	do_move sum 1 && has_moved sum 1 || return 1
	end_summing sum || return 1
	runner_do m0 100 <<<'md5sum </usr/bin/bash' || return 1
	stop_monitor
}
