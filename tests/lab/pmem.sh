# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with disks that are memory of the guest (virtio-pmem, DAX).
# t_pmem_from_cache needs monitor.sh, cache.sh and move.sh.

# make_dax_base FILE - as make_base, with blocks of a page, which DAX needs; of
# a length that is no multiple of anything the region is
make_dax_base()
{
	rm -rf "$WORK/tree"
	mkdir "$WORK/tree"
	seq 1 20000 >"$WORK/tree/from-base"
	mke2fs -q -F -t ext4 -b 4096 -d "$WORK/tree" "$1" 63M >/dev/null &&
		truncate -s +512 "$1"
}

t_root_on_pmem()
{
	boot "$WORK/o" disco.run=checksum --disk "path=$ROOT_DISK,ro,pmem"
	want_status 0 "$WORK/o" &&
		want_line 'DISCO-GUEST root /dev/pmem0 dax' "$WORK/o" &&
		want_line 'DISCO-GUEST checksum ok' "$WORK/o" &&
		want_line 'DISCO-RESULT checksum 0' "$WORK/o"
}

# A root that the guest may write to, and that forgets.
t_root_on_pmem_snapshot()
{
	local script
	script=$(base64 -w0 <<-'G'
	mount | grep ' / ' && head -c 4M /dev/urandom >~/noise && sync &&
		[ ! -e /dev/vda ] && md5sum ~/noise && echo wrote
	G
	)
	boot "$WORK/o" "disco.rw disco.sh=$script" \
		--disk "path=$ROOT_DISK,snapshot,pmem"
	want_status 0 "$WORK/o" &&
		want_line '/dev/pmem0 on / type ext4 .*dax=always' "$WORK/o" &&
		want_line '^wrote' "$WORK/o"
}

t_pmem_cow_persists()
{
	local before disk
	make_dax_base "$WORK/base" || return 1
	before=$(sha256sum <"$WORK/base")
	disk="path=$WORK/base,cow=$WORK/a.cow,pmem"
	rm -f "$WORK/a.cow"
	"$DISCO" image create "$WORK/base" "$WORK/a.cow" || return 1
	boot_script "$WORK/o" --disk "$disk" <<-'G'
	mkdir /tmp/m && mount -o dax=always /dev/pmem0 /tmp/m && cd /tmp/m &&
		[ "$(tail -n 1 from-base)" = 20000 ] &&
		seq 1 300000 >mine && sync && rm from-base &&
		head -c 8M /dev/urandom >big && md5sum mine big >sums &&
		dd if=/dev/vda of=direct bs=64k count=16 iflag=direct \
			conv=fsync status=none &&
		mount | grep pmem0 && cd / && umount /tmp/m && echo wrote
	G
	want_status 0 "$WORK/o" && want_line '^wrote' "$WORK/o" &&
		want_line '/dev/pmem0 on /tmp/m .*dax=always' "$WORK/o" ||
		return 1
	clean_fs "$WORK/a.cow" || return 1
	boot_script "$WORK/o" --disk "$disk" <<-'G'
	mkdir /tmp/m && mount -o dax=always /dev/pmem0 /tmp/m && cd /tmp/m &&
		[ ! -e from-base ] && md5sum -c sums &&
		head -c 1M /dev/vda | cmp - direct && rm big && cd / &&
		umount /tmp/m && echo again
	G
	want_status 0 "$WORK/o" && want_line '^again' "$WORK/o" || return 1
	clean_fs "$WORK/a.cow" || return 1
	[[ $(sha256sum <"$WORK/base") == "$before" ]] ||
		fail 'the base has changed'
}

# What was synced is there after the worker was killed: nobody flushes for it.
t_pmem_synced_survives_a_killed_worker()
{
	local script victim
	make_dax_base "$WORK/base" || return 1
	rm -f "$WORK/a.cow"
	"$DISCO" image create "$WORK/base" "$WORK/a.cow" || return 1
	script=$(base64 -w0 <<-'G'
	mkdir /tmp/m && mount -o dax=always /dev/pmem0 /tmp/m && cd /tmp/m &&
		seq 1 100000 >synced && sync && echo is-synced
	seq 1 500000 >not-synced
	sleep 100
	G
	)
	start_disco "$WORK/o" --name pk --disk "path=$ROOT_DISK,ro" \
		--disk "path=$WORK/base,cow=$WORK/a.cow,pmem" \
		--cmdline "console=ttyS0 quiet disco.sh=$script"
	wait_lines 1 '^is-synced' "$WORK/o" 90 || return 1
	victim=$(pgrep -f '^disco-vm pk$' | head -1)
	[[ $victim ]] || fail "no process disco-vm pk" || return 1
	kill -9 "$victim"
	wait "$DISCO_PID"
	"$DISCO" image check "$WORK/base" "$WORK/a.cow" >"$WORK/check.log" \
		2>&1 || fail "image check: $(<"$WORK/check.log")" || return 1
	rm -f "$WORK/exported"
	"$DISCO" image export "$WORK/base" "$WORK/a.cow" "$WORK/exported" ||
		return 1
	# Replays the journal, then nothing may be wrong.
	e2fsck -fy "$WORK/exported" >"$WORK/check.log" 2>&1 || (($? == 1)) ||
		fail "e2fsck: $(tail -n 5 "$WORK/check.log")" || return 1
	debugfs -R 'cat synced' "$WORK/exported" 2>/dev/null |
		cmp -s - <(seq 1 100000) || fail 'what was synced is not there'
}

