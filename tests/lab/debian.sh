# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with whole systems, booted from what is on their disks (make
# images-debian): Debian 12 and 13 with systemd, their own kernels and initrds.
# Only with DEBIAN_IMAGES (make check-all): each takes minutes. Needs runner.sh
# and monitor.sh.

DEBIAN=build/debian

# debian_run NAME IMAGE OPTION... - in the foreground, without --kernel
debian_run()
{
	local name=$1 image=$2
	shift 2
	[[ -s $image ]] || fail "no $image; make images-debian" || return 1
	rm -f "$WORK/$name.cow"
	"$DISCO" image create "$image" "$WORK/$name.cow" >"$WORK/o" 2>&1 ||
		fail "image create: $(cat "$WORK/o")" || return 1
	runner_open "$name"
	timeout -k 5 $((900 * SCALE)) "$DISCO" run --name "$name" \
		--memory 768M,huge=thp --cpus 2 \
		--disk "path=$image,cow=$WORK/$name.cow" "$@" \
		<&"${RUNNER_IN[$name]}" >"$WORK/console-$name" \
		2>"$WORK/console-$name.err" &
	RUNNER_PID[$name]=$!
}

# debian_said NAME PATTERN - it has, or it has ended
debian_said()
{
	grep -qaE -e "$2" "$WORK/console-$1" ||
		! kill -0 "${RUNNER_PID[$1]}" 2>/dev/null
}

# debian_wait NAME PATTERN SECONDS - until it says so
debian_wait()
{
	until_true "$3" debian_said "$1" "$2"
	grep -qaE -e "$2" "$WORK/console-$1" ||
		fail "no '$2' in $(($3 * SCALE)) s: $(tail -n 3 \
			"$WORK/console-$1" "$WORK/console-$1.err")"
}

# debian_login NAME - as root, whose shell then says READY
debian_login()
{
	debian_wait "$1" ' login: ' 400 || return 1
	runner_type "$1" root
	debian_wait "$1" 'root@[a-z0-9-]*:~# ' 120 || return 1
	# Not bash, which edits lines.
	runner_type "$1" 'stty -echo; echo READ""Y; PS1= PS2= exec dash'
	debian_wait "$1" 'READY' 60
}

# debian_do NAME SECONDS COMMAND - in that shell; what it prints is in $WORK/o
debian_do()
{
	RUNNER_NR+=1
	runner_type "$1" "echo BEGIN-$RUNNER_NR; $3; echo END-$RUNNER_NR \$?"
	debian_wait "$1" "^END-$RUNNER_NR [0-9]+" "$2" || return 1
	sed -n "/^BEGIN-$RUNNER_NR/,/^END-$RUNNER_NR/p" "$WORK/console-$1" |
		tr -d '\r' | sed '1d;$d' >"$WORK/o"
}

# debian_boots VERSION - to its login prompt, then a clean end
debian_boots()
{
	local image=$DEBIAN/debian-$1.img
	debian_run "deb$1" "$image" && debian_login "deb$1" &&
		debian_do "deb$1" 60 'cat /etc/debian_version /proc/cmdline' &&
		want_line "^$1" "$WORK/o" &&
		want_line 'root=UUID=.* console=ttyS0' "$WORK/o" || return 1
	debian_do "deb$1" 200 'systemctl is-system-running --wait' &&
		want_line '^running' "$WORK/o" || return 1
	runner_type "deb$1" 'systemctl poweroff'
	runner_gone "deb$1" 0
}

t_debian_12() { debian_boots 12; }

