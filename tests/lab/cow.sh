# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with copy-on-write disks: what survives, what is shared, what is not.

# make_base FILE - a small ext4 with something in it
make_base()
{
	rm -rf "$WORK/tree"
	mkdir "$WORK/tree"
	seq 1 20000 >"$WORK/tree/from-base"
	mke2fs -q -F -t ext4 -d "$WORK/tree" "$1" 64M >/dev/null
}

# clean_fs COW - the guest's file system, exported, is as it should be
clean_fs()
{
	rm -f "$WORK/exported"
	"$DISCO" image check "$WORK/base" "$1" >"$WORK/check.log" 2>&1 ||
		fail "image check: $(<"$WORK/check.log")" || return 1
	"$DISCO" image export "$WORK/base" "$1" "$WORK/exported" \
		2>"$WORK/check.log" ||
		fail "image export: $(<"$WORK/check.log")" || return 1
	e2fsck -fn "$WORK/exported" >"$WORK/check.log" 2>&1 ||
		fail "e2fsck: $(tail -n 5 "$WORK/check.log")"
}

t_cow_disk_survives_a_restart()
{
	local before disk
	make_base "$WORK/base"
	before=$(sha256sum <"$WORK/base")
	disk="path=$WORK/base,cow=$WORK/a.cow"
	rm -f "$WORK/a.cow"
	"$DISCO" image create "$WORK/base" "$WORK/a.cow" || return 1
	boot_script "$WORK/o" --disk "$disk" <<-'G'
	mkdir /tmp/m && mount /dev/vdb /tmp/m && cd /tmp/m &&
		[ "$(tail -n 1 from-base)" = 20000 ] &&
		seq 1 300000 >mine && sync && rm from-base &&
		head -c 8M /dev/urandom >big && md5sum mine big >sums &&
		cd / && umount /tmp/m && echo wrote
	cat /sys/block/vdb/queue/discard_max_bytes
	G
	want_status 0 "$WORK/o" && want_line '^wrote' "$WORK/o" &&
		want_line '^1073741824' "$WORK/o" || return 1
	clean_fs "$WORK/a.cow" || return 1
	boot_script "$WORK/o" --disk "$disk" <<-'G'
	mkdir /tmp/m && mount /dev/vdb /tmp/m && cd /tmp/m &&
		[ ! -e from-base ] && md5sum -c sums && rm big && sync &&
		fstrim -v /tmp/m && cd / && umount /tmp/m && echo again
	G
	want_status 0 "$WORK/o" && want_line '^again' "$WORK/o" || return 1
	clean_fs "$WORK/a.cow" || return 1
	[[ $(sha256sum <"$WORK/base") == "$before" ]] ||
		fail 'the base has changed'
}

# A guest that panics has flushed nothing after its last sync.
t_cow_disk_of_a_guest_that_crashes()
{
	make_base "$WORK/base"
	rm -f "$WORK/a.cow"
	"$DISCO" image create "$WORK/base" "$WORK/a.cow" || return 1
	boot_script "$WORK/o" --disk "path=$WORK/base,cow=$WORK/a.cow" <<-'G'
	mkdir /tmp/m && mount /dev/vdb /tmp/m && cd /tmp/m &&
		seq 1 100000 >synced && sync && echo synced
	seq 1 500000 >not-synced &
	sleep 0.2
	echo c >/proc/sysrq-trigger
	G
	want_status 21 "$WORK/o" && want_line '^synced' "$WORK/o" || return 1
	rm -f "$WORK/exported"
	"$DISCO" image export "$WORK/base" "$WORK/a.cow" "$WORK/exported" ||
		return 1
	# Replays the journal, then nothing may be wrong.
	e2fsck -fy "$WORK/exported" >"$WORK/check.log" 2>&1 || (($? == 1)) ||
		fail "e2fsck: $(tail -n 5 "$WORK/check.log")" || return 1
	debugfs -R 'cat synced' "$WORK/exported" 2>/dev/null |
		cmp -s - <(seq 1 100000) || fail 'what was synced is not there'
}