# Three guests write to the same block of one base at the same time; each reads
# its own words a while later.
t_pmem_shared()
{
	local before script vm
	make_dax_base "$WORK/base" || return 1
	before=$(sha256sum <"$WORK/base")
	rm -f "$WORK"/[ab].cow
	"$DISCO" image create "$WORK/base" "$WORK/a.cow" &&
		"$DISCO" image create "$WORK/base" "$WORK/b.cow" || return 1
	script=$(base64 -w0 <<-'G'
	mkdir /tmp/m && mount -o dax=always /dev/pmem0 /tmp/m &&
		hostname >/tmp/m/name && sync && sleep 5 &&
		[ "$(cat /tmp/m/name)" = "$(hostname)" ] && umount /tmp/m &&
		mount -o dax=always /dev/pmem0 /tmp/m &&
		echo "mine $(cat /tmp/m/name)" && umount /tmp/m
	G
	)
	python3 - "$WORK" "$PWD/$KERNEL" "$PWD/$INITRD" "$PWD/$ROOT_DISK" \
		"$script" >"$WORK/three.json" <<-'P'
	import json, sys
	work, kernel, initrd, root, script = sys.argv[1:]
	def vm(name, **disk):
	    return {"name": name, "kernel": kernel, "initrd": initrd,
	            "cmdline": "console=ttyS0 quiet disco.name=" + name +
	                       " disco.sh=" + script,
	            "disks": [{"path": root, "ro": True},
	                      {"path": work + "/base", "pmem": True, **disk}]}
	print(json.dumps({"vms": [vm("a", cow=work + "/a.cow"),
	                          vm("b", cow=work + "/b.cow"),
	                          vm("c", snapshot=True)]}))
	P
	run_disco "$WORK/o" --config "$WORK/three.json"
	want_status 0 "$WORK/o" || return 1
	for vm in a b c; do
		want_line "^$vm\| mine $vm" "$WORK/o" || return 1
	done
	for vm in a b; do
		clean_fs "$WORK/$vm.cow" || return 1
		[[ $(debugfs -R 'cat name' "$WORK/exported" 2>/dev/null) == \
			"$vm" ]] || fail "$vm: another guest's data" || return 1
	done
	[[ $(sha256sum <"$WORK/base") == "$before" ]] ||
		fail 'the base has changed'
}

# checksums_ok NAME N - so many checksums of the root of a guest were right
checksums_ok()
{
	(($(grep -c 'checksum ok' "$WORK/console-$1") == $2)) ||
		fail "$1: $(tail -n 3 "$WORK/console-$1")"
}

# A guest with its root on a block device and two with it in memory: the image
# is read once, and is once in memory. Then one of them changes node.
t_pmem_from_cache()
{
	local image reads present i
	image=$(stat -c %s "$ROOT_DISK")
	start_monitor --balance=off --cache=300M || return 1
	start_told blk --memory 192M,node=0 || return 1
	ROOT_HOW=ro,pmem start_told ro --memory 192M,node=0 || return 1
	ROOT_HOW=snapshot,pmem start_told rw --memory 192M,node=0 || return 1
	told_begin blk ro rw || return 1
	for i in blk ro rw; do
		tell $i 200 /usr/lib/disco/checksum && checksums_ok $i 1 ||
			return 1
	done
	for i in ro rw; do
		echo "# $i: $(cache_figure $i pmem_faults) faults," \
			"$(cache_figure $i pmem_mapped_pages) pages mapped," \
			"$(cache_figure $i pmem_copied_pages) copied"
		(($(cache_figure $i pmem_mapped_pages) > 1000)) ||
			fail "$i: $(cache_figure $i pmem_mapped_pages) pages" \
				"of the cache are mapped" || return 1
	done
	reads=$(cache_figure agents read_bytes)
	present=$(cache_figure agents present_blocks)
	echo "# $reads bytes read, $present blocks present, image of $image"
	((reads * 100 <= image * 105)) ||
		fail "$reads bytes read of an image of $image" || return 1
	((present > 1000 && present * 4096 <= image + 4096)) ||
		fail "$present blocks of an image of $image" || return 1
	# To memory of another node: read there anew, or copied.
	do_move ro 1 || return 1
	tell ro 200 /usr/lib/disco/checksum && checksums_ok ro 2 || return 1
	tell rw 200 /usr/lib/disco/checksum && checksums_ok rw 2 || return 1
	stop_monitor
}

# Too little room for the image: what is taken away comes again, and is right.
t_pmem_evicted()
{
	local evicted
	start_monitor --balance=off --cache=24M || return 1
	ROOT_HOW=ro,pmem start_told e --memory 192M,node=0 || return 1
	told_begin e || return 1
	tell e 400 '/usr/lib/disco/checksum; /usr/lib/disco/checksum' &&
		checksums_ok e 2 || return 1
	evicted=$(cache_figure agents evicted_blocks)
	echo "# $evicted blocks evicted, $(cache_figure e pmem_faults) faults," \
		"$(cache_figure e pmem_mapped_pages) pages mapped," \
		"$(cache_figure e pmem_copied_pages) copied"
	((evicted > 1000)) || fail "only $evicted blocks were evicted" ||
		return 1
	stop_monitor
}

# An agent that dies, again and again, costs time.
t_pmem_agents_killed()
{
	local i
	start_monitor --balance=off --cache=64M || return 1
	ROOT_HOW=snapshot,pmem start_script d --memory 192M,node=0 <<-'G'
	for i in 1 2 3; do
		/usr/lib/disco/checksum
	done
	G
	wait_lines 1 'DISCO-GUEST userspace' "$WORK/console-d" 100 || return 1
	for i in 1 2 3; do
		sleep 2
		kill_agents || return 1
	done
	wait_state d ended 300 || return 1
	checksums_ok d 3 || return 1
	stop_monitor
}
