# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# What one stock guest of "disco run" has, tested by scripts in it: CPUs,
# memory, consoles, disks of all kinds; and what a second one finds on the disks
# that the first has written.
# QUEUE_MIB, HVC_LINES, SERIAL_LINES, FIO_MIB: sizes; larger in make check-all.
# Needs runner.sh and cow.sh.

QUEUE_MIB=${QUEUE_MIB:-8}
HVC_LINES=${HVC_LINES:-4000}
SERIAL_LINES=${SERIAL_LINES:-1000}
FIO_MIB=${FIO_MIB:-8}

scenario features checksum_of_root_disk smp_guest memory_above_4g rng \
	many_queues one_queue_when_asked disk_rate_limit disk_byte_limit \
	disk_read_only disk_fio_verify console_hvc0 console_serial_flood \
	sqlite_in_guest cow_disk_read_in_a_row disk_persists \
	stock_guest_panic cow_disk_of_a_guest_that_crashes \
	cow_disk_survives_a_restart

in_checksum()
{
	runner_do f 60 <<<'/usr/lib/disco/checksum' &&
		want_line 'DISCO-GUEST checksum ok' "$WORK/o"
}

in_smp()
{
	runner_do f 30 <<-'G' && want_line 'cpus 4' "$WORK/o"
	echo "cpus $(nproc)"
	for c in 0 1 2 3; do taskset -c $c true || exit 1; done
	grep -c '' /proc/interrupts >/dev/null
	G
}

in_memory()
{
	local mib
	runner_do f 30 <<-'G' || return 1
	awk '/MemTotal/ { print "total", int($2 / 1024) }' /proc/meminfo
	G
	mib=$(sed -n 's/^total \([0-9]*\).*/\1/p' "$WORK/o")
	((mib > 4700 && mib < 5121)) || fail "guest sees $mib MiB of 5120"
}

in_rng()
{
	runner_do f 30 <<-'G' || return 1
	cat /sys/class/misc/hw_random/rng_current
	head -c 4096 /dev/hwrng | wc -c
	G
	want_line 'virtio_rng' "$WORK/o" && want_line '^4096' "$WORK/o"
}

# A queue a vCPU: the same bytes are read by all of them at once.
in_many_queues()
{
	local want
	want=$(head -c "${QUEUE_MIB}M" "$ROOT_DISK" | md5sum)
	runner_do f 200 <<-G || return 1
	echo "queues \$(ls /sys/block/vda/mq | wc -l)"
	for c in 0 1 2 3; do
		taskset -c \$c dd if=/dev/vda bs=256k count=$((QUEUE_MIB * 4)) \
			iflag=direct 2>/tmp/e\$c |
			md5sum >/tmp/sum\$c &
	done
	wait
	cat /tmp/sum?
	grep -c 'virtio.*req' /proc/interrupts | sed 's/^/vectors /'
	G
	want_line '^queues 4' "$WORK/o" &&
		want_line '^vectors ([4-9]|[1-9][0-9])' "$WORK/o" || return 1
	(($(grep -c "^${want%% *}" "$WORK/o") == 4)) ||
		fail "not 4 times ${want%% *}: $(grep -- '  -' "$WORK/o")"
}

# As many as are asked for, whatever the vCPUs.
in_one_queue()
{
	runner_do f 60 <<-'G' || return 1
	echo "queues $(ls /sys/block/vdg/mq | wc -l)"
	for c in 0 3; do
		taskset -c $c dd if=/dev/vdg bs=64k iflag=direct 2>/tmp/e$c |
			md5sum >/tmp/sum$c &
	done
	wait
	cat /tmp/sum[03]
	G
	want_line '^queues 1' "$WORK/o" || return 1
	(($(grep -c "^$(md5sum <"$WORK/one.img" | cut -c 1-32)" \
		"$WORK/o") == 2)) || fail "read wrongly: $(cat "$WORK/o")"
}

# By the guest's clock: 200 reads, of which at most 5 go at once, at 50 a
# second.
in_rate_limit()
{
	local took
	runner_do f 60 <<-'G' || return 1
	read -r start _ </proc/uptime
	dd if=/dev/vdb of=/dev/null bs=4k count=200 iflag=direct 2>/tmp/e ||
		{ cat /tmp/e; exit 1; }
	read -r end _ </proc/uptime
	echo "centiseconds $((${end/./} - ${start/./}))"
	G
	took=$(sed -n 's/^centiseconds \([0-9]*\).*/\1/p' "$WORK/o")
	((took >= 300)) || fail "200 reads at 50 a second took $took cs"
}

