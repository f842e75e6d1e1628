# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with stock guests: what a disk has besides its bytes.

# A queue a vCPU: the same 32 MiB are read by all of them at once.
t_many_queues()
{
	local want
	want=$(head -c 32M "$ROOT_DISK" | md5sum)
	GUEST_LIMIT=200 boot_script "$WORK/o" --cpus 4 <<-'G'
	echo "queues $(ls /sys/block/vda/mq | wc -l)"
	for c in 0 1 2 3; do
		taskset -c $c dd if=/dev/vda bs=256k count=128 iflag=direct \
			2>/tmp/e$c |
			md5sum >/tmp/sum$c &
	done
	wait
	cat /tmp/sum?
	grep -c 'virtio.*req' /proc/interrupts | sed 's/^/vectors /'
	/usr/lib/disco/checksum
	G
	want_status 0 "$WORK/o" && want_line '^queues 4' "$WORK/o" &&
		want_line '^vectors [4-9]' "$WORK/o" &&
		want_line 'DISCO-GUEST checksum ok' "$WORK/o" &&
		want_line 'DISCO-RESULT 0' "$WORK/o" || return 1
	(($(grep -c "^${want%% *}" "$WORK/o") == 4)) ||
		fail "not 4 times ${want%% *}: $(grep -- '  -' "$WORK/o")"
}

# As many as are asked for, whatever the vCPUs.
t_one_queue_when_asked()
{
	run_disco "$WORK/o" --kernel "$KERNEL" --initrd "$INITRD" \
		--memory 256M --cpus 2 \
		--disk "path=$ROOT_DISK,ro,queues=1" \
		--cmdline "console=ttyS0 quiet disco.sh=$(base64 -w0 <<-'G'
	echo "queues $(ls /sys/block/vda/mq | wc -l)"
	/usr/lib/disco/checksum
	G
	)"
	want_status 0 "$WORK/o" && want_line '^queues 1' "$WORK/o" &&
		want_line 'DISCO-GUEST checksum ok' "$WORK/o" &&
		want_line 'DISCO-RESULT 0' "$WORK/o"
}

# By the guest's clock: 200 reads, of which at most 5 go at once, at 50 a
# second.
t_disk_rate_limit()
{
	truncate -s 16M "$WORK/slow.img"
	boot_script "$WORK/o" --cpus 2 --disk "path=$WORK/slow.img,iops=50" \
		<<-'G'
	read -r start _ </proc/uptime
	dd if=/dev/vdb of=/dev/null bs=4k count=200 iflag=direct 2>/tmp/e ||
		{ cat /tmp/e; exit 1; }
	read -r end _ </proc/uptime
	echo "centiseconds $((${end/./} - ${start/./}))"
	G
	want_status 0 "$WORK/o" && want_line 'DISCO-RESULT 0' "$WORK/o" ||
		return 1
	local took
	took=$(sed -n 's/^centiseconds \([0-9]*\).*/\1/p' "$WORK/o")
	((took >= 300)) || fail "200 reads at 50 a second took $took cs"
}

# The same by bytes, from two vCPUs at once.
t_disk_byte_limit()
{
	truncate -s 16M "$WORK/slow.img"
	boot_script "$WORK/o" --cpus 2 --disk "path=$WORK/slow.img,bps=2M" \
		<<-'G'
	read -r start _ </proc/uptime
	for c in 0 1; do
		taskset -c $c dd if=/dev/vdb of=/dev/null bs=64k count=64 \
			iflag=direct 2>/tmp/e$c || echo failed &
	done
	wait
	read -r end _ </proc/uptime
	echo "centiseconds $((${end/./} - ${start/./}))"
	G
	want_status 0 "$WORK/o" && want_line 'DISCO-RESULT 0' "$WORK/o" ||
		return 1
	! grep -q '^failed' "$WORK/o" || fail 'a read failed' || return 1
	local took
	took=$(sed -n 's/^centiseconds \([0-9]*\).*/\1/p' "$WORK/o")
	((took >= 350)) || fail "8 MiB at 2 MiB a second took $took cs"
}
