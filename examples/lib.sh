# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# examples/lib.sh - what the scripts of examples/ share. Source it from the top of
# the tree; it sets DISCO, WORK and FACTOR, and takes the cluster down at the end.
#
# A script prints what its cluster computes, and as its last line
#
#	RESULT NAME: TEXT
#
# Exit status: 0 the result was checked and is right.
set -euo pipefail

EXAMPLE=$(basename "$(dirname "$0")")
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DISCO=${DISCO:-$TOP/build/${VARIANT:-release}/disco}
IMAGE=$TOP/build/examples/root.ext4
KERNEL=$TOP/build/kernels/guest/vmlinuz
INITRD=$TOP/build/images/initramfs.cpio
# How much slower than real hardware: an emulated machine takes its time.
FACTOR=${EXAMPLE_FACTOR:-$([[ ${DISCO_LAB:-} = 1 ]] && echo 20 || echo 1)}
WORK=$(mktemp -d)
export DISCO_STATE_DIR=${DISCO_STATE_DIR:-$WORK/state}

die()
{
	echo "$EXAMPLE: $*" >&2
	exit 1
}

# clean_up - the cluster, and a monitor that was started for it
clean_up()
{
	local fd

	"$DISCO" down --timeout 30 "$WORK/cluster.json" 2>/dev/null || true
	for fd in /proc/[0-9]*/fd/*; do
		if [[ $fd -ef $WORK/state/lock ]]; then
			fd=${fd#/proc/}
			kill "${fd%%/*}"
			break
		fi
	done
	rm -rf "$WORK"
}
trap clean_up EXIT

# up - the cluster of this example: its file, with the paths of this tree, and
# deadlines as this machine needs them
up()
{
	local file

	for file in "$IMAGE" "$KERNEL" "$INITRD"; do
		[[ -s $file ]] || die "no $file; run: make images-examples"
	done
	sed -e "s|@KERNEL@|$KERNEL|; s|@INITRD@|$INITRD|; s|@IMAGE@|$IMAGE|" \
		-e "s|@DEADLINE@|$((60 * FACTOR))|" \
		"$TOP/examples/$EXAMPLE/cluster.json" >"$WORK/cluster.json"
	"$DISCO" up "$WORK/cluster.json"
}

# in_all ROLE COMMAND... - in all VMs of a role at once
in_all()
{
	local role=$1
	shift
	"$DISCO" exec "$EXAMPLE/$role" -- "$@" </dev/null
}

# in_vm ROLE COMMAND... - in the VM of that name
in_vm()
{
	local vm=$1
	shift
	"$DISCO" exec "$EXAMPLE-$vm" -- "$@" </dev/null
}

# hinted WHAT COMMAND... - whether the command succeeds, which gives hints: they are
# advice, and an example is right without them
hinted()
{
	local what=$1
	shift
	if "$@"; then
		echo "$EXAMPLE: hinted: $what"
	else
		echo "$EXAMPLE: not hinted: $what"
	fi
}

# now_ms - by the clock of this machine
now_ms()
{
	local us=${EPOCHREALTIME/[.,]/}
	echo $((us / 1000))
}

# result TEXT - the last line
result()
{
	echo "RESULT $EXAMPLE: $*"
}
