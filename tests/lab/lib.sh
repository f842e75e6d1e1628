# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# tests/lab/lib.sh - helpers of the tests that boot real guests. A test is a
# function t_NAME; it fails by returning non-zero, after fail() has said why.

KERNEL=build/kernels/guest/vmlinuz
INITRD=build/images/initramfs.cpio
ROOT_DISK=build/images/root.ext4
DISCO=${DISCO:-build/${VARIANT:-release}/disco}
WORK=$(mktemp -d)
GUEST_LIMIT=${GUEST_LIMIT:-120} # seconds for any one command

fail()
{
	echo "$*" >>"$WORK/why"
	return 1
}

# run_disco OUT ARG... - "disco run ARG..." with a limit; status in $STATUS
run_disco()
{
	local out=$1
	shift
	STATUS=0
	timeout -k 5 "$GUEST_LIMIT" "$DISCO" run "$@" >"$out" 2>"$out.err" \
		</dev/null || STATUS=$?
}

# boot OUT CMDLINE ARG... - one stock guest, 256 MiB, no disk unless asked for
boot()
{
	local out=$1 cmdline=$2
	shift 2
	run_disco "$out" --kernel "$KERNEL" --initrd "$INITRD" --memory 256M \
		--cmdline "console=ttyS0 quiet $cmdline" "$@"
}

# boot_script OUT ARG... - run the bash script on stdin in a guest with the
# root image; the guest prints "DISCO-RESULT STATUS"
boot_script()
{
	local out=$1 script
	shift
	script=$(base64 -w0)
	boot "$out" "disco.sh=$script" --disk "path=$ROOT_DISK,ro" "$@"
}

want_status()
{
	[[ $STATUS == "$1" ]] || fail "exit status $STATUS, not $1:" \
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

# report_fields FILE FIELD... - one line a VM
report_fields()
{
	python3 -c 'import json, sys
for vm in json.load(open(sys.argv[1]))["vms"]:
    print(*(vm[field] for field in sys.argv[2:]))' "$@"
}

# clean_up - ends what a test that failed left running
clean_up()
{
	local left
	[[ ! -e $DISCO_STATE_DIR/lock ]] || stop_monitor
	mapfile -t left < <(jobs -p)
	((${#left[@]} == 0)) || kill "${left[@]}" 2>/dev/null
	wait
}

# run_tests NAME... - TAP-like lines for t_NAME
run_tests()
{
	local name start
	for name in "$@"; do
		: >"$WORK/why"
		start=$SECONDS
		if "t_$name"; then
			echo "ok $name ($((SECONDS - start)) s)"
		else
			{
				"$DISCO" ls
				tail -n 8 "$WORK/monitor"
				tests/lab/standstill
			} >>"$WORK/why" 2>&1
			echo "not ok $name: $(tr '\n' ' ' <"$WORK/why")"
			clean_up
		fi
	done
}