t_two_guests_share_a_base()
{
	local before script vm
	make_base "$WORK/base"
	before=$(sha256sum <"$WORK/base")
	rm -f "$WORK"/[abc].cow
	"$DISCO" image create "$WORK/base" "$WORK/a.cow" &&
		"$DISCO" image create "$WORK/base" "$WORK/b.cow" || return 1
	script=$(base64 -w0 <<-'G'
	mkdir /tmp/m && mount /dev/vdb /tmp/m &&
		{ cat /sys/block/vdb/serial; echo; } >/tmp/m/name &&
		cat /tmp/m/name && head -c 4M /dev/urandom >/tmp/m/noise &&
		umount /tmp/m
	G
	)
	python3 - "$WORK" "$PWD/$KERNEL" "$PWD/$INITRD" "$PWD/$ROOT_DISK" \
		"$script" >"$WORK/two.json" <<-'P'
	import json, sys
	work, kernel, initrd, root, script = sys.argv[1:]
	def vm(name, **disk):
	    return {"name": name, "kernel": kernel, "initrd": initrd,
	            "cmdline": "console=ttyS0 quiet disco.sh=" + script,
	            "disks": [{"path": root, "ro": True},
	                      {"path": work + "/base", "serial": "disk-" + name,
	                       **disk}]}
	print(json.dumps({"vms": [vm("a", cow=work + "/a.cow"),
	                          vm("b", cow=work + "/b.cow"),
	                          vm("c", snapshot=True)]}))
	P
	run_disco "$WORK/o" --config "$WORK/two.json"
	want_status 0 "$WORK/o" || return 1
	for vm in a b c; do
		want_line "^$vm\| disk-$vm" "$WORK/o" || return 1
	done
	for vm in a b; do
		clean_fs "$WORK/$vm.cow" || return 1
		[[ $(debugfs -R 'cat name' "$WORK/exported" 2>/dev/null) == \
			"disk-$vm" ]] || fail "$vm: another guest's data" ||
			return 1
	done
	[[ $(sha256sum <"$WORK/base") == "$before" ]] ||
		fail 'the base has changed'
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

# Half of the disk, every other 64 KiB, is in its COW file: what a guest reads
# from front to back goes past the host's cache, and is right; what it has
# written is read from there.
t_cow_disk_read_in_a_row()
{
	local dir=$WORK/direct want cached
	direct_fs "$dir" || fail 'no file system with O_DIRECT' || return 1
	seq 1 4500000 | head -c 32M >"$dir/base"
	"$DISCO" image create "$dir/base" "$dir/a.cow" &&
		"${DISCO%/*}/bench/cow_io" "$dir/base" "$dir/a.cow" write 256 \
			65536 131072 0 8 0 >/dev/null &&
		"$DISCO" image export "$dir/base" "$dir/a.cow" "$dir/want" ||
		{
			umount "$dir"
			fail 'no disk'
			return 1
		}
	want=$(md5sum <"$dir/want")
	rm "$dir/want"
	sync && echo 3 >/proc/sys/vm/drop_caches
	boot_script "$WORK/o" --disk "path=$dir/base,cow=$dir/a.cow" <<-'G'
	md5sum </dev/vdb
	head -c 4M /dev/urandom >/tmp/new
	dd if=/tmp/new of=/dev/vdb bs=64k seek=77 conv=notrunc,fsync 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	dd if=/dev/vdb bs=64k skip=45 count=96 2>/dev/null |
		tail -c 4M | cmp - /tmp/new && echo same
	G
	cached=$(cached_mib "$dir/base"),$(cached_mib "$dir/a.cow")
	umount "$dir"
	want_status 0 "$WORK/o" && want_line "^$want" "$WORK/o" &&
		want_line '^same' "$WORK/o" || return 1
	echo "# cached afterwards, of 16 MiB each: $cached MiB"
	((${cached%,*} < 12 && ${cached#*,} < 12)) ||
		fail "the host has $cached MiB of 16 each in its cache"
}