# The same by bytes, from two vCPUs at once.
in_byte_limit()
{
	local took
	runner_do f 60 <<-'G' || return 1
	read -r start _ </proc/uptime
	for c in 0 1; do
		taskset -c $c dd if=/dev/vdc of=/dev/null bs=64k count=64 \
			iflag=direct 2>/tmp/e$c || echo failed &
	done
	wait
	read -r end _ </proc/uptime
	echo "centiseconds $((${end/./} - ${start/./}))"
	G
	! grep -q '^failed' "$WORK/o" || fail 'a read failed' || return 1
	took=$(sed -n 's/^centiseconds \([0-9]*\).*/\1/p' "$WORK/o")
	((took >= 350)) || fail "8 MiB at 2 MiB a second took $took cs"
}

in_read_only()
{
	local before
	before=$(md5sum <"$WORK/ro.img")
	runner_do f 30 <<-'G' || return 1
	[ "$(cat /sys/block/vde/ro)" = 1 ] || exit 8
	dd if=/dev/zero of=/dev/vde bs=4096 count=1 oflag=direct && exit 9
	[ "$(md5sum </dev/vde)" = "$(cat /dev/vde | md5sum)" ] || exit 10
	exit 0
	G
	[[ $(md5sum <"$WORK/ro.img") == "$before" ]] ||
		fail "a read-only disk changed"
}

in_fio()
{
	runner_do f 120 <<-G || return 1
	cat /sys/block/vdf/serial
	fio --name=v --filename=/dev/vdf --rw=randwrite --bs=4k-64k \
		--size=${FIO_MIB}m --direct=1 --ioengine=psync \
		--verify=crc32c --do_verify=1 --verify_fatal=1 --fsync=16 \
		--output-format=terse >/tmp/out
	G
	want_line '^FIO1' "$WORK/o"
}

# flood FILE LINES - they are all in it, in order
flood()
{
	tr -d '\r' <"$1" | sed -n "/^1\$/,/^$2\$/p" >"$WORK/seq"
	cmp -s "$WORK/seq" <(seq 1 "$2") ||
		fail "lost output: $(wc -l <"$WORK/seq") of $2 lines"
}

in_hvc0()
{
	runner_do f 120 <<<"seq 1 $HVC_LINES >/dev/hvc0" &&
		flood "$WORK/o" "$HVC_LINES"
}

# stty waits until all is sent: the end of the script is said on another port.
in_serial()
{
	runner_do f 120 <<-G && flood "$WORK/o" "$SERIAL_LINES"
	seq 1 $SERIAL_LINES >/dev/ttyS0
	stty -F /dev/ttyS0 -echo
	G
}

in_sqlite()
{
	runner_do f 60 <<<'/usr/lib/disco/sqlite' &&
		want_line 'DISCO-GUEST sqlite ok' "$WORK/o"
}

in_row()
{
	runner_do f 60 <<-'G' || return 1
	md5sum </dev/vdi
	head -c 4M /dev/urandom >/tmp/new
	dd if=/tmp/new of=/dev/vdi bs=64k seek=77 conv=notrunc,fsync 2>/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	dd if=/dev/vdi bs=64k skip=45 count=96 2>/dev/null |
		tail -c 4M | cmp - /tmp/new && echo same
	G
	row_is_right
}

in_persists()
{
	runner_do f 30 <<-'G'
	mke2fs -q -F -t ext4 /dev/vdd && mkdir -p /tmp/p &&
	mount /dev/vdd /tmp/p && seq 1 100000 > /tmp/p/f &&
	umount /tmp/p
	G
}

in_survives()
{
	runner_do f 60 <<-'G' || return 1
	mkdir /tmp/m && mount /dev/vdh /tmp/m && cd /tmp/m &&
		[ "$(tail -n 1 from-base)" = 20000 ] &&
		seq 1 300000 >mine && sync && rm from-base &&
		head -c 8M /dev/urandom >big && md5sum mine big >sums &&
		cd / && umount /tmp/m && echo wrote
	cat /sys/block/vdh/queue/discard_max_bytes
	G
	want_line '^wrote' "$WORK/o" && want_line '^1073741824' "$WORK/o"
}

