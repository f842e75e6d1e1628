# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# IPv6 of stock guests: addresses that they choose (RFC 7217, RFC 8981), and the way
# out by an uplink, to a server in a network namespace of the test. Nothing is sent
# to any other address.

scenario chosen_addresses guests_choose_addresses chosen_addresses_are_listed \
	taken_addresses_are_refused flood_hurts_nobody_else strict_plan_has_none
scenario uplink6 guest_fetches_over_ipv6 published_port_of_ipv6 \
	others_have_no_ipv6_outside route_of_the_host_goes_and_comes

# six_choosing NAME - its first network, with addresses of the guest's own choice
six_choosing()
{
	runner_do "$1" 30 <<-'SCRIPT' || return 1
		set -e
		cd /proc/sys/net/ipv6/conf/eth0
		echo 3 >addr_gen_mode # RFC 7217, with a secret of this boot
		echo 2 >use_tempaddr  # RFC 8981, and used first
	SCRIPT
	net_up "$1"
}

# The address that is not temporary, of the prefix; in /proc: 32 digits, number of
# the interface, bits, scope (00: global), flags (01: temporary, 08: dad has failed,
# 40: tentative, 80: the kernel's own or set by hand; 00: by an advertisement).
SIX_B=::
six_chosen()
{
	local name
	for name in sixa sixb; do
		six_choosing $name || return 1
		runner_do $name 60 <<-'SCRIPT' || return 1
			set -e
			ready()
			{
				[[ $(awk '$6 == "eth0" && $4 == "00" && $5 == "01"' \
					/proc/net/if_inet6) ]] &&
					[[ $(awk '$6 == "eth0" && $4 == "00" && $5 == "00"' \
						/proc/net/if_inet6) ]] &&
					[[ $(awk '$6 == "eth0" && $4 == "20" && $5 == "80"' \
						/proc/net/if_inet6) ]]
			}
			until ready; do sleep 0.5; done
			cat /proc/net/if_inet6
			# None is made of the MAC address.
			! grep -E '^.{22}fffe.* eth0$' /proc/net/if_inet6
		SCRIPT
	done
	runner_do sixa 60 <<-'SCRIPT' || return 1
		set -e
		until read -r ip _ < <(getent ahostsv6 sixb); do sleep 0.5; done
		[[ $ip == fd* && $ip != *ff:fe* ]]
		until busybox ping6 -c 2 $ip; do sleep 0.5; done
		getent hosts $ip | grep sixb.lan
		echo "sixb is $ip"
	SCRIPT
	SIX_B=$(sed -n 's/^sixb is //p' "$WORK/o")
	want_line '^sixb is fd' "$WORK/o"
}

six_listed()
{
	"$DISCO" net ls --addresses >"$WORK/o" || return 1
	want_line "^lan +sixb +$SIX_B +chosen" "$WORK/o" &&
		want_line '^lan +sixa +fe80:.* chosen' "$WORK/o" &&
		want_line '^lan +sixa +fd.* planned' "$WORK/o"
}

# sixa takes the address of sixb, first as a stock guest would, then in spite of the
# answer: who asks still finds sixb.
six_taken()
{
	runner_do sixa 60 <<-SCRIPT || return 1
		set -e
		failed()
		{
			awk '\$6 == "eth0" && \$5 ~ /[89a-f]$/' /proc/net/if_inet6 |
				grep .
		}
		busybox ip -6 addr add $SIX_B/64 dev eth0
		until failed; do sleep 0.2; done
		busybox ip -6 addr del $SIX_B/64 dev eth0
		busybox ping6 -c 1 $SIX_B
		echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
		busybox ip -6 addr add $SIX_B/64 dev eth0
		read -r other _ < <(getent ahostsv6 sixc)
		! busybox ping6 -c 2 -W 1 -I $SIX_B \$other
		busybox ip -6 addr del $SIX_B/64 dev eth0
		echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad
		busybox ping6 -c 1 $SIX_B
	SCRIPT
	runner_do sixc 60 <<-SCRIPT
		until busybox ping6 -c 1 $SIX_B; do sleep 0.5; done
	SCRIPT
}

