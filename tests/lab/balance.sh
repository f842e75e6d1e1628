# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Test of the balancer: eight guests that were all moved to one node, half of
# them busy, are spread over the nodes, and then nothing moves any more.
# BALANCE_STOCK: stock guests (make soak), which take minutes; else tiny ones.
# BALANCE_LIMIT: seconds until they are spread; the lab is slow.
# Needs monitor.sh, runner.sh, move.sh and tiny.sh.

BALANCE_LIMIT=${BALANCE_LIMIT:-300}
BALANCE_QUIET=10 # checks
BUSY=(busy-{0..3})
IDLE=(idle-{0..3})

no_monitor()
{
	! "$DISCO" ls >/dev/null 2>&1
}

# balance_monitor PERIOD - in the background, in place of the one that runs
balance_monitor()
{
	if ! no_monitor; then
		kill_monitor TERM || return 1
		wait "$MONITOR_PID"
		until_true 10 no_monitor || fail "it does not end" || return 1
		cat "$WORK/monitor" >>"$WORK/monitors"
	fi
	start_monitor --balance="$1" --stall-ms="$MOVE_STALL_MS"
}

# balance_guest NAME - a guest on a node that disco chooses
balance_guest()
{
	local script='echo ON; read -r _'
	if [[ ! ${BALANCE_STOCK:-} ]]; then
		"$DISCO" run -d --name "$1" --kernel "$GUESTS/busy.elf" \
			--memory 64M --cmdline "tiny ${1%-*}" >/dev/null ||
			return 1
	else
		[[ $1 == idle-* ]] || script+='; while :; do :; done'
		start_detached "$1" "disco.sh=$(base64 -w0 <<<"$script")" \
			--disk "path=$ROOT_DISK,ro" || return 1
	fi
	runner_attach "$1"
}

# balance_on NAME - it has said ON; from then on tiny ones are what their names
# say, stock ones once a key is pressed. Busy ones are paused until all guests
# are where the test begins: the lab has two CPUs for all of them.
balance_on()
{
	wait_lines 1 '^ON' "$WORK/console-$1" 100 || return 1
	[[ $1 == idle-* ]] || "$DISCO" pause "$1" || fail "pause $1"
}

# balance_seen - "CHECKS MOVES FAILED SPREAD": checks and moves so far, of the
# moves those that failed, and how many more busy guests the fullest node has
# than the emptiest
balance_seen()
{
	"$DISCO" stats --json | json_paths | awk '
	/^vms\.[0-9]+\.name busy/ { split($1, w, "."); busy[w[2]] = 1 }
	/^vms\.[0-9]+\.node / { split($1, w, "."); node[w[2]] = $2 }
	/^balance\./ { b[$1] = $2 }
	END {
		for (vm in busy)
			on[node[vm]]++
		most = least = on[0] + 0
		for (n = 1; n < 4; n++) {
			most = on[n] > most ? on[n] : most
			least = on[n] + 0 < least ? on[n] + 0 : least
		}
		print b["balance.checks"] + 0, b["balance.moves"] + 0,
			b["balance.moves_failed"] + 0, most - least
	}'
}

# balance_settles - spread, and no move for BALANCE_QUIET checks
balance_settles()
{
	local checks moves failed spread last='' since=0 begun=$SECONDS
	while ((SECONDS - begun < BALANCE_LIMIT * SCALE)); do
		read -r checks moves failed spread < <(balance_seen)
		((failed == 0)) || fail "$failed moves failed" || return 1
		if [[ $moves != "$last" ]] || ((spread > 1)); then
			last=$moves since=$checks
		elif ((checks - since >= BALANCE_QUIET)); then
			echo "# $moves moves in $((SECONDS - begun)) s, the" \
				"last $((checks - since)) checks none"
			return 0
		fi
		nap 0.5
	done
	fail "after $((SECONDS - begun)) s: $moves moves, and one node has" \
		"$spread more busy guests than another"
}

balance_guests()
{
	local i moves lines
	balance_monitor off || return 1
	for i in "${IDLE[@]}" "${BUSY[@]}"; do
		balance_guest "$i" || return 1
	done
	for i in "${BUSY[@]}" "${IDLE[@]}"; do
		balance_on "$i" || return 1
	done
	for i in "${IDLE[@]}" "${BUSY[@]}"; do
		do_move "$i" 0 || return 1
	done
	for i in "${BUSY[@]}"; do
		"$DISCO" resume "$i" || fail "resume $i" || return 1
		[[ ! ${BALANCE_STOCK:-} ]] || runner_type "$i" ''
	done
	read -r _ moves _ i < <(balance_seen)
	((moves == 0 && i == 4)) || fail "not all on node 0, or $moves moves" \
		"of a balancer that is off" || return 1
	balance_monitor "${BALANCE_PERIOD:-1}" || return 1
	balance_settles || return 1
	read -r _ moves _ < <(balance_seen)
	((moves >= 3 && moves <= 8)) ||
		fail "$moves moves for 3 that were needed" || return 1
	lines=$(grep -c 'moved from node . to node ., for balance' \
		"$WORK/monitor")
	((lines == moves)) || fail "$lines lines about $moves moves" ||
		return 1
	text_is_local
}

t_balance_spreads_busy_guests()
{
	balance_guests || return 1
	stop_monitor
}