# features_disks - into DISKS, vdb and on
features_disks()
{
	truncate -s 16M "$WORK"/slow{1,2}.img
	truncate -s 64M "$WORK/disk.img" "$WORK/fio.img"
	head -c 4M /dev/urandom | tee "$WORK/ro.img" >"$WORK/one.img"
	make_base "$WORK/base" && BASE_SUM=$(sha256sum <"$WORK/base") &&
		"$DISCO" image create "$WORK/base" "$WORK/a.cow" &&
		"$DISCO" image create "$WORK/base" "$WORK/c.cow" &&
		row_disk "$WORK/direct" || fail 'no disks' || return 1
	DISKS=(--disk "path=$WORK/slow1.img,iops=50"
		--disk "path=$WORK/slow2.img,bps=2M"
		--disk "path=$WORK/disk.img" --disk "path=$WORK/ro.img,ro"
		--disk "path=$WORK/fio.img,serial=FIO1"
		--disk "path=$WORK/one.img,ro,queues=1"
		--disk "path=$WORK/base,cow=$WORK/a.cow"
		--disk "path=$WORK/direct/base,cow=$WORK/direct/a.cow")
}

# The first guest, which also reads and writes what the second one looks at.
features_first()
{
	runner_boot f --cpus 4 --memory 5G,huge=thp "${DISKS[@]}" || return 1
	part checksum_of_root_disk in_checksum
	part smp_guest in_smp
	part memory_above_4g in_memory
	part rng in_rng
	part many_queues in_many_queues
	part one_queue_when_asked in_one_queue
	part disk_rate_limit in_rate_limit
	part disk_byte_limit in_byte_limit
	part disk_read_only in_read_only
	part disk_fio_verify in_fio
	part console_hvc0 in_hvc0
	part console_serial_flood in_serial
	part sqlite_in_guest in_sqlite
	part cow_disk_read_in_a_row in_row
	: >"$WORK/why"
	in_persists && in_survives && runner_end f && clean_fs "$WORK/a.cow"
}

again_persists()
{
	runner_do g 30 <<-'G' &&
	mkdir -p /tmp/p && mount /dev/vdb /tmp/p && md5sum < /tmp/p/f
	G
		want_line "$(seq 1 100000 | md5sum | cut -c 1-32)" "$WORK/o"
}

again_survives()
{
	runner_do g 60 <<-'G' &&
	mkdir /tmp/m && mount /dev/vdc /tmp/m && cd /tmp/m &&
		[ ! -e from-base ] && md5sum -c sums && rm big && sync &&
		fstrim -v /tmp/m && cd / && umount /tmp/m && echo again
	G
		want_line '^again' "$WORK/o"
}

# A guest that panics has flushed nothing after its last sync.
crashes()
{
	runner_send g <<-'G'
	mkdir /tmp/c && mount /dev/vdd /tmp/c && cd /tmp/c &&
		seq 1 100000 >synced && sync && echo synced
	seq 1 500000 >not-synced &
	until [ -s not-synced ]; do :; done
	echo c >/proc/sysrq-trigger
	G
	runner_gone g 21 && want_line '^synced' "$WORK/console-g" &&
		want_line 'Kernel panic' "$WORK/console-g"
}

survived()
{
	clean_fs "$WORK/a.cow" || return 1
	[[ $(sha256sum <"$WORK/base") == "$BASE_SUM" ]] ||
		fail 'the base has changed'
}

s_features()
{
	local status=0 survives=0
	features_disks || return 1
	features_first || status=1
	umount "$WORK/direct"
	((status == 0)) || return 1
	runner_boot g --disk "path=$WORK/disk.img" \
		--disk "path=$WORK/base,cow=$WORK/a.cow" \
		--disk "path=$WORK/base,cow=$WORK/c.cow" || return 1
	part disk_persists again_persists
	: >"$WORK/why"
	again_survives || survives=1
	part stock_guest_panic crashes
	part cow_disk_of_a_guest_that_crashes synced_is_there "$WORK/c.cow"
	((survives == 0)) || return 1
	part cow_disk_survives_a_restart survived
}
