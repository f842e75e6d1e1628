# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# tests/cli/lib.sh - what the scripts of tests/cli share. The script that
# sources it sets DISCO, the program, and WORK, a directory of its own.

# seconds N - N seconds of a machine of usual speed, on this one. See
# tests/unit/support.h for DISCO_TIME_SCALE.
seconds()
{
	awk -v n="$1" -v scale="${DISCO_TIME_SCALE:-1}" 'BEGIN {
		printf "%d\n", n * (scale + 0 > 1 ? scale : 1)
	}'
}

# In seconds: what takes longer hangs.
HANG=$(seconds 30)

# until_true COMMAND... - try until it succeeds; fail when it hangs
until_true()
{
	local -i end=SECONDS+HANG

	until "$@" >/dev/null 2>&1; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}

# verdict NAME WHY - passed when there is no why
verdict()
{
	if [[ $2 ]]; then
		echo "not ok $1: $2"
	else
		echo "ok $1"
	fi
}

# refused NAME STATUS PATTERN ARG... - "disco ARG..." ends with that status and
# one line on standard error, which matches; nothing is on standard output
refused()
{
	local name=$1 status=$2 pattern=$3 got=0 lines why=''
	shift 3
	timeout "$HANG" "$DISCO" "$@" >"$WORK/out" 2>"$WORK/err" </dev/null ||
		got=$?
	lines=$(grep -c '' "$WORK/err")
	((got == status)) || why+="exit status $got, not $status; "
	((lines == 1)) || why+="$lines lines, not 1; "
	grep -qE -- "$pattern" "$WORK/err" || why+="no '$pattern'; "
	[[ ! -s $WORK/out ]] || why+="something on standard output; "
	verdict "$name" "$why${why:+$(head -3 "$WORK/err")}"
}

# fakes NAME... - a new directory of what is called in place of these programs:
# tests/cli/fake_disco.py
fakes()
{
	local name
	rm -rf "$WORK/fake"
	mkdir -p "$WORK/fake/bin"
	for name in "$@"; do
		ln -s "$PWD/tests/cli/fake_disco.py" "$WORK/fake/bin/$name"
	done
}
