# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# tests/lab/lib.sh - helpers of the tests that boot real guests. A test is a
# function t_NAME; it fails by returning non-zero, after fail() has said why.
#
# Tests that share guests are one scenario: a function s_NAME, announced by
# scenario(), that calls part() for each of them. A test that no scenario has is
# a scenario by itself.
#
# Every scenario runs in a shell of its own, with WORK and DISCO_STATE_DIR of
# its own; LAB_JOBS of them run at the same time. Nothing here waits for a fixed
# time: what is waited for is polled, and limits, which only end a hang, are
# multiplied by SCALE.

KERNEL=build/kernels/guest/vmlinuz
INITRD=build/images/initramfs.cpio
ROOT_DISK=build/images/root.ext4
DISCO=${DISCO:-build/${VARIANT:-release}/disco}
LOGS=build/lab-out/check-logs
WORK=$(mktemp -d)
# Of guests whose memory is not what is tested. Of small pages each costs an exit
# (a nested page fault) when it is touched first, and an exit costs the lab's QEMU
# all that it knows about addresses: a guest boots in twice the time. Tests of
# sharing, merging and placement of single pages have huge=off.
MEMORY=256M,huge=thp
GUEST_LIMIT=${GUEST_LIMIT:-120} # seconds for any one command
LAB_JOBS=${LAB_JOBS:-2}
SCALE=1 # see lab_scale
FAILED=0 # whether a test of this scenario has
declare -A PARTS REPORTED
exec {NEVER}<> <(:)

# scenario NAME TEST... - which tests one has
scenario()
{
	local name=$1
	shift
	PARTS[$name]=$*
}

# lab_scale - sets SCALE: how slow the lab is now, and as much again for each
# scenario that runs at the same time
lab_scale()
{
	SCALE=$(($(tests/scale lab) * LAB_JOBS))
	export DISCO_TIME_SCALE=$SCALE
}

fail()
{
	echo "$*" >>"$WORK/why"
	return 1
}

# nap SECONDS - without a process
nap()
{
	read -r -t "$1" -u "$NEVER" _
	return 0
}

# until_true SECONDS COMMAND... - whether it holds within that time, scaled.
# After a look it waits for three times as long as the look took: processes are
# slow to start in the lab, and take the CPUs from the guests.
until_true()
{
	local end=$((SECONDS + $1 * SCALE)) us pause
	shift
	while :; do
		us=${EPOCHREALTIME/[.,]/}
		"$@" && return
		((SECONDS < end)) || return 1
		us=$(((${EPOCHREALTIME/[.,]/} - us) * 3))
		us=$((us < 100000 ? 100000 : us > 3000000 ? 3000000 : us))
		printf -v pause '%d.%06d' $((us / 1000000)) $((us % 1000000))
		nap "$pause"
	done
}

# run_disco OUT ARG... - "disco run ARG..." with a limit; status in $STATUS
run_disco()
{
	local out=$1
	shift
	STATUS=0
	timeout -k 5 $((GUEST_LIMIT * SCALE)) "$DISCO" run "$@" >"$out" \
		2>"$out.err" </dev/null || STATUS=$?
}

# memory_of ARG... - sets MEMORY_ARGS to the option, unless it is among these
memory_of()
{
	MEMORY_ARGS=()
	[[ " $* " == *' --memory '* ]] || MEMORY_ARGS=(--memory "$MEMORY")
}

# boot OUT CMDLINE ARG... - one stock guest, no disk unless asked for
boot()
{
	local out=$1 cmdline=$2
	shift 2
	memory_of "$@"
	run_disco "$out" --kernel "$KERNEL" --initrd "$INITRD" \
		--cmdline "console=ttyS0 quiet $cmdline" "${MEMORY_ARGS[@]}" "$@"
}

# has_ended PID - whether or not it was waited for
has_ended()
{
	! grep -q '^State:[[:space:]]*[^ZX]' "/proc/$1/status" 2>/dev/null
}

