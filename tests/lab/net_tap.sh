# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Networks past one machine: two network namespaces are the machines, m1 and m2,
# joined by a wire. Each has a monitor with a state directory of its own, and what
# disco(1), "Past one machine", says: a tap device and a VXLAN at a bridge. Stock
# guests: tapa and tapb on m1, tapc on m2. tiny_taps is the same with tiny guests of
# "disco run". Needs net.sh, monitor.sh, runner.sh, tiny.sh.

scenario taps guests_of_two_machines_meet tcp_between_machines \
	foreign_addresses_stay_here the_host_is_at_the_bridge \
	deleted_tap_comes_back next_monitor_keeps_the_tap

TAP_NS=m # begins the names of the namespaces
TAP_LAN=name=lan,subnet=10.90.0.0/24,tap=tap0

# tap_on N COMMAND... - a client of the monitor of that machine
tap_on()
{
	local machine=$1
	shift
	DISCO_STATE_DIR=$WORK/state-$machine "$@"
}

# tap_make N - the recipe's tap device
tap_make()
{
	ip netns exec "$TAP_NS$1" ip tuntap add tap0 mode tap &&
		ip -n "$TAP_NS$1" link set tap0 master br0 up
}

# tap_machine N PEER - bridge, tunnel and tap device of a machine; its wire is up
tap_machine()
{
	# A frame of a guest has 1514 bytes, and a tunnel adds 50.
	ip -n "$TAP_NS$1" addr add "192.0.2.$1/24" dev wire &&
		ip -n "$TAP_NS$1" link set wire mtu 1600 up &&
		ip -n "$TAP_NS$1" link add br0 type bridge &&
		ip -n "$TAP_NS$1" link add vx0 type vxlan id 77 dstport 4789 \
			local "192.0.2.$1" remote "192.0.2.$2" dev wire &&
		ip -n "$TAP_NS$1" link set vx0 mtu 1500 master br0 up &&
		ip -n "$TAP_NS$1" link set br0 mtu 1500 up &&
		tap_make "$1"
}

tap_machines()
{
	modprobe -qa veth bridge vxlan tun ||
		modprobe -qa -d build/kernels/lab/modules veth bridge vxlan tun
	ip netns add "${TAP_NS}1" && ip netns add "${TAP_NS}2" &&
		ip -n "${TAP_NS}1" link add wire type veth \
			peer name wire netns "${TAP_NS}2" &&
		tap_machine 1 2 && tap_machine 2 1 ||
		fail 'no namespaces, bridges or tunnels'
}

tap_no_machines()
{
	ip netns del "${TAP_NS}1"
	ip netns del "${TAP_NS}2"
}

# tap_monitor N - in the network of that machine; its log is $WORK/monitor-N
tap_monitor()
{
	tap_on "$1" nsenter "--net=/run/netns/$TAP_NS$1" "$DISCO" monitor \
		--balance=off >>"$WORK/monitor-$1" 2>&1 &
	TAP_MONITOR[$1]=$!
	until_true 30 tap_on "$1" "$DISCO" ls >/dev/null 2>&1 ||
		fail "no monitor: $(<"$WORK/monitor-$1")"
}

# tap_ping NAME ADDRESS... - each, sooner or later
tap_ping()
{
	local name=$1
	shift
	runner_do "$name" 120 <<-G
		for ip in $*; do
			until busybox ping -c 1 -W 2 \$ip; do sleep 0.5; done
		done
	G
}

# tap_no_ping NAME ADDRESS [FROM]
tap_no_ping()
{
	runner_do "$1" 60 <<<"! busybox ping -c 2 -W 2 ${3:+-I $3} $2"
}

tap_meet()
{
	local name
	for name in tapa tapb tapc; do
		net_up $name || return 1
		want_line "^address 10\\.90\\.0\\.[0-9]*/24 .* $name lan\$" \
			"$WORK/o" || return 1
	done
	tap_ping tapa 10.90.0.12 10.90.0.21 &&
		tap_ping tapb 10.90.0.21 &&
		tap_ping tapc 10.90.0.11 10.90.0.12
}

# With segmentation and checksums left to whoever has to do them.
tap_tcp()
{
	local sum name
	runner_do tapc 60 <<-'G' || return 1
		mkdir -p /tmp/www
		head -c 4M /dev/urandom >/tmp/www/file
		sha256sum </tmp/www/file
		busybox httpd -p 80 -h /tmp/www
	G
	sum=$(grep -oE '^[0-9a-f]{64}' "$WORK/o")
	for name in tapa tapb; do
		runner_do $name 200 <<-'G' || return 1
			busybox wget -q -O /tmp/file http://10.90.0.21/file &&
				sha256sum </tmp/file
		G
		want_line "^$sum" "$WORK/o" || return 1
	done
}