# Debian 13 has cloud-init: the seed is applied before the prompt has its name.
# cloud-init goes on behind the first prompt, and hangs up whoever is logged in.
t_debian_13()
{
	cat >"$WORK/user-data" <<-'END'
	#cloud-config
	write_files:
	  - path: /etc/seeded
	    content: "by the seed\n"
	runcmd:
	  - echo once >>/etc/ran
	END
	debian_run seed "$DEBIAN/debian-13.img" \
		--cloud-init "$WORK/user-data" &&
		debian_wait seed 'Cloud-init v.* finished' 400 &&
		debian_login seed &&
		debian_do seed 400 'cloud-init status --wait' &&
		want_line 'status: done' "$WORK/o" || return 1
	debian_do seed 60 'cat /etc/debian_version /etc/hostname /etc/seeded \
		/etc/ran; lsblk -no LABEL' &&
		want_line '^13' "$WORK/o" && want_line '^seed$' "$WORK/o" &&
		want_line '^by the seed$' "$WORK/o" &&
		want_line '^once$' "$WORK/o" &&
		want_line '^CIDATA$' "$WORK/o" || return 1
	debian_do seed 200 'systemctl is-system-running --wait' &&
		want_line '^running' "$WORK/o" || return 1
	runner_type seed 'systemctl poweroff'
	runner_gone seed 0
}

# --- what an operator does: the monitor's VM is started, asked, and stopped ------
DEBIAN_STOPS=${DEBIAN_STOPS:-2}

# debian_clean IMAGE COW - no journal is left to replay, no file system is wrong
debian_clean()
{
	local start type disk=$WORK/exported nr=0
	rm -f "$disk"
	"$DISCO" image export "$1" "$2" "$disk" >"$WORK/check.log" 2>&1 ||
		fail "image export: $(<"$WORK/check.log")" || return 1
	for start in $(sfdisk -d "$disk" | sed -n \
		's/.*start= *\([0-9]*\),.*/\1/p'); do
		type=$(blkid -p -O $((start * 512)) -s TYPE -o value "$disk")
		[[ $type == ext4 ]] || continue
		nr=$((nr + 1))
		e2fsck -fn "$disk?offset=$((start * 512))" \
			>"$WORK/check.log" 2>&1 &&
			! grep -q 'journal recovery' "$WORK/check.log" ||
			fail "e2fsck: $(tail -n 5 "$WORK/check.log")" ||
			return 1
	done
	((nr > 0)) || fail 'no ext4 on the disk'
}

# debian_asks COMMAND... - by the guest agent; what it prints is in $WORK/o
debian_asks()
{
	STATUS=0
	"$DISCO" exec --wait $((400 * SCALE)) deb -- "$@" >"$WORK/o" \
		2>"$WORK/o.err" || STATUS=$?
	want_status 0 "$WORK/o"
}

# debian_round NR IMAGE - the boot before has ended by a shutdown, as this does
debian_round()
{
	local start=$SECONDS
	"$DISCO" run -d --name deb --memory 768M,huge=thp --cpus 2 \
		--disk "path=$2,cow=$WORK/deb.cow" >"$WORK/o" 2>&1 ||
		fail "run -d: $(<"$WORK/o")" || return 1
	"$DISCO" exec --wait $((400 * SCALE)) deb -- \
		systemctl is-system-running --wait >"$WORK/o" 2>&1
	want_line '^running' "$WORK/o" || {
		debian_asks systemctl --failed --no-legend
		fail "$(<"$WORK/o")"
		return 1
	}
	if (($1 > 1)); then
		debian_asks journalctl -b -1 -o cat -u systemd-logind &&
			want_line 'System is powering down|Power key pressed' \
				"$WORK/o" || return 1
	fi
	STATUS=0
	"$DISCO" stop --timeout $((200 * SCALE)) deb >"$WORK/o" \
		2>"$WORK/o.err" || STATUS=$?
	want_status 0 "$WORK/o" && debian_clean "$2" "$WORK/deb.cow" || return 1
	echo "# shut down $1 times of $DEBIAN_STOPS, $((SECONDS - start)) s"
}

debian_stops()
{
	local i image=$DEBIAN/debian-$1.img
	[[ -s $image ]] || fail "no $image; make images-debian" || return 1
	"$DISCO" image create "$image" "$WORK/deb.cow" >"$WORK/o" 2>&1 ||
		fail "image create: $(<"$WORK/o")" || return 1
	start_monitor --balance=off || return 1
	for ((i = 1; i <= DEBIAN_STOPS; i++)); do
		debian_round $i "$image" || return 1
	done
	stop_monitor
}

t_debian_12_stops() { debian_stops 12; }
t_debian_13_stops() { debian_stops 13; }
