#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# tests/lab/lab-run.sh - lab/run and lab/auto themselves: exit status, output,
# time limit, interruption, crash, clear messages. Boots small labs, some of
# them at the same time, each part with its own lock. Prints "ok NAME", "not ok
# NAME" (with details as # lines), "skip NAME WHY".
# shellcheck disable=SC2317 # functions are called by check
set -uo pipefail

ROOT=$(cd "$(dirname "$0")/../.." && pwd)
cd "$ROOT" || exit 1
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
SCALE=${DISCO_TIME_SCALE:-$(tests/scale)}
SCALE=${SCALE%.*}
small=(--nodes 2 --cpus 2 --memory 1G)
status=0

# begin PART - the part's own place; labs of others are none of its business
begin()
{
	work=$top/$1 out=$work/out err=$work/err
	export TMPDIR=$work/tmp LAB_LOCK=$work/lock
	mkdir -p "$TMPDIR"
	MARK=$$-$1
	mark=(env "LAB_TEST_MARK=$MARK" lab/run)
}

# run COMMAND... - sets status; stdout and stderr in $out and $err
run()
{
	"$@" >"$out" 2>"$err" </dev/null
	status=$?
}

# check NAME COMMAND... - ok if COMMAND holds
check()
{
	local name=$1
	shift

	if "$@"; then
		echo "ok $name"
		return
	fi
	echo "not ok $name: $*; status $status," \
		"stderr: $(tail -n 3 "$err" | tr '\n' ' ')"
	sed 's/^/# out: /' "$out" | tail -n 20
	sed 's/^/# err: /' "$err" | tail -n 20
}

status_is()
{
	[[ $status = "$1" ]]
}

# err_is STATUS PATTERN - one line on stderr that matches, nothing on stdout
err_is()
{
	status_is "$1" && [[ ! -s $out && $(wc -l <"$err") = 1 ]] &&
		grep -qE -e "$2" "$err"
}

# said_apart - what is on stderr but for what the lab says of itself ("lab: ...;
# once more")
said_apart()
{
	grep -v '^lab: ' "$err"
}

# went_on - after a crash, and said so
went_on()
{
	status_is 0 && [[ ! -s $out && -z $(said_apart) ]] &&
		grep -q '^lab: QEMU was ended by signal 11 .*once more' "$err"
}

# no_process_left - of the labs that this part started (see mark)
no_process_left()
{
	! grep -qsz "^LAB_TEST_MARK=$MARK\$" /proc/[0-9]*/environ
}