tap_foreign()
{
	runner_do tapa 30 <<<'ip addr add 10.90.0.77/24 dev eth0' &&
		tap_no_ping tapa 10.90.0.21 10.90.0.77 &&
		tap_no_ping tapa 10.90.0.12 10.90.0.77 &&
		runner_do tapa 30 <<<'ip addr del 10.90.0.77/24 dev eth0' &&
		tap_ping tapa 10.90.0.21
}

tap_host()
{
	ip -n m1 addr add 10.90.0.100/24 dev br0 &&
		tap_ping tapa 10.90.0.100 && tap_ping tapc 10.90.0.100 ||
		return 1
	until_true 60 ip netns exec m1 busybox ping -c 1 -W 2 10.90.0.12 \
		>/dev/null || fail 'the host does not reach a guest'
}

tap_deleted()
{
	local gone="network 'lan': tap device 'tap0': it is gone"
	ip -n m1 link del tap0 || return 1
	wait_lines 1 "$gone" "$WORK/monitor-1" 30 || return 1
	tap_ping tapa 10.90.0.12 && tap_no_ping tapa 10.90.0.21 || return 1
	tap_make 1 || return 1
	wait_lines 1 "tap device 'tap0': it is back" "$WORK/monitor-1" 30 ||
		return 1
	tap_ping tapa 10.90.0.21 && tap_ping tapc 10.90.0.12 || return 1
	(($(grep -c "tap device" "$WORK/monitor-1") == 2)) ||
		fail "more was said: $(grep 'tap device' "$WORK/monitor-1")"
}

tap_adopted()
{
	tap_on 1 kill_monitor TERM || return 1
	wait "${TAP_MONITOR[1]}" 2>/dev/null
	tap_monitor 1 && tap_on 1 wait_state tapa running 20 || return 1
	wait "${RUNNER_PID[tapa]}"
	tap_on 1 runner_attach tapa
	tap_ping tapa 10.90.0.12 10.90.0.21
}

tap_start()
{
	tap_machines && tap_monitor 1 && tap_monitor 2 || return 1
	tap_on 1 runner_start tapa --net $TAP_LAN,ip=10.90.0.11 &&
		tap_on 1 runner_start tapb --net $TAP_LAN,ip=10.90.0.12 &&
		tap_on 2 runner_start tapc --net $TAP_LAN,ip=10.90.0.21 &&
		runner_ready tapa tapb tapc
}

# tap_stop N - its guests and its monitor
tap_stop()
{
	local names
	mapfile -t names < <(tap_on "$1" "$DISCO" ls --names)
	((${#names[@]} == 0)) ||
		tap_on "$1" "$DISCO" kill "${names[@]}" 2>/dev/null
	tap_on "$1" kill_monitor TERM 2>/dev/null
}

s_taps()
{
	local -A TAP_MONITOR
	uplink_missing taps && return 0
	if tap_start; then
		part guests_of_two_machines_meet tap_meet
		part tcp_between_machines tap_tcp
		part foreign_addresses_stay_here tap_foreign
		part the_host_is_at_the_bridge tap_host
		part deleted_tap_comes_back tap_deleted
		part next_monitor_keeps_the_tap tap_adopted
	fi
	# Also after a failure: nobody else knows these monitors.
	tap_stop 1
	tap_stop 2
	wait
	tap_no_machines
}

# tap_tiny N ARG... - "disco run" of tiny guests on that machine, in the background
tap_tiny()
{
	local machine=$1
	shift
	timeout -k 5 $((GUEST_LIMIT * SCALE)) nsenter \
		"--net=/run/netns/$TAP_NS$machine" "$DISCO" run --memory 64M \
		--kernel "$GUESTS/lan.elf" --cmdline 'tiny peers=2' "$@" \
		>"$WORK/tiny-$machine" 2>"$WORK/tiny-$machine.err" </dev/null &
}

# Two tiny guests on one machine and one on the other: each hears both others, by
# broadcasts, and that they have.
t_tiny_taps()
{
	local TAP_NS=t machine pids=() status=0
	uplink_missing tiny_taps && return 0
	tap_machines || return 1
	tap_tiny 1 -n 2 --net $TAP_LAN
	pids+=($!)
	tap_tiny 2 --net $TAP_LAN,ip=10.90.0.21
	pids+=($!)
	for machine in 1 2; do
		STATUS=0
		wait "${pids[machine - 1]}" || STATUS=$?
		want_status 0 "$WORK/tiny-$machine" &&
			want_line 'PASS lan' "$WORK/tiny-$machine" || status=1
	done
	tap_no_machines
	return $status
}
