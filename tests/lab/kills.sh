# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Persistent disks under SIGKILL and under fio. KILLS: how often something is
# killed at a random moment (4): all agents and a guest's worker, in turn.
# KILL_GUESTS: how many run at once (2). FIO_SECONDS: how long fio writes and
# verifies (5), in a file of four times FIO_MIB. KILL_SEED: of the moments. Needs
# cow.sh, cache.sh, features.sh, move.sh.

KILLS=${KILLS:-4}
FIO_SECONDS=${FIO_SECONDS:-5}
KILL_SEED=${KILL_SEED:-1}
KILL_GUESTS=${KILL_GUESTS:-2}

# A guest that makes a file after the other durable, says "ACK N", and checks
# what it reads of its base all the while.
start_acking()
{
	start_script "$1" --memory 192M,huge=thp --disk "path=$WORK/base,cow=$2" <<-'G'
	mkdir /tmp/m && mount /dev/vdb /tmp/m && cd /tmp/m || exit 1
	(while :; do
		[ "$(tail -n 1 from-base)" = 20000 ] || echo "WRONG base"
		echo 1 >/proc/sys/vm/drop_caches
	done) &
	echo "ACK begin"
	for ((i = 1; ; i++)); do
		seq "$i" $((i + i * 37 % 9000)) >"f$i" && sync "f$i" . &&
			echo "ACK $i"
	done
	G
}

# acked_is_there COW LOG - every file whose ACK was printed, as it was
acked_is_there()
{
	local last i
	last=$(grep -c '^ACK [0-9]' "$2")
	"$DISCO" image check "$WORK/base" "$1" >"$WORK/check.log" 2>&1 ||
		fail "image check: $(<"$WORK/check.log")" || return 1
	rm -f "$WORK/exported"
	"$DISCO" image export "$WORK/base" "$1" "$WORK/exported" \
		2>"$WORK/check.log" ||
		fail "image export: $(<"$WORK/check.log")" || return 1
	# The journal is replayed first; then nothing may be left to repair.
	e2fsck -fy "$WORK/exported" >"$WORK/check.log" 2>&1 || (($? == 1)) ||
		fail "e2fsck: $(tail -n 5 "$WORK/check.log")" || return 1
	e2fsck -fn "$WORK/exported" >"$WORK/check.log" 2>&1 ||
		fail "e2fsck again: $(tail -n 5 "$WORK/check.log")" || return 1
	rm -rf "$WORK/rdump"
	mkdir "$WORK/rdump"
	debugfs -R "rdump / $WORK/rdump" "$WORK/exported" >/dev/null 2>&1
	for ((i = 1; i <= last; i++)); do
		cmp -s "$WORK/rdump/f$i" <(seq "$i" $((i + i * 37 % 9000))) ||
			fail "f$i was acknowledged and is not there" ||
			return 1
	done
	ACKED=$((ACKED + last))
}

# up_to_ms MS - wait for a random part of it
up_to_ms()
{
	local ms=$((RANDOM % $1))
	nap "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
}

# kill_two N - all agents while guest kN goes on, then its worker
kill_two()
{
	up_to_ms 1000
	kill_agents || return 1
	up_to_ms 4000
	pkill -9 -f "^disco-vm k$1\$"
	wait_state "k$1" ended 20
}

# kill_some FIRST LAST - guests kFIRST to kLAST run at once, and are killed one
# after the other; then each disk is looked at. They have a monitor of their
# own: one whose agents die every few seconds soon starts them a minute later.
kill_some()
{
	local n
	start_monitor --balance=off || return 1
	for ((n = $1; n <= $2; n++)); do
		"$DISCO" image create "$WORK/base" "$WORK/direct/k$n.cow" &&
			start_acking "k$n" "$WORK/direct/k$n.cow" || return 1
	done
	for ((n = $1; n <= $2; n++)); do
		wait_lines 1 'ACK begin' "$WORK/console-k$n" 200 || return 1
	done
	for ((n = $1; n <= $2; n++)); do
		kill_two "$n" || return 1
	done
	stop_monitor || return 1
	for ((n = $1; n <= $2; n++)); do
		grep -q WRONG "$WORK/console-k$n" && fail "its base changed" &&
			return 1
		acked_is_there "$WORK/direct/k$n.cow" "$WORK/console-k$n" ||
			fail "kill $n" || return 1
		rm -f "$WORK/console-k$n" "$WORK/direct/k$n.cow"
	done
}

t_workers_and_agents_killed()
{
	local n last base guests=$((KILLS / 2))
	ACKED=0 RANDOM=$KILL_SEED
	# Where O_DIRECT works: as on a machine, and not as in the lab's tmpfs.
	direct_fs "$WORK/direct" || fail 'no file system' || return 1
	make_base "$WORK/direct/base" && ln -sf direct/base "$WORK/base"
	base=$(sha256sum <"$WORK/base")
	for ((n = 1; n <= guests; n += KILL_GUESTS)); do
		last=$((n + KILL_GUESTS - 1 < guests ?
			n + KILL_GUESTS - 1 : guests))
		kill_some "$n" "$last" || return 1
		echo "# $((2 * last)) of $KILLS kills, $ACKED files"
	done
	[[ $(sha256sum <"$WORK/base") == "$base" ]] ||
		fail "the base was written" || return 1
	echo "# seed $KILL_SEED: $guests times all agents killed, $guests" \
		"workers; $ACKED acknowledged files, 0 lost"
	rm "$WORK/base" && umount "$WORK/direct"
}

# Somebody else's idea of what a disk has to remember.
# fio_in NAME DEVICE - the guest writes to $WORK/f.cow through it, and ends
fio_in()
{
	runner_do "$1" $((FIO_SECONDS * 4 + 150)) <<-G || return 1
	fio --name=v --filename=$2 --rw=randwrite --bsrange=512-64k \
		--bs_unaligned=0 --blockalign=512 --direct=1 --iodepth=16 \
		--ioengine=libaio --size=$((FIO_MIB * 4))M --time_based \
		--runtime=$FIO_SECONDS --fsync=32 --verify=crc32c \
		--do_verify=1 --verify_fatal=1 --randseed=7 --minimal \
		>/tmp/fio.log 2>&1
	status=\$?
	tail -c 600 /tmp/fio.log
	echo
	echo "FIO \$status"
	exit \$status
	G
	want_line '^FIO 0' "$WORK/o" || return 1
	runner_type "$1" end
	wait_state "$1" ended 60 &&
		want_line "^$1 +ended .* 0 ok" <("$DISCO" ls) || return 1
	"$DISCO" image check "$WORK/base" "$WORK/f.cow" >"$WORK/check.log" 2>&1 ||
		fail "image check: $(<"$WORK/check.log")"
}
