# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Copy-on-write disks: what tests look at from outside, and three guests that
# share two bases.
# Needs pmem.sh.

# make_base FILE - a small ext4 with something in it
make_base()
{
	rm -rf "$WORK/tree"
	mkdir "$WORK/tree"
	seq 1 20000 >"$WORK/tree/from-base"
	mke2fs -q -F -t ext4 -d "$WORK/tree" "$1" 64M >/dev/null
}

# export_of COW - over the base beside it, as $WORK/exported
export_of()
{
	local base=${1%/*}/base
	rm -f "$WORK/exported"
	"$DISCO" image check "$base" "$1" >"$WORK/check.log" 2>&1 ||
		fail "image check: $(<"$WORK/check.log")" || return 1
	"$DISCO" image export "$base" "$1" "$WORK/exported" \
		2>"$WORK/check.log" ||
		fail "image export: $(<"$WORK/check.log")"
}

# clean_fs COW - the guest's file system, exported, is as it should be
clean_fs()
{
	export_of "$1" || return 1
	e2fsck -fn "$WORK/exported" >"$WORK/check.log" 2>&1 ||
		fail "e2fsck: $(tail -n 5 "$WORK/check.log")"
}

# synced_is_there COW - in the file system of a guest that came to a sudden end
synced_is_there()
{
	export_of "$1" || return 1
	# Replays the journal, then nothing may be wrong.
	e2fsck -fy "$WORK/exported" >"$WORK/check.log" 2>&1 || (($? == 1)) ||
		fail "e2fsck: $(tail -n 5 "$WORK/check.log")" || return 1
	debugfs -R 'cat synced' "$WORK/exported" 2>/dev/null |
		cmp -s - <(seq 1 100000) || fail 'what was synced is not there'
}

# direct_fs DIR - a file system that can be read with O_DIRECT: the lab's own
# files are in a tmpfs, which cannot
direct_fs()
{
	modprobe -qa loop ext4 ||
		modprobe -qa -d build/kernels/lab/modules loop ext4
	truncate -s 512M "$WORK/fs" && mke2fs -q -F -t ext4 "$WORK/fs" &&
		mkdir -p "$1" && mount -o loop,discard "$WORK/fs" "$1"
}

# cached_mib FILE - what the kernel has of it in its cache
cached_mib()
{
	echo $(($(fincore --bytes --noheadings --output RES "$1") >> 20))
}

# row_disk DIR - base and a.cow there: half of the disk, every other 64 KiB, is
# in its COW file. The sum of the disk is in ROW_SUM.
row_disk()
{
	direct_fs "$1" || fail 'no file system with O_DIRECT' || return 1
	seq 1 4500000 | head -c 32M >"$1/base"
	"$DISCO" image create "$1/base" "$1/a.cow" &&
		"${DISCO%/*}/bench/cow_io" "$1/base" "$1/a.cow" write 256 \
			65536 131072 0 8 0 >/dev/null &&
		"$DISCO" image export "$1/base" "$1/a.cow" "$1/want" ||
		{
			umount "$1"
			fail 'no disk'
			return 1
		}
	ROW_SUM=$(md5sum <"$1/want")
	rm "$1/want"
	sync && echo 3 >/proc/sys/vm/drop_caches
}

# What a guest reads from front to back goes past the host's cache, and is
# right; what it has written is read from there.
row_is_right()
{
	local cached
	cached=$(cached_mib "$WORK/direct/base"),$(cached_mib \
		"$WORK/direct/a.cow")
	want_line "^$ROW_SUM" "$WORK/o" && want_line '^same' "$WORK/o" ||
		return 1
	echo "# cached afterwards, of 16 MiB each: $cached MiB"
	((${cached%,*} < 12 && ${cached#*,} < 12)) ||
		fail "the host has $cached MiB of 16 each in its cache"
}

# --- three guests: a block device and a disk that is memory, each of one base
scenario shares json_config_two_guests two_guests_share_a_base pmem_shared

# shares_script - of all three; each writes to the same blocks of the bases at
# the same time, and reads its own words a while later
shares_script()
{
	base64 -w0 <<-'G'
	mkdir /tmp/m /tmp/p && mount /dev/vdb /tmp/m &&
		mount -o dax=always /dev/pmem0 /tmp/p &&
		{ cat /sys/block/vdb/serial; echo; } >/tmp/m/name &&
		hostname >/tmp/p/name && sync &&
		head -c 4M /dev/urandom >/tmp/m/noise && cat /tmp/m/name &&
		umount /tmp/m &&
		[ "$(cat /tmp/p/name)" = "$(hostname)" ] && umount /tmp/p &&
		mount -o dax=always /dev/pmem0 /tmp/p &&
		echo "mine $(cat /tmp/p/name)" && umount /tmp/p
	G
}

# shares_vm NAME DISK DAX [MORE] - one of them, as JSON
shares_vm()
{
	cat <<-J
	{"name": "$1", "kernel": "$PWD/$KERNEL", "initrd": "$PWD/$INITRD",
	 "cmdline": "console=ttyS0 quiet disco.name=$1 disco.sh=$SCRIPT",
	 "disks": [{"path": "$PWD/$ROOT_DISK", "ro": true},
	  {"path": "$WORK/base", "serial": "disk-$1", $2},
	  {"path": "$WORK/dax/base", "pmem": true, $3}]${4:+, $4}}
	J
}

# written_apart BASE SUM WORD - what a and b have is their own, and the base is
# as it was
written_apart()
{
	local vm
	for vm in a b; do
		clean_fs "${1%/base}/$vm.cow" || return 1
		[[ $(debugfs -R 'cat name' "$WORK/exported" 2>/dev/null) == \
			"$3$vm" ]] || fail "$vm: another guest's data" ||
			return 1
	done
	[[ $(sha256sum <"$1") == "$2" ]] || fail 'the base has changed'
}

shares_blk()
{
	local vm
	for vm in a b c; do
		want_line "^$vm\| disk-$vm" "$WORK/o" || return 1
	done
	written_apart "$WORK/base" "$BASE_SUM" disk-
}

shares_dax()
{
	local vm
	for vm in a b c; do
		want_line "^$vm\| mine $vm" "$WORK/o" || return 1
	done
	written_apart "$WORK/dax/base" "$DAX_SUM" ''
}

shares_config()
{
	[[ $(report_fields "$WORK/r.json" name node | head -1) == 'a 2' ]] ||
		fail "VM a is not on node 2" || return 1
	want_line '^b\| .*DISCO-GUEST userspace' "$WORK/o"
}

s_shares()
{
	local at
	mkdir "$WORK/dax"
	make_base "$WORK/base" && make_dax_base "$WORK/dax/base" || return 1
	BASE_SUM=$(sha256sum <"$WORK/base")
	DAX_SUM=$(sha256sum <"$WORK/dax/base")
	for at in a b dax/a dax/b; do
		"$DISCO" image create "$WORK/$(dirname $at)/base" \
			"$WORK/$at.cow" || return 1
	done
	SCRIPT=$(shares_script)
	{
		echo '{"vms": ['
		shares_vm a '"cow": "'"$WORK/a.cow"'"' \
			'"cow": "'"$WORK/dax/a.cow"'"' \
			'"memory": "192M", "node": 2, "strict": true'
		echo ,
		shares_vm b '"cow": "'"$WORK/b.cow"'"' \
			'"cow": "'"$WORK/dax/b.cow"'"' '"memory": "256M", "huge": "thp", "cpus": 2'
		echo ,
		shares_vm c '"snapshot": true' '"snapshot": true'
		echo ']}'
	} >"$WORK/three.json"
	run_disco "$WORK/o" --config "$WORK/three.json" --report "$WORK/r.json"
	want_status 0 "$WORK/o" || return 1
	part json_config_two_guests shares_config
	part two_guests_share_a_base shares_blk
	part pmem_shared shares_dax
}
