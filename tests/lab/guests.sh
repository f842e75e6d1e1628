# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with stock Debian guests: booting, ending, devices.

t_stock_guest_powers_off()
{
	boot "$WORK/o" disco.stop=early &&
		want_status 0 "$WORK/o" &&
		want_line 'DISCO-GUEST userspace' "$WORK/o"
}

t_stock_guest_reset()
{
	boot "$WORK/o" disco.stop=reset
	want_status 20 "$WORK/o"
}

t_stock_guest_panic()
{
	boot "$WORK/o" disco.stop=panic
	want_status 21 "$WORK/o" &&
		want_line 'Kernel panic' "$WORK/o"
}

t_stock_guest_pvh_elf()
{
	run_disco "$WORK/o" --kernel build/kernels/guest/vmlinux \
		--initrd "$INITRD" --memory 256M \
		--cmdline 'console=ttyS0 quiet disco.stop=early'
	want_status 0 "$WORK/o" &&
		want_line 'DISCO-GUEST userspace' "$WORK/o"
}

t_stock_guest_packed_bzimage()
{
	run_disco "$WORK/o" --kernel "$KERNEL,unpack=off" \
		--initrd "$INITRD" --memory 256M \
		--cmdline 'console=ttyS0 quiet disco.stop=early'
	want_status 0 "$WORK/o" &&
		want_line 'DISCO-GUEST userspace' "$WORK/o"
}

t_checksum_of_root_disk()
{
	boot "$WORK/o" disco.run=checksum --disk "path=$ROOT_DISK,ro"
	want_status 0 "$WORK/o" &&
		want_line 'DISCO-GUEST checksum ok' "$WORK/o" &&
		want_line 'DISCO-RESULT checksum 0' "$WORK/o"
}

t_smp_guest()
{
	boot_script "$WORK/o" --cpus 4 <<-'G'
	echo "cpus $(nproc)"
	for c in 0 1 2 3; do taskset -c $c true || exit 1; done
	grep -c '' /proc/interrupts >/dev/null
	G
	want_status 0 "$WORK/o" && want_line 'cpus 4' "$WORK/o" &&
		want_line 'DISCO-RESULT 0' "$WORK/o"
}

t_memory_above_4g()
{
	boot_script "$WORK/o" --memory 5G <<-'G'
	awk '/MemTotal/ { print "total", int($2 / 1024) }' /proc/meminfo
	G
	want_status 0 "$WORK/o" || return 1
	local mib
	mib=$(sed -n 's/^total \([0-9]*\).*/\1/p' "$WORK/o")
	((mib > 4700 && mib < 5121)) || fail "guest sees $mib MiB of 5120"
}

t_console_hvc0()
{
	run_disco "$WORK/o" --kernel "$KERNEL" --initrd "$INITRD" \
		--memory 256M --disk "path=$ROOT_DISK,ro" \
		--cmdline "console=ttyS0 quiet disco.sh=$(base64 -w0 <<-'G'
	seq 1 20000 | md5sum | cut -c 1-32 > /tmp/want
	echo "sum $(cat /tmp/want)" > /dev/hvc0
	seq 1 20000 > /dev/hvc0
	echo end-of-flood > /dev/hvc0
	G
	)"
	want_status 0 "$WORK/o" || return 1
	tr -d '\r' <"$WORK/o" | sed -n '/^1$/,/^20000$/p' >"$WORK/seq"
	local got want
	got=$(md5sum <"$WORK/seq" | cut -c 1-32)
	want=$(seq 1 20000 | md5sum | cut -c 1-32)
	[[ $got == "$want" ]] || fail "hvc0 lost output:" \
		"$(wc -l <"$WORK/seq") of 20000 lines"
}

t_console_serial_flood()
{
	boot_script "$WORK/o" <<-'G'
	seq 1 3000
	G
	want_status 0 "$WORK/o" || return 1
	tr -d '\r' <"$WORK/o" | sed -n '/^1$/,/^3000$/p' >"$WORK/seq"
	cmp -s "$WORK/seq" <(seq 1 3000) ||
		fail "serial lost output: $(wc -l <"$WORK/seq") of 3000 lines"
}