# insist PID - ask "disco run" to end until it has: a guest without a driver for
# its power button does nothing about the first request, the second one ends it.
# A third one, while it ends, would kill it before it has its exit status.
insist()
{
	kill -TERM "$1" 2>/dev/null
	nap 1.5
	until has_ended "$1"; do
		kill -TERM "$1" 2>/dev/null
		until_true 20 has_ended "$1"
	done
}

# want_status STATUS OUT - of the command before; else what its guests' kernels
# have complained of, and what it has said at last
want_status()
{
	[[ $STATUS == "$1" ]] || fail "exit status $STATUS, not $1:" \
		"$(grep -ahE 'Kernel panic|BUG:|Oops|RIP: ' "$2" | head -n 6)" \
		"$(tail -n 5 "$2" "$2.err" 2>/dev/null)"
}

want_line()
{
	grep -qE -- "$1" "$2" ||
		fail "no line like '$1' in: $(tail -n 8 "$2")"
}

# one line on stderr, and not more
want_one_line()
{
	local n
	n=$(wc -l <"$1.err")
	((n == 1)) || fail "$n lines on stderr, not 1: $(head -5 "$1.err")"
}

# has_lines COUNT PATTERN FILE
has_lines()
{
	(($(grep -cE -- "$2" "$3" 2>/dev/null) >= $1))
}

# follow_lines COUNT PATTERN FILE SECONDS - wait for them as the file grows,
# without a process for each look
follow_lines()
{
	local fd pid status=0
	exec {fd}< <(exec tail -s 0.2 -n +1 -F "$3" 2>/dev/null)
	pid=$!
	# To a file: grep would end at the first line if nobody could read it.
	timeout "$4" grep -E -m "$1" -e "$2" <&"$fd" >"$WORK/followed" ||
		status=$?
	exec {fd}<&-
	kill "$pid" 2>/dev/null
	return $status
}

# wait_text PATTERN FILE SECONDS - also in a line that has not ended
wait_text()
{
	until_true "$3" grep -qaE -e "$1" "$2" ||
		fail "no '$1' in $(($3 * SCALE)) s: $(tail -n 3 "$2")"
}

# wait_lines COUNT PATTERN FILE SECONDS - lines that have ended
wait_lines()
{
	has_lines "$1" "$2" "$3" ||
		follow_lines "$1" "$2" "$3" $(($4 * SCALE)) ||
		fail "no $1 lines '$2' in $(($4 * SCALE)) s:" \
			"$(tail -n 3 "$3")"
}

# json_paths - "PATH VALUE" for every value of the JSON on stdin, which has a
# line for each, as disco's has: "vms.0.cache.hit_blocks 17"
json_paths()
{
	awk '{
		gsub(/^ +|,$/, "")
		if (/^[]}]/) {
			depth--
			next
		}
		key = count[depth]++
		if (match($0, /^"[^"]*": /)) {
			key = substr($0, 2, RLENGTH - 4)
			$0 = substr($0, RLENGTH + 1)
		}
		path = depth > 1 ? at[depth] "." key : key
		if ($0 == "{" || $0 == "[") {
			at[++depth] = path
			count[depth] = 0
		} else if (!/^[[{][]}]$/) {
			gsub(/^"|"$/, "")
			print path, $0
		}
	}'
}

# fields LIST FIELD... - of the JSON on stdin: a line for each member of LIST
fields()
{
	local list=$1
	shift
	json_paths | awk -v list="$list." -v names="$*" '
	index($1, list) == 1 {
		split(substr($1, length(list) + 1), word, ".")
		path = substr($1, length(list) + length(word[1]) + 2)
		value[word[1], path] = substr($0, length($1) + 2)
		if (word[1] + 1 > members)
			members = word[1] + 1
	}
	END {
		nr = split(names, name, " ")
		for (i = 0; i < members; i++)
			for (j = 1; j <= nr; j++)
				printf "%s%s", value[i, name[j]], j < nr ? " " : "\n"
	}'
}