no_lab_left()
{
	local left=("$TMPDIR"/*)

	no_process_left && [[ ! -e ${left[0]} ]]
}

# within SECONDS COMMAND... - whether it holds by then; the machine may be slow
within()
{
	local end=$((SECONDS + $1 * SCALE))

	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.1
	done
}

# qemu_runs - the lab of this part has come that far
qemu_runs()
{
	local lab=("$TMPDIR"/disco-lab.*)

	[[ -s ${lab[0]}/log ]]
}

test_messages()
{
	local program

	run lab/run --bogus 1 -- true
	check unknown-option err_is 125 'unknown option --bogus'
	run lab/run --nodes
	check option-without-value err_is 125 'option --nodes needs a value'
	run lab/run --nodes four -- true
	check bad-number err_is 125 'four: not a number'
	run lab/run --nodes 8 --cpus 4 -- true
	check too-few-cpus err_is 125 '--cpus 4: must be 8'
	run lab/run --memory 12x -- true
	check bad-memory err_is 125 '12x: not a size'
	run lab/run --memory 900T -- true
	check memory-beyond-machine err_is 125 'this machine has'
	run lab/run --dist 21 -- true
	check bad-distances err_is 125 'need 2 numbers'
	run lab/run
	check no-command err_is 125 'no command given'
	run lab/run --help
	check help status_is 0
	cp -r lab "$work/lab"
	run "$work/lab/run" -- true
	check missing-kernel err_is 125 'no lab kernel.*run: lab/kernels'
	mkdir "$work/bin"
	for program in dirname sed awk cat; do
		ln -s "$(command -v $program)" "$work/bin/"
	done
	run env PATH="$work/bin" LAB_QEMU=qemu-system-x86_64 \
		"$BASH" lab/run -- true
	check missing-qemu err_is 125 'no qemu.*run: scripts/deps lab'
	run env DISCO_LAB=1 lab/auto --nodes 2 -- sh -c 'echo in; exit 3'
	check auto-inside-the-lab status_is 3
	run env DISCO_LAB=1 lab/auto --no-tty --cpus 2 echo plain
	check auto-without-dashes grep -qx plain "$out"
}

test_limits()
{
	local pid

	run "${mark[@]}" "${small[@]}" --timeout 2 -- sleep 60
	check time-limit err_is 124 'time limit of 2 s'
	check time-limit-leaves-nothing no_lab_left
	"${mark[@]}" "${small[@]}" -- sleep 60 >"$out" 2>"$err" &
	pid=$!
	within 30 qemu_runs
	kill -TERM "$pid"
	wait "$pid"
	status=$?
	check interrupted status_is 143
	check interrupted-leaves-nothing no_lab_left
	"${mark[@]}" "${small[@]}" -- sleep 60 >"$out" 2>"$err" &
	pid=$!
	within 30 qemu_runs
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null
	check killed-leaves-no-process within 20 no_process_left
}

# QEMU crashes once before the lab is up.
test_crash()
{
	cat >"$work/crashes" <<-END
	#!/bin/sh
	[ -e "$work/crashed" ] || { : >"$work/crashed"; kill -SEGV \$\$; }
	exec $(command -v qemu-system-x86_64) "\$@"
	END
	chmod +x "$work/crashes"
	run env LAB_QEMU="$work/crashes" "${mark[@]}" "${small[@]}" -- true
	check crash-goes-on went_on
}

# shellcheck disable=SC2016 # expanded in the lab
test_lab()
{
	local probe=$work/probe.sh

	cat >"$probe" <<-'END'
	echo "args:$1:$2:$#"
	echo "where:$(pwd):$(id -u):$DISCO_LAB:$DISCO_TEST:$ASKED"
	echo "nodes:$(ls -d /sys/devices/system/node/node? | wc -l)"
	echo "far:$(cat /sys/devices/system/node/node0/distance)"
	echo "kvm:$(cat /sys/module/kvm_amd/parameters/npt):$(test -w /dev/kvm && echo y)"
	echo "time:$(date +%s)"
	echo shared >build/lab-out/probe
	echo lost >lab/probe-lost
	echo to-stderr >/dev/stderr
	echo reopened >/dev/stdout
	sleep 1000 &
	exit 7
	END
	rm -f build/lab-out/probe
	DISCO_TEST='a b' ASKED='x$y' run lab/run --nodes 4 --cpus 4 \
		--memory 2G --env ASKED --keep-log "$work/log" \
		-- sh "$probe" 'one  two' '*'
	check exit-status status_is 7
	check arguments grep -qx 'args:one  two:\*:2' "$out"
	check directory-and-environment \
		grep -qxF "where:$ROOT:0:1:a b:x\$y" "$out"
	check nodes grep -qx 'nodes:4' "$out"
	check distances grep -qx 'far:10 21 31 21' "$out"
	check nested-paging grep -qx 'kvm:Y:y' "$out"
	check stderr-apart [ "$(said_apart)" = to-stderr ]
	check stdout-clean [ "$(wc -l <"$out")" = 7 ]
	check shared-directory [ "$(cat build/lab-out/probe)" = shared ]
	check root-unchanged [ ! -e lab/probe-lost ]
	check clock within_minutes "$(sed -n 's/^time://p' "$out")"
	check kept-log grep -q 'Power' "$work/log"
	rm -f build/lab-out/probe
}

test_dead()
{
	run "${mark[@]}" "${small[@]}" -- sh -c 'sleep 1; echo c >/proc/sysrq-trigger'
	check dead-lab-status status_is 125
	check dead-lab-message grep -q "the lab's kernel died: Kernel panic" "$err"
	check dead-lab-leaves-nothing no_lab_left
}

# shellcheck disable=SC2016 # expanded in the lab
test_deaf()
{
	run "${mark[@]}" "${small[@]}" -- sh -c '
		echo -1 >/proc/sys/kernel/sched_rt_runtime_us
		exec taskset -c 1 chrt -f 99 sh -c "while :; do :; done"'
	check deaf-cpu-status status_is 125
	check deaf-cpu-message grep -q 'CPUs .*1 have run nothing for' "$err"
}

within_minutes()
{
	local now

	now=$(date +%s)
	(($1 > now - 120 * SCALE && $1 < now + 120))
}

if [[ ${DISCO_LAB:-} = 1 ]]; then
	echo "skip lab-run inside the lab already"
	exit 0
fi
begin messages
test_messages
if ! [[ -e build/kernels/lab/vmlinux ]]; then
	echo "skip lab-boots no lab kernel; run: lab/kernels"
	exit
fi
lab/initramfs >/dev/null # once, before several want it
for part in deaf lab limits crash dead; do
	(begin $part && test_$part) >"$top/$part.result" 2>&1 &
done
wait
cat "$top"/*.result
! grep -q '^not ok' "$top"/*.result