t_console_input()
{
	local in typist

	STATUS=0
	: >"$WORK/o"
	rm -f "$WORK/in" && mkfifo "$WORK/in"
	exec {in}<>"$WORK/in" # both ways: no end of file until it is closed
	{
		until grep -q 'DISCO-GUEST userspace' "$WORK/o"; do
			sleep 0.2
		done
		sleep 1
		printf '%s\n' 'echo typed-$((6 * 7))' exit >&"$in"
	} &
	typist=$!
	timeout -k 5 "$GUEST_LIMIT" "$DISCO" run --kernel "$KERNEL" \
		--initrd "$INITRD" --memory 256M --disk "path=$ROOT_DISK,ro" \
		--cmdline 'console=ttyS0 quiet' <"$WORK/in" >"$WORK/o" \
		2>"$WORK/o.err" || STATUS=$?
	kill "$typist" 2>/dev/null
	wait "$typist"
	exec {in}>&-
	want_status 0 "$WORK/o" && want_line 'typed-42' "$WORK/o"
}

t_rng()
{
	boot_script "$WORK/o" <<-'G'
	cat /sys/class/misc/hw_random/rng_current
	head -c 4096 /dev/hwrng | wc -c
	G
	want_status 0 "$WORK/o" && want_line 'virtio_rng' "$WORK/o" &&
		want_line '^4096' "$WORK/o"
}

t_disk_persists()
{
	truncate -s 64M "$WORK/disk.img"
	boot_script "$WORK/o" --disk "path=$WORK/disk.img" <<-'G'
	mke2fs -q -F -t ext4 /dev/vdb && mkdir -p /tmp/m &&
	mount /dev/vdb /tmp/m && seq 1 100000 > /tmp/m/f &&
	umount /tmp/m
	G
	want_status 0 "$WORK/o" && want_line 'DISCO-RESULT 0' "$WORK/o" ||
		return 1
	boot_script "$WORK/o" --disk "path=$WORK/disk.img" <<-'G'
	mkdir -p /tmp/m && mount /dev/vdb /tmp/m && md5sum < /tmp/m/f
	G
	want_status 0 "$WORK/o" &&
		want_line "$(seq 1 100000 | md5sum | cut -c 1-32)" "$WORK/o"
}

t_disk_read_only()
{
	cp --sparse=always "$ROOT_DISK" "$WORK/ro.img"
	local before
	before=$(md5sum <"$WORK/ro.img")
	boot_script "$WORK/o" --disk "path=$WORK/ro.img,ro" <<-'G'
	cat /sys/block/vdb/ro
	dd if=/dev/zero of=/dev/vdb bs=4096 count=1 oflag=direct && exit 9
	exit 0
	G
	want_status 0 "$WORK/o" && want_line 'DISCO-RESULT 0' "$WORK/o" ||
		return 1
	[[ $(md5sum <"$WORK/ro.img") == "$before" ]] ||
		fail "a read-only disk changed"
	rm -f "$WORK/ro.img"
}

t_disk_fio_verify()
{
	truncate -s 64M "$WORK/fio.img"
	boot_script "$WORK/o" --cpus 2 --disk "path=$WORK/fio.img,serial=FIO1" <<-'G'
	cat /sys/block/vdb/serial
	fio --name=v --filename=/dev/vdb --rw=randwrite --bs=4k-64k --size=24m \
		--direct=1 --ioengine=psync --verify=crc32c --do_verify=1 \
		--verify_fatal=1 --fsync=16 --output-format=terse >/tmp/out
	G
	want_status 0 "$WORK/o" && want_line '^FIO1' "$WORK/o" &&
		want_line 'DISCO-RESULT 0' "$WORK/o"
}

t_sqlite_in_guest()
{
	boot "$WORK/o" disco.run=sqlite --disk "path=$ROOT_DISK,ro"
	want_status 0 "$WORK/o" && want_line 'DISCO-RESULT sqlite 0' "$WORK/o"
}