# report_fields FILE FIELD... - one line a VM
report_fields()
{
	local file=$1
	shift
	fields vms "$@" <"$file"
}

# clean_up - ends what a test that failed left running
clean_up()
{
	local left
	[[ ! -e $DISCO_STATE_DIR/lock ]] || stop_monitor 2>/dev/null
	mapfile -t left < <(jobs -p)
	((${#left[@]} == 0)) || kill "${left[@]}" 2>/dev/null
	wait
}

# keep_logs NAME - what the scenario's processes have said
keep_logs()
{
	local dir=$LOGS/$1
	{
		"$DISCO" ls
		tests/lab/standstill
	} >"$WORK/standstill" 2>&1
	rm -rf "$dir" && mkdir -p "$dir" || return
	find "$WORK" -maxdepth 1 -type f -size -256k -exec cp {} "$dir" \;
	echo "# $1: logs are in $dir"
}

# report NAME STATUS SECONDS - the line of a test
report()
{
	REPORTED[$1]=1
	if (($2 == 0)); then
		echo "ok $1 ($3 s)"
		return
	fi
	FAILED=1
	[[ $(<"$WORK/why") == 'not reached' ]] ||
		tail -n 8 "$WORK/monitor" >>"$WORK/why" 2>/dev/null
	echo "not ok $1: $(tr '\n' ' ' <"$WORK/why")"
	: >"$WORK/why"
	return 1
}

# part NAME COMMAND... - one test of a scenario
part()
{
	local name=$1 start=$SECONDS status=0
	shift
	: >"$WORK/why"
	"$@" || status=$?
	report "$name" $status $((SECONDS - start))
}

# skip_scenario NAME WHY - none of its tests is run, and none has failed
skip_scenario()
{
	local part
	echo "# SKIP $1: $2"
	for part in ${PARTS[$1]:-}; do
		REPORTED[$part]=1
	done
}

# uplink_missing NAME - is there no program for uplinks? Then NAME is not run.
uplink_missing()
{
	[[ ! -x ${DISCO%/*}/disco-uplink ]] &&
		skip_scenario "$1" 'disco-uplink was not built (libslirp)'
}

# run_scenario NAME - here; parts that it has not come to have failed
run_scenario()
{
	local name=$1 part begun=$SECONDS
	: >"$WORK/why"
	if [[ ! ${PARTS[$1]:-} ]]; then
		part "$name" "t_$name"
	else
		"s_$name" || FAILED=1
		for part in ${PARTS[$name]}; do
			[[ ! ${REPORTED[$part]:-} ]] || continue
			[[ -s $WORK/why ]] || echo 'not reached' >"$WORK/why"
			report "$part" 1 0
		done
	fi
	if ((FAILED)); then
		keep_logs "$name"
		clean_up
	fi
	echo "# done $name ($((SECONDS - begun)) s)"
}

# run_whole NAME - an unset variable, for example, ends the shell that finds it
run_whole()
{
	(run_scenario "$1") || echo "not ok $1: its shell has ended"
}

# start_scenario NAME - in a shell of its own, its output in one piece, unless
# it is the only one
start_scenario()
{
	(
		WORK=$(mktemp -d "$TOP/$1.XXXX")
		export DISCO_STATE_DIR=$WORK/state
		if ((ONLY)); then
			run_whole "$1" 2>&1 </dev/null
		else
			run_whole "$1" >"$TOP/$1.out" 2>&1 </dev/null
			flock "$TOP" cat "$TOP/$1.out"
		fi
		rm -rf "$WORK"
	) &
}

# run_scenarios NAME...
run_scenarios()
{
	local name running=0 TOP=$WORK ONLY=$(($# == 1))
	rm -rf "$LOGS"
	lab_scale
	echo "# $LAB_JOBS scenarios at a time; limits are $SCALE times as long"
	for name; do
		if ((running == LAB_JOBS)); then
			wait -n
			running=$((running - 1))
		fi
		start_scenario "$name"
		running=$((running + 1))
	done
	wait
}
