# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Test of the balancer: eight guests that were all moved to one node, half of
# them busy, are spread over the nodes, and then nothing moves any more.
# BALANCE_STOCK: stock guests (make soak), which take minutes; else tiny ones.
# BALANCE_LIMIT: seconds until they are spread; the lab is slow.
# Needs tests/lab/monitor.sh, many.sh, move.sh and tiny.sh.

BALANCE_LIMIT=${BALANCE_LIMIT:-900}
BALANCE_QUIET=20 # seconds
BUSY=(busy-{0..3})
IDLE=(idle-{0..3})

# balance_monitor PERIOD - in the background, in place of the one that runs
balance_monitor()
{
	local i
	if "$DISCO" ls >/dev/null 2>&1; then
		kill_monitor TERM || return 1
		for ((i = 0; i < 100; i++)); do
			"$DISCO" ls >/dev/null 2>&1 || break
			sleep 0.1
		done
	fi
	"$DISCO" monitor --balance="$1" --stall-ms="$MOVE_STALL_MS" 2>>"$WORK/monitor" &
	for ((i = 0; i < 200; i++)); do
		"$DISCO" ls >/dev/null 2>&1 && return 0
		sleep 0.1
	done
	fail "no monitor: $(tail -3 "$WORK/monitor")"
}

# balance_guest NAME - a guest on a node that disco chooses, which says ON; from
# then on tiny ones are what their names say, stock ones once told so
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
	timeout 2000 "$DISCO" console --no-input "$1" >"$WORK/o-$1" 2>&1 &
	wait_lines 1 '^ON' "$WORK/o-$1" 300
}

# balance_seen - "MOVES FAILED SPREAD": moves so far, of them that failed, and
# how many more busy guests the fullest node has than the emptiest
balance_seen()
{
	"$DISCO" stats --json | python3 -c 'import json, sys
s = json.load(sys.stdin)
on = [0] * 4
for vm in s["vms"]:
    if vm["name"].startswith("busy"):
        on[vm["node"]] += 1
b = s["balance"]
print(b["moves"], b["moves_failed"], max(on) - min(on))'
}

# balance_settles - spread, and no move for BALANCE_QUIET seconds
balance_settles()
{
	local moves failed spread last='' since=$SECONDS begun=$SECONDS
	while ((SECONDS - begun < BALANCE_LIMIT)); do
		read -r moves failed spread < <(balance_seen)
		((failed == 0)) || fail "$failed moves failed" || return 1
		if [[ $moves != "$last" ]] || ((spread > 1)); then
			last=$moves since=$SECONDS
		elif ((SECONDS - since >= BALANCE_QUIET)); then
			echo "# $moves moves in $((since - begun)) s," \
				"then none for $BALANCE_QUIET s"
			return 0
		fi
		sleep 1
	done
	fail "after $BALANCE_LIMIT s: $moves moves, and one node has" \
		"$spread more busy guests than another"
}

balance_guests()
{
	local i moves lines pressed=()
	balance_monitor off || return 1
	for i in "${IDLE[@]}" "${BUSY[@]}"; do
		balance_guest "$i" || return 1
	done
	for i in "${IDLE[@]}" "${BUSY[@]}"; do
		"$DISCO" move --stall-ms="$MOVE_STALL_MS" "$i" 0 \
			>"$WORK/move" 2>&1 ||
			fail "move: $(cat "$WORK/move")" || return 1
	done
	if [[ ${BALANCE_STOCK:-} ]]; then
		for i in "${BUSY[@]}"; do
			press_enter "$i" &
			pressed+=($!)
		done
		wait "${pressed[@]}"
	fi
	read -r moves _ i < <(balance_seen)
	((moves == 0 && i == 4)) || fail "not all on node 0, or $moves moves" \
		"of a balancer that is off" || return 1
	balance_monitor 2 || return 1
	balance_settles || return 1
	read -r moves _ < <(balance_seen)
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
	local ok=0
	: >"$WORK/monitor"
	balance_guests || ok=1
	"$DISCO" kill "${BUSY[@]}" "${IDLE[@]}" 2>/dev/null
	kill_monitor TERM
	return $ok
}
