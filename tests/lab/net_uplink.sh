# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Uplinks: a stock guest fetches a file from a server in a network namespace of
# the test, and a server in the guest is reached through a published port.
# Nothing is sent to any other address.

scenario uplink guest_fetches_a_file host_reaches_a_published_port \
	others_have_no_way_out killed_uplink_comes_back \
	next_monitor_keeps_the_uplink

# the namespace "out" has 192.0.2.2; the lab, at the other end of its wire, .1
uplink_outside()
{
	modprobe veth 2>/dev/null
	ip netns add out &&
		ip link add wire type veth peer name wire netns out &&
		ip addr add 192.0.2.1/24 dev wire &&
		ip link set wire up &&
		ip -n out addr add 192.0.2.2/24 dev wire &&
		ip -n out link set wire up || fail 'no network namespace' ||
		return 1
	mkdir -p "$WORK/www"
	head -c 2M /dev/urandom >"$WORK/www/file"
	sha256sum <"$WORK/www/file" >"$WORK/www/sum"
	# What it inherited would keep the scenario's output open.
	ip netns exec out busybox httpd -f -p 192.0.2.2:80 -h "$WORK/www" \
		>/dev/null 2>&1 &
	UPLINK_SERVER=$!
	until_true 20 curl -sf -m 5 -o /dev/null http://192.0.2.2/sum ||
		fail 'no server'
}

uplink_fetch()
{
	runner_do "$1" 120 <<-'SCRIPT' || return 1
		set -e
		busybox wget -q -O /tmp/file http://192.0.2.2/file
		sha256sum </tmp/file
	SCRIPT
	want_line "^$(cut -c 1-64 "$WORK/www/sum")" "$WORK/o"
}

uplink_guest()
{
	net_up upa || return 1
	want_line '^address 10\..* upa lan$' "$WORK/o" || return 1
	uplink_fetch upa
}

uplink_page()
{
	curl -sf -m 20 http://127.0.0.1:2222/page >"$WORK/page" &&
		grep -q 'from the guest' "$WORK/page"
}

uplink_published()
{
	runner_do upa 30 <<-'SCRIPT' || return 1
		mkdir -p /tmp/www
		echo 'from the guest' >/tmp/www/page
		while :; do
			printf 'HTTP/1.0 200 OK\r\n\r\nfrom the guest\n' |
				busybox nc -l -p 80 -w 5
		done >/dev/null 2>&1 &
	SCRIPT
	until_true 30 uplink_page || fail "no page: $(ss -ltn | grep 2222)"
}

uplink_others()
{
	net_up upb || return 1
	runner_do upb 60 <<-'SCRIPT'
		set -e
		! ip route | grep default
		read -r ip _ < <(getent ahostsv4 upa)
		busybox ping -c 1 $ip
		# By a route of its own making, it gets no further.
		ip route add default via ${ip%.*}.1
		! busybox wget -q -T 5 -O /dev/null http://192.0.2.2/sum
	SCRIPT
}

# uplink_pid - of this scenario's monitor: others may have some meanwhile
uplink_pid()
{
	local status name parent of
	for status in /proc/[0-9]*/status; do
		name='' parent=''
		{
			read -r _ name
			until [[ $parent == PPid: ]]; do
				read -r parent of || break
			done
		} 2>/dev/null <"$status"
		[[ $name != disco-uplink || $of != "$MONITOR_PID" ]] ||
			echo "${status//[^0-9]/}"
	done
}

uplink_other_pid()
{
	local now
	now=$(uplink_pid)
	[[ $now && $now != "$1" ]]
}

uplink_killed()
{
	local pid
	pid=$(uplink_pid)
	[[ $pid ]] || fail 'no uplink' || return 1
	# It has no capability, and nobody can become one through it.
	want_line '^CapEff:[[:space:]]0000000000000000' "/proc/$pid/status" &&
		want_line '^Seccomp:[[:space:]]2' "/proc/$pid/status" ||
		return 1
	kill -9 "$pid"
	until_true 30 uplink_other_pid "$pid" || fail 'it stays away' ||
		return 1
	uplink_fetch upa || return 1
	until_true 30 uplink_page || fail 'no page'
}

uplink_adopted()
{
	kill_monitor TERM || return 1
	wait "$MONITOR_PID" 2>/dev/null
	start_monitor && wait_state upa running 20 || return 1
	wait "${RUNNER_PID[upa]}"
	runner_attach upa
	until_true 30 uplink_page || fail 'no page' || return 1
	uplink_fetch upa
}

s_uplink()
{
	uplink_missing uplink && return 0
	uplink_outside || return 1
	start_monitor || return 1
	runner_start upa --net name=lan,uplink --publish 2222:80 || return 1
	runner_start upb --net name=lan || return 1
	runner_ready upa upb || return 1
	part guest_fetches_a_file uplink_guest
	part host_reaches_a_published_port uplink_published
	part others_have_no_way_out uplink_others
	part killed_uplink_comes_back uplink_killed
	part next_monitor_keeps_the_uplink uplink_adopted
	# First, as stop_monitor waits for every process of the scenario.
	kill "$UPLINK_SERVER"
	"$DISCO" kill upa upb
	stop_monitor
	ip netns del out
}

# A tiny guest asks a server at an address of the lab's own (RFC 5737), and is
# then reached through a published port.
t_tiny_uplink()
{
	local pid
	uplink_missing tiny_uplink && return 0
	ip addr add 198.51.100.1/32 dev lo
	tests/lab/net_outside.py 198.51.100.1 5353 >"$WORK/outside" 2>&1 &
	pid=$!
	# 198.51.100.1 as a number
	run_disco "$WORK/o" --net name=lan,uplink --publish 5353:5353/udp \
		--memory 64M --kernel "$GUESTS/lan.elf" \
		--cmdline 'tiny out=3325256705'
	ip addr del 198.51.100.1/32 dev lo
	want_status 0 "$WORK/o" && want_line 'PASS lan' "$WORK/o" || return 1
	wait $pid || fail "$(<"$WORK/outside")" || return 1
	want_line 'heard here' "$WORK/outside"
}
