# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# How stock Debian guests begin and end, one boot each.
# HINT_MIB: the size of an initial RAM disk (56). Needs runner.sh and many.sh.

HINT_MIB=${HINT_MIB:-56}

t_stock_guest_powers_off()
{
	boot "$WORK/o" disco.stop=early &&
		want_status 0 "$WORK/o" &&
		want_line 'DISCO-GUEST userspace' "$WORK/o"
}

# boot_disk FILE CMDLINE - a disk with an MBR, and on its second partition an
# ext4 with the tests' kernel, its initrd, and a menu as update-grub writes it
boot_disk()
{
	local tree=$WORK/tree
	mkdir -p "$tree/boot/grub" && cp "$KERNEL" "$tree/boot/vmlinuz" &&
		cp "$INITRD" "$tree/boot/initrd.img" || return 1
	cat >"$tree/boot/grub/grub.cfg" <<-END
	set default="0"
	menuentry 'Test' --class os \$menuentry_id_option 'test' {
		set root='hd0,msdos2'
		linux	/boot/vmlinuz root=/dev/none $2
		initrd	/boot/initrd.img
	}
	END
	rm -f "$1" && truncate -s 48M "$1" &&
		sfdisk -q --no-reread --no-tell-kernel "$1" <<-'END' &&
		label: dos
		start=1MiB, size=1MiB, type=82
		start=2MiB, size=46MiB
		END
		mke2fs -q -F -t ext4 -O ^has_journal -d "$tree" \
			-E offset=2097152 "$1" 46M
}

# Without --kernel; what its COW file says is what counts.
t_boots_what_is_on_its_disk()
{
	boot_disk "$WORK/disk" 'quiet disco.stop=early' >"$WORK/o" 2>&1 ||
		fail "no disk: $(tail -n 1 "$WORK/o")" || return 1
	"$DISCO" image create "$WORK/disk" "$WORK/cow" &&
		"$DISCO" image boot "$WORK/disk" "$WORK/cow" >"$WORK/o" &&
		want_line 'cmdline .* disco.stop=early console=ttyS0' \
			"$WORK/o" || return 1
	run_disco "$WORK/o" --memory "$MEMORY" \
		--disk "path=$WORK/disk,cow=$WORK/cow"
	want_status 0 "$WORK/o" &&
		want_line 'DISCO-GUEST userspace' "$WORK/o"
}

# --- a shell, where somebody types -------------------------------------------
scenario shell console_input stock_guest_reset

shell_input()
{
	runner_type sh 'echo typed-$((6 * 7))'
	wait_lines 1 'typed-42' "$WORK/console-sh" 30
}

shell_reset()
{
	runner_type sh 'busybox reboot -f'
	runner_gone sh 20
}

s_shell()
{
	runner_open sh
	timeout -k 5 $((GUEST_LIMIT * SCALE)) "$DISCO" run --kernel "$KERNEL" \
		--initrd "$INITRD" --memory "$MEMORY" --disk "path=$ROOT_DISK,ro" \
		--cmdline 'console=ttyS0 quiet' <&"${RUNNER_IN[sh]}" \
		>"$WORK/console-sh" 2>"$WORK/console-sh.err" &
	RUNNER_PID[sh]=$!
	wait_text 'disco:.*# ' "$WORK/console-sh" 90 || return 1
	part console_input shell_input
	part stock_guest_reset shell_reset
}

# Its pauses are loops that count for a second of a fast CPU: without a timer of
# a PC it knows no better. The options leave most of them out.
MEMTEST_QUICK='nopause nosmp keyboard=legacy'

# memtest_screen NAME - it comes to the screen of its tests, and is ended there
memtest_screen()
{
	local pid status=0
	: >"$WORK/o"
	"$DISCO" run --kernel "build/kernels/memtest/$1.bin" --memory 64M \
		--cmdline "console=ttyS0,115200 $MEMTEST_QUICK" >"$WORK/o" 2>"$WORK/o.err" \
		</dev/null &
	pid=$!
	# It moves the cursor, and ends no line.
	wait_text 'Memtest86' "$WORK/o" 120 &&
		wait_text 'Status: Testing' "$WORK/o" 120 || status=1
	insist "$pid"
	wait "$pid"
	return $status
}

t_memtest_64_bit() { memtest_screen x64; }
t_memtest_32_bit() { memtest_screen ia32; }

t_memtest_long_command_line()
{
	run_disco "$WORK/o" --kernel build/kernels/memtest/x64.bin \
		--memory 64M --cmdline "$(printf '%0256d' 0)"
	want_status 4 "$WORK/o" && want_one_line "$WORK/o" &&
		want_line 'has 256 characters, and kernel .* takes 255' \
			"$WORK/o.err"
}

# What the message names is enough: HINT_MIB that do not compress, beside the
# initial RAM disk of the tests.
t_initrd_memory_hint()
{
	local hint
	{
		(
			mkdir "$WORK/big" && cd "$WORK/big" &&
				head -c "${HINT_MIB}M" /dev/urandom >filling &&
				echo filling | cpio -o -H newc --quiet
		)
		cat "$INITRD"
	} >"$WORK/initrd"
	rm -rf "$WORK/big"
	run_disco "$WORK/o" --kernel "$KERNEL" --initrd "$WORK/initrd" \
		--memory 64M
	want_status 9 "$WORK/o" && want_one_line "$WORK/o" || return 1
	hint=$(sed -n 's/.*give it \([0-9]*M\)$/\1/p' "$WORK/o.err")
	[[ $hint ]] || fail "no hint: $(<"$WORK/o.err")" || return 1
	run_disco "$WORK/o" --kernel "$KERNEL" --initrd "$WORK/initrd" \
		--memory "$hint" \
		--cmdline 'console=ttyS0 quiet disco.stop=early'
	want_status 0 "$WORK/o" &&
		want_line 'DISCO-GUEST userspace' "$WORK/o"
}

# Nothing to mount, and no initial RAM disk that could load the panic device's
# module: the kernel says so on its console, and spins.
t_stock_guest_panics_early()
{
	run_disco "$WORK/o" --kernel "$KERNEL" --memory "$MEMORY" --cpus 2 \
		--cmdline 'console=ttyS0 quiet'
	want_status 21 "$WORK/o" && want_line 'Kernel panic' "$WORK/o" &&
		want_line 'kernel panicked: VFS: ' "$WORK/o.err"
}

t_stock_guest_resets_by_port_cf9()
{
	run_disco "$WORK/o" --kernel "$KERNEL" --memory "$MEMORY" \
		--cmdline 'console=ttyS0 quiet reboot=p panic=-1'
	want_status 20 "$WORK/o" && want_line 'port 0xcf9' "$WORK/o.err"
}

t_stock_guest_pvh_elf()
{
	run_disco "$WORK/o" --kernel build/kernels/guest/vmlinux \
		--initrd "$INITRD" --memory "$MEMORY" \
		--cmdline 'console=ttyS0 quiet disco.stop=early'
	want_status 0 "$WORK/o" &&
		want_line 'DISCO-GUEST userspace' "$WORK/o"
}

t_stock_guest_packed_bzimage()
{
	run_disco "$WORK/o" --kernel "$KERNEL,unpack=off" \
		--initrd "$INITRD" --memory "$MEMORY" \
		--cmdline 'console=ttyS0 quiet disco.stop=early'
	want_status 0 "$WORK/o" &&
		want_line 'DISCO-GUEST userspace' "$WORK/o"
}
