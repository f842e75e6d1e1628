# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Virtual networks between stock guests: addresses by DHCP, names by DNS, frames
# with checksums and segmentation left to do, and a peer that dies.
#
# NET_MIB: megabytes that each guest sends (1).

NET_MIB=${NET_MIB:-1}

scenario networks guests_get_addresses names_resolve tcp_both_ways \
	foreign_addresses_go_nowhere next_monitor_keeps_networks \
	killed_peer_is_gone

# net_up NAME - its first network, as a Debian guest would bring it up
net_up()
{
	runner_do "$1" 60 <<-'SCRIPT'
		cat >/run/udhcpc.sh <<'END'
		#!/bin/bash
		case $1 in
		deconfig)
			ip -4 addr flush dev $interface ;;
		bound)
			ip addr add $ip/$mask dev $interface
			[[ ! $router ]] ||
				ip route add default via $router
			echo "search $domain" >/etc/resolv.conf
			echo "nameserver $dns" >>/etc/resolv.conf
			echo "address $ip/$mask $dns $hostname $domain" ;;
		esac
		END
		chmod +x /run/udhcpc.sh
		echo 'hosts: files dns' >/etc/nsswitch.conf
		cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address
		ip link set eth0 up
		busybox udhcpc -i eth0 -n -q -f -t 20 -T 1 -s /run/udhcpc.sh
	SCRIPT
}

net_addresses()
{
	local name
	for name in neta netb; do
		net_up $name || return 1
		want_line "^address 10\\.[0-9.]*/24 10\\.[0-9.]*\\.1 $name lan\$" \
			"$WORK/o" || return 1
		want_line '^1500$' "$WORK/o" || return 1
	done
}

net_names()
{
	runner_do neta 60 <<-'SCRIPT' || return 1
		set -e
		read -r ip _ < <(getent ahostsv4 netb)
		echo "netb is $ip"
		busybox ping -c 3 $ip
		getent ahostsv4 netb.lan | grep "^$ip "
		getent hosts $ip | grep 'netb.lan'
		! getent ahostsv4 nobody
		busybox ping -c 1 ${ip%.*}.1
	SCRIPT
	want_line '3 packets received' "$WORK/o"
}

# net_send FROM TO - NET_MIB over TCP, and their sum at both ends
net_send()
{
	local to nr
	runner_send "$2" <<-'SCRIPT'
		# Its end of input would be one for the other side.
		busybox nc -l -p 5000 < <(exec sleep 3600) | sha256sum
	SCRIPT
	nr=$RUNNER_NR
	runner_do "$1" 120 <<-SCRIPT || return 1
		head -c ${NET_MIB}M /dev/urandom >/tmp/bytes
		read -r ip _ < <(getent ahostsv4 $2)
		until cat /tmp/bytes >/dev/tcp/\$ip/5000; do
			sleep 0.2
		done
		sha256sum </tmp/bytes
	SCRIPT
	to=$(grep -oE '^[0-9a-f]{64}' "$WORK/o") || fail "no sum: $(<"$WORK/o")" ||
		return 1
	runner_result "$2" 60 "$nr" || return 1
	want_line "^$to" "$WORK/o"
}

net_tcp()
{
	net_send neta netb && net_send netb neta || return 1
	runner_do neta 60 <<-'SCRIPT'
		cat /proc/net/dev
	SCRIPT
}

# With an address that is not its own, neta reaches nobody; with its own it does.
net_foreign()
{
	runner_do neta 60 <<-'SCRIPT'
		set -e
		read -r ip _ < <(getent ahostsv4 netb)
		ip addr add ${ip%.*}.200/24 dev eth0
		! busybox ping -c 2 -W 1 -I ${ip%.*}.200 $ip
		ip addr del ${ip%.*}.200/24 dev eth0
		busybox ping -c 1 $ip
	SCRIPT
}

# net_listed VM... - "disco net ls" has these VMs in the network, and no other
net_listed()
{
	[[ "$("$DISCO" net ls | awk '$1 == "lan" && $5 == "up" { print $2 }' |
		sort | tr '\n' ' ')" == "$* " ]]
}

# Both reach each other as before, and a new one reaches them: a tiny guest, which
# calls by broadcast.
net_adopted()
{
	local name
	kill_monitor TERM || return 1
	wait "$MONITOR_PID" 2>/dev/null
	start_monitor || return 1
	for name in neta netb; do
		wait_state $name running 20 || return 1
		wait "${RUNNER_PID[$name]}"
		runner_attach $name
	done
	until_true 20 net_listed neta netb || fail "$("$DISCO" net ls)" ||
		return 1
	net_send neta netb || return 1
	"$DISCO" run -d --name netd --memory 64M --net name=lan \
		--kernel "$GUESTS/lan.elf" --cmdline 'tiny dead=1' \
		>/dev/null || fail 'no tiny guest' || return 1
	net_listed neta netb netd || fail "$("$DISCO" net ls)" || return 1
	runner_do neta 60 <<-'SCRIPT' || return 1
		heard() { cat /sys/class/net/eth0/statistics/rx_packets; }
		before=$(heard)
		until (($(heard) > before + 50)); do sleep 0.2; done
		getent ahostsv4 netd
		read -r ip _ < <(getent ahostsv4 netb)
		busybox ping -c 1 $ip
	SCRIPT
	want_line '^10\..* netd.lan$' "$WORK/o"
}

net_killed()
{
	# On a slow machine it does not wait long enough for their ends.
	"$DISCO" kill netd netb 2>/dev/null
	wait_state netb ended 60 && wait_state netd ended 60 || return 1
	net_listed neta || fail "$("$DISCO" net ls)" || return 1
	runner_do neta 60 <<-'SCRIPT'
		set -e
		while getent ahostsv4 netb; do sleep 0.2; done
		ip neigh flush dev eth0
		read -r ip _ < <(getent ahostsv4 neta)
		! busybox ping -c 1 -W 1 ${ip%.*}.3
		busybox ping -c 1 ${ip%.*}.1
	SCRIPT
}

s_networks()
{
	start_monitor || return 1
	runner_start neta --net name=lan || return 1
	runner_start netb --net name=lan || return 1
	runner_ready neta netb || return 1
	part guests_get_addresses net_addresses
	part names_resolve net_names
	part tcp_both_ways net_tcp
	part foreign_addresses_go_nowhere net_foreign
	part next_monitor_keeps_networks net_adopted
	part killed_peer_is_gone net_killed
	runner_end neta
	stop_monitor
}

t_tiny_lan()
{
	run_disco "$WORK/o" -n 3 --net name=lan --memory 64M \
		--kernel "$GUESTS/lan.elf" --cmdline 'tiny peers=2'
	want_status 0 "$WORK/o" || return 1
	has_lines 3 'PASS lan' "$WORK/o" || fail "$(<"$WORK/o")"
}