six_flood()
{
	runner_do sixa 60 <<-'SCRIPT' || return 1
		read -r ip _ < <(getent ahostsv6 sixc)
		for i in {1..60}; do
			busybox ip -6 addr add ${ip%:*:*:*:*}:7:7:7:$i/64 dev eth0
		done
		until ! awk '$6 == "eth0" && $5 ~ /[4567cdef][0-7]$/' \
			/proc/net/if_inet6 | grep .; do
			sleep 0.5
		done
	SCRIPT
	"$DISCO" net ls --addresses >"$WORK/o" || return 1
	(($(grep -cE '^lan +sixa .* chosen' "$WORK/o") <= 20)) ||
		fail "$(<"$WORK/o")" || return 1
	runner_do sixb 60 <<-'SCRIPT'
		set -e
		read -r ip _ < <(getent ahostsv6 sixc)
		busybox ip -6 addr add ${ip%:*:*:*:*}:8:8:8:1/64 dev eth0
		until busybox ping6 -c 1 -I ${ip%:*:*:*:*}:8:8:8:1 $ip; do
			sleep 0.5
		done
	SCRIPT
}

six_strict()
{
	six_choosing sixs || return 1
	runner_do sixs 60 <<-'SCRIPT' || return 1
		set -e
		until awk '$6 == "eth0" && $5 ~ /[89a-f]$/' /proc/net/if_inet6 |
			grep .; do
			sleep 0.2
		done
		ip link set eth0 down
		echo 0 >/proc/sys/net/ipv6/conf/eth0/addr_gen_mode
		echo 0 >/proc/sys/net/ipv6/conf/eth0/use_tempaddr
		ip link set eth0 up
		until awk '$6 == "eth0" && $4 == "00" && $5 == "00"' \
			/proc/net/if_inet6 | grep -E '^.{22}fffe'; do
			sleep 0.2
		done
	SCRIPT
	"$DISCO" net ls --addresses >"$WORK/o" || return 1
	! grep -E '^strict .* chosen' "$WORK/o"
}

s_chosen_addresses()
{
	start_monitor || return 1
	runner_start sixa --net name=lan || return 1
	runner_start sixb --net name=lan || return 1
	runner_start sixc --net name=lan || return 1
	runner_start sixs --net name=strict,addresses=planned || return 1
	runner_ready sixa sixb sixc sixs || return 1
	net_up sixc || return 1
	part guests_choose_addresses six_chosen
	part chosen_addresses_are_listed six_listed
	part taken_addresses_are_refused six_taken
	part flood_hurts_nobody_else six_flood
	part strict_plan_has_none six_strict
	"$DISCO" kill sixa sixb sixc sixs
	stop_monitor
}

# --- outside ---

# the namespace "out6" has 2001:db8:5::2 (RFC 3849); the lab, which has a default
# route to it, ::1
six_outside()
{
	modprobe veth 2>/dev/null
	ip netns add out6 &&
		ip link add wire6 type veth peer name wire6 netns out6 &&
		ip -6 addr add 2001:db8:5::1/64 dev wire6 nodad &&
		ip link set wire6 up &&
		ip -n out6 -6 addr add 2001:db8:5::2/64 dev wire6 nodad &&
		ip -n out6 link set wire6 up &&
		ip -6 route add default via 2001:db8:5::2 dev wire6 ||
		fail 'no network namespace with IPv6' || return 1
	mkdir -p "$WORK/www"
	head -c 2M /dev/urandom >"$WORK/www/file"
	sha256sum <"$WORK/www/file" >"$WORK/www/sum"
	# What it inherited would keep the scenario's output open.
	ip netns exec out6 busybox httpd -f -p '[2001:db8:5::2]:80' \
		-h "$WORK/www" >/dev/null 2>&1 &
	SIX_SERVER=$!
	until_true 20 curl -gsf -m 5 -o /dev/null 'http://[2001:db8:5::2]/sum' ||
		fail 'no server'
}

