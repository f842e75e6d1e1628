# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Guests that many tests share: they run scripts that come over the virtio
# console, see lab/guest/disco/runner. A guest is known by its name; its console
# is in $WORK/console-NAME.

declare -A RUNNER_IN RUNNER_PID
declare -i RUNNER_NR=0

# runner_open NAME - its console, as it begins anew, and what is typed there
runner_open()
{
	local in
	if [[ ! ${RUNNER_IN[$1]:-} ]]; then
		rm -f "$WORK/in-$1"
		mkfifo "$WORK/in-$1"
		# Both ways: no end of file until it is closed.
		exec {in}<>"$WORK/in-$1"
		RUNNER_IN[$1]=$in
	fi
	: >"$WORK/console-$1"
}

# runner_boot NAME ARG... - a guest of "disco run", with the root image
runner_boot()
{
	local name=$1
	shift
	runner_open "$name"
	memory_of "$@"
	timeout -k 5 $((900 * SCALE)) "$DISCO" run --name "$name" \
		--kernel "$KERNEL" --initrd "$INITRD" "${MEMORY_ARGS[@]}" \
		--disk "path=$ROOT_DISK,${ROOT_HOW:-ro}" --cmdline \
		"console=ttyS0 quiet ${CMDLINE:-} disco.run=runner" "$@" \
		<&"${RUNNER_IN[$name]}" >"$WORK/console-$name" \
		2>"$WORK/console-$name.err" &
	RUNNER_PID[$name]=$!
	runner_ready "$name"
}

# runner_attach NAME - to the console of one of the monitor's, for RUNNER_LIMIT seconds
# (900) at most
runner_attach()
{
	runner_open "$1"
	timeout -k 5 $((${RUNNER_LIMIT:-900} * SCALE)) "$DISCO" console "$1" \
		<&"${RUNNER_IN[$1]}" >"$WORK/console-$1" \
		2>"$WORK/console-$1.err" &
	RUNNER_PID[$1]=$!
}

# runner_start NAME ARG... - a guest of the monitor, with the root image; does
# not wait for it
runner_start()
{
	local name=$1
	shift
	start_detached "$name" "${CMDLINE:-} disco.run=runner" \
		--disk "path=$ROOT_DISK,${ROOT_HOW:-ro}" "$@" || return 1
	runner_attach "$name"
}

# runner_ready NAME... - wait for them
runner_ready()
{
	local name
	for name; do
		wait_lines 1 'RUNNER ready' "$WORK/console-$name" 120 ||
			return 1
	done
}

# runner_type NAME TEXT - to whatever reads its console
runner_type()
{
	printf '%s\n' "$2" >&"${RUNNER_IN[$1]}"
}

# runner_send NAME - the script on stdin; what it is called is in RUNNER_NR
runner_send()
{
	RUNNER_NR+=1
	{
		base64 -w 900 | sed 's/^/+/'
		echo "run $RUNNER_NR"
	} >&"${RUNNER_IN[$1]}"
}

# runner_result NAME SECONDS [NR] - wait for the end of that script; STATUS is
# its status, and what it has printed is in $WORK/o
runner_result()
{
	local console=$WORK/console-$1 nr=${3:-$RUNNER_NR}
	STATUS=-1
	: >"$WORK/o"
	wait_lines 1 "RUNNER end $nr [0-9]+" "$console" "$2" || return 1
	sed -n "/RUNNER begin $nr\r*\$/,/RUNNER end $nr /p" "$console" |
		tr -d '\r' | sed '1d' >"$WORK/o"
	STATUS=$(sed -n "s/^.*RUNNER end $nr \([0-9]*\).*/\1/p" "$WORK/o")
}

# runner_do NAME SECONDS - the script on stdin, which must succeed
runner_do()
{
	runner_send "$1" && runner_result "$1" "$2" && want_status 0 "$WORK/o"
}

# runner_end NAME [STATUS] - it powers off; of "disco run", with that status
runner_end()
{
	runner_type "$1" end
	runner_gone "$1" "${2:-0}"
}

# runner_gone NAME STATUS - it has ended, or does so
runner_gone()
{
	STATUS=0
	wait "${RUNNER_PID[$1]}" || STATUS=$?
	want_status "$2" "$WORK/console-$1"
}