# six_routed NAME - when it has a default route of IPv6
six_routed()
{
	runner_do "$1" 60 <<-'SCRIPT'
		until busybox ip -6 route | grep '^default'; do sleep 0.5; done
	SCRIPT
}

# Both ways: with an address of the plan, and with those that the guest has chosen.
six_fetch()
{
	runner_do "$1" 120 <<-'SCRIPT' || return 1
		set -e
		busybox wget -q -O /tmp/file 'http://[2001:db8:5::2]/file'
		sha256sum </tmp/file
	SCRIPT
	want_line "^$(cut -c 1-64 "$WORK/www/sum")" "$WORK/o"
}

six_guests_fetch()
{
	net_up upa && six_routed upa && six_fetch upa || return 1
	six_choosing upb && six_routed upb && six_fetch upb
}

six_page()
{
	curl -gsf -m 20 'http://[::1]:2223/page' >"$WORK/page" &&
		grep -q 'from the guest' "$WORK/page"
}

# upb is reached by an address that it has chosen.
six_published()
{
	runner_do upb 30 <<-'SCRIPT' || return 1
		while :; do
			printf 'HTTP/1.0 200 OK\r\n\r\nfrom the guest\n' |
				busybox nc -l -p 80 -w 5
		done >/dev/null 2>&1 &
	SCRIPT
	until_true 60 six_page || fail "no page: $(ss -ltn | grep 2223)"
}

six_others()
{
	local name
	for name in upc upd; do
		net_up $name || return 1
		runner_do $name 60 <<-'SCRIPT' || return 1
			set -e
			until awk '$6 == "eth0" && $4 == "00" && $5 == "00"' \
				/proc/net/if_inet6 | grep .; do
				sleep 0.2
			done
			! busybox ip -6 route | grep '^default'
			# By a route of its own making, it gets no further.
			read -r ip _ < <(getent ahostsv6 upa)
			busybox ping6 -c 1 $ip
			# The network's own: 02:d1 and the first IPv4 address.
			IFS=. read -r a b c _ < <(busybox ip -4 addr show dev eth0 |
				sed -n 's/.*inet \([0-9.]*\).*/\1/p')
			gw=$(printf 'fe80::d1:%xff:fe%02x:%x' $a $b $((c * 256 + 1)))
			busybox ip -6 route add default via "$gw" dev eth0
			! busybox wget -q -T 5 -O /dev/null \
				'http://[2001:db8:5::2]/sum'
		SCRIPT
	done
}

six_route_gone()
{
	runner_do upa 20 <<-'SCRIPT'
		! busybox ip -6 route | grep '^default'
	SCRIPT
}

# The uplink looks once a minute.
six_route_of_host()
{
	ip -6 route del default via 2001:db8:5::2 dev wire6 || return 1
	until_true 150 six_route_gone || fail 'a route that leads nowhere' ||
		return 1
	ip -6 route add default via 2001:db8:5::2 dev wire6 || return 1
	runner_do upa 180 <<-'SCRIPT' || return 1
		until busybox ip -6 route | grep '^default'; do sleep 1; done
	SCRIPT
	six_fetch upa
}

s_uplink6()
{
	uplink_missing uplink6 && return 0
	six_outside || return 1
	start_monitor || return 1
	runner_start upa --net name=lan,uplink || return 1
	runner_start upb --net name=lan,uplink --publish '[::1]:2223:80' ||
		return 1
	runner_start upc --net name=lan || return 1
	runner_start upd --net name=lan,uplink,ipv6=off || return 1
	runner_ready upa upb upc upd || return 1
	part guest_fetches_over_ipv6 six_guests_fetch
	part published_port_of_ipv6 six_published
	part others_have_no_ipv6_outside six_others
	part route_of_the_host_goes_and_comes six_route_of_host
	# First, as stop_monitor waits for every process of the scenario.
	kill "$SIX_SERVER"
	"$DISCO" kill upa upb upc upd
	stop_monitor
	ip netns del out6
}
