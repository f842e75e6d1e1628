# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Links of virtual networks between stock guests: addresses of the operator's
# choice, IPv6, two networks, what ports count, dumps, workers that are killed in
# the middle of a transfer and come back, and devices with several queues.

scenario network_links addresses_are_chosen ipv6_has_names \
	two_networks_are_apart dumps_are_read frames_are_counted \
	killed_worker_comes_back restarted_vm_keeps_its_address
scenario network_queues pairs_of_queues_are_seen flows_arrive_whole \
	interrupts_on_several_queues dumps_have_all_queues \
	next_monitor_keeps_queues

# link_address NAME - of its first network
link_address()
{
	"$DISCO" net ls | awk -v vm="$1" '$1 == "lan" && $2 == vm { print $3 }'
}

links_chosen()
{
	local name
	for name in linka linkb linkc; do
		net_up $name || return 1
		want_line "^address 10\\.77\\.[0-9.]*/20 10\\.77\\.0\\.1 $name" \
			"$WORK/o" || return 1
	done
	want_line '^address 10\.77\.9\.99/20' "$WORK/o" || return 1
	[[ $(link_address linkc) == 10.77.9.99 ]] ||
		fail "$("$DISCO" net ls)" || return 1
	# In use, and of another subnet.
	! "$DISCO" run -d --name linkd --kernel "$KERNEL" \
		--net name=lan,ip=10.77.9.99 2>"$WORK/o" &&
		want_line '10\.77\.9\.99 already' "$WORK/o" || return 1
	! "$DISCO" run -d --name linkd --kernel "$KERNEL" \
		--net name=lan,subnet=10.78.0.0/20 2>"$WORK/o" &&
		want_line '10\.77\.0\.0/20' "$WORK/o"
}

# The kernel makes its addresses itself; they are announced and found.
links_ipv6()
{
	runner_do linka 90 <<-'SCRIPT'
		set -e
		until read -r ip _ < <(getent ahostsv6 linkc); do
			sleep 0.5
		done
		echo "linkc is $ip"
		[[ $ip == fd* ]]
		until busybox ip -6 addr show dev eth0 | grep 'inet6 fd' |
			grep -v tentative; do
			sleep 0.2
		done
		until busybox ping6 -c 2 $ip; do sleep 0.5; done
		getent hosts $ip | grep linkc.lan
		! busybox ip -6 route | grep default
	SCRIPT
}

# names_of_lan NAME - the resolver asks the first network again
names_of_lan()
{
	runner_do "$1" 30 <<-'SCRIPT'
		printf 'search lan\nnameserver 10.77.0.1\n' >/etc/resolv.conf
	SCRIPT
}

links_apart()
{
	local name
	for name in linka linkc; do
		runner_do $name 60 <<-'SCRIPT' || return 1
			ip link set eth1 up
			busybox udhcpc -i eth1 -n -q -f -t 20 -T 1 \
				-s /run/udhcpc.sh
		SCRIPT
		want_line '^address .* wan$' "$WORK/o" || return 1
	done
	runner_do linka 60 <<-'SCRIPT'
		set -e
		# The last DHCP has set the resolver: names are the second one's.
		read -r ip _ < <(getent ahostsv4 linkc.wan)
		ip route get $ip | grep eth1
		busybox ping -c 2 $ip
		! getent ahostsv4 linkb.wan
	SCRIPT
	names_of_lan linka && names_of_lan linkc
}

# dump_line PATTERN FILE - tcpdump reads it
dump_line()
{
	tcpdump -n -r "$2" >"$WORK/o" 2>"$WORK/o.err" ||
		fail "tcpdump: $(tail -n 2 "$WORK/o.err")" || return 1
	want_line "$1" "$WORK/o"
}

links_dumped()
{
	local pid
	"$DISCO" net dump -w "$WORK/dump" linka 2>"$WORK/dump.err" &
	pid=$!
	until_true 20 test -s "$WORK/dump" || fail 'no dump' || return 1
	runner_do linka 60 <<-'SCRIPT' || return 1
		read -r ip < <(ip -4 -o addr show dev eth0 | awk '{ print $4 }')
		busybox ping -c 3 10.77.9.99
	SCRIPT
	net_send linka linkc || return 1
	kill -INT $pid
	wait $pid || fail "$(<"$WORK/dump.err")" || return 1
	want_line 'linka: [0-9]+ frames, [0-9]+ lost' "$WORK/dump.err" ||
		return 1
	dump_line 'ICMP echo reply' "$WORK/dump" &&
		dump_line '10\.77\.9\.99\.5000: Flags \[S\]' "$WORK/dump" ||
		return 1
	# Checksums that the guest left to its device are complete.
	tcpdump -n -v -r "$WORK/dump" tcp >"$WORK/o" 2>/dev/null
	! grep -q 'cksum.*incorrect' "$WORK/o" ||
		fail "$(grep -m 1 incorrect "$WORK/o")" || return 1
	if type tshark >/dev/null 2>&1; then
		tshark -n -r "$WORK/dump" -T fields -e frame.interface_name \
			-e frame.packet_flags_direction >"$WORK/o" \
			2>"$WORK/o.err" || fail "$(<"$WORK/o.err")" || return 1
		want_line '^lan' "$WORK/o" || return 1
	else
		echo '# SKIP tshark: not installed'
	fi
	# A pipe, and a number of frames.
	runner_send linka <<-'SCRIPT'
		busybox ping -c 20 10.77.9.99
	SCRIPT
	timeout $((60 * SCALE)) "$DISCO" net dump -c 4 -s 60 linka \
		2>/dev/null | tcpdump -n -r - >"$WORK/dump.text" 2>/dev/null
	runner_result linka 60 || return 1
	(($(wc -l <"$WORK/dump.text") == 4)) ||
		fail "not 4 frames: $(<"$WORK/dump.text")"
}

# link_count NAME FIELD - of its port in the network "lan"
link_count()
{
	"$DISCO" net ls --json | json_paths | awk -v vm="$1" -v field="$2" '
	$1 ~ /nets\.[0-9]+\.name$/ { lan = $2 == "lan" }
	$1 ~ /ports\.[0-9]+\.vm$/ { seen = lan && $2 == vm }
	seen && $1 ~ ("ports\\.[0-9]+\\." field "$") { print $2 }'
}

# Of pairs that have just exchanged frames.
links_pairs_counted()
{
	runner_do linka 60 <<-'SCRIPT' || return 1
		read -r ip _ < <(getent ahostsv4 linkc)
		busybox ping -c 1 $ip
	SCRIPT
	"$DISCO" net ls --pairs >"$WORK/o" &&
		want_line '^lan +linka +linkc +[1-9][0-9]* +[1-9]' "$WORK/o" &&
		want_line '^lan +linkc +linka +[1-9][0-9]* +[1-9]' \
			"$WORK/o" || return 1
	"$DISCO" stats --pairs >"$WORK/o" &&
		want_line '^lan +linka +linkc +[1-9]' "$WORK/o" || return 1
	curl -s --unix-socket "$DISCO_STATE_DIR/api.sock" \
		http://disco/metrics >"$WORK/o"
	want_line '^disco_vm_net_pair_bytes_total\{vm="linka",net="lan",peer="linkc",way="sent"\} [1-9]' \
		"$WORK/o"
}

links_counted()
{
	local sent received refused
	sent=$(link_count linka sent_bytes)
	received=$(link_count linkc received_bytes)
	refused=$(link_count linka dropped_refused)
	((sent > NET_MIB << 20 && received > NET_MIB << 20)) ||
		fail "sent $sent, received $received:" \
			"$("$DISCO" net ls --json)" || return 1
	links_pairs_counted || return 1
	# From a foreign address.
	runner_do linka 60 <<-'SCRIPT' || return 1
		ip addr add 10.77.8.8/20 dev eth0
		! busybox ping -c 2 -W 1 -I 10.77.8.8 10.77.9.99
		ip addr del 10.77.8.8/20 dev eth0
	SCRIPT
	(($(link_count linka dropped_refused) > refused)) ||
		fail "refused: still $refused" || return 1
	curl -s --unix-socket "$DISCO_STATE_DIR/api.sock" \
		http://disco/metrics >"$WORK/o"
	want_line '^disco_vm_net_bytes_total\{vm="linka",net="lan",way="sent"\} [1-9]' \
		"$WORK/o" &&
		want_line '^disco_vm_net_dropped_total\{vm="linka",net="lan",way="sent",reason="refused"\} [1-9]' \
			"$WORK/o"
}

# link_pid NAME - of its worker
link_pid()
{
	"$DISCO" ls --json | json_paths | awk -v vm="$1" '
	$1 ~ /\.name$/ { seen = $2 == vm }
	seen && $1 ~ /\.pid$/ { print $2 }'
}

# links_again NAME PID - another process runs it
links_again()
{
	local now
	now=$(link_pid "$1")
	[[ $now && $now != 0 && $now != "$2" ]]
}

# While linka sends to linkb without an end, linkb's worker is killed; what linka
# sends to linkc at that time arrives. linkb comes back by its policy.
links_killed()
{
	local pid before
	pid=$(link_pid linkb)
	before=$(link_address linkb)
	[[ $pid && $before ]] || fail "$("$DISCO" ls)" || return 1
	runner_do linka 60 <<-SCRIPT || return 1
		busybox nc -w 600 $before 5001 </dev/zero >/dev/null 2>&1 &
	SCRIPT
	runner_send linkb <<-'SCRIPT'
		busybox nc -l -p 5001 >/dev/null
	SCRIPT
	runner_do linka 90 <<-SCRIPT || return 1
		sent() { cat /sys/class/net/eth0/statistics/tx_bytes; }
		before=\$(sent)
		until ((\$(sent) > before + 1000000)); do
			sleep 0.2
			busybox pgrep nc >/dev/null ||
				busybox nc -w 600 $before 5001 </dev/zero \
					>/dev/null 2>&1 &
		done
	SCRIPT
	kill -9 "$pid" || fail "no process $pid" || return 1
	net_send linka linkc || return 1
	until_true 60 links_again linkb "$pid" || fail "$("$DISCO" ls)" ||
		return 1
	wait_state linkb running 60 || return 1
	wait "${RUNNER_PID[linkb]}"
	runner_attach linkb
	runner_ready linkb && net_up linkb || return 1
	want_line "^address ${before//./\\.}/20 " "$WORK/o" || return 1
	runner_do linka 30 <<-'SCRIPT' || return 1
		! busybox pgrep nc >/dev/null || busybox killall nc
	SCRIPT
	net_send linka linkb && net_send linkb linka
}

links_restarted()
{
	local pid before
	pid=$(link_pid linkb)
	before=$(link_address linkb)
	"$DISCO" restart --timeout 0 linkb >"$WORK/o" 2>&1 ||
		fail "restart: $(<"$WORK/o")" || return 1
	until_true 60 links_again linkb "$pid" || fail "$("$DISCO" ls)" ||
		return 1
	wait "${RUNNER_PID[linkb]}"
	runner_attach linkb
	runner_ready linkb && net_up linkb || return 1
	want_line "^address ${before//./\\.}/20 " "$WORK/o" || return 1
	net_send linkc linkb
}

s_network_links()
{
	local lan=name=lan,subnet=10.77.0.0/20
	start_monitor || return 1
	runner_start linka --net "$lan" --net name=wan || return 1
	runner_start linkb --net "$lan" --restart on-failure || return 1
	runner_start linkc --net "$lan,ip=10.77.9.99" --net name=wan || return 1
	runner_ready linka linkb linkc || return 1
	part addresses_are_chosen links_chosen
	part ipv6_has_names links_ipv6
	part dumps_are_read links_dumped
	part frames_are_counted links_counted
	part two_networks_are_apart links_apart
	part killed_worker_comes_back links_killed
	part restarted_vm_keeps_its_address links_restarted
	runner_end linka
	"$DISCO" kill linkb linkc
	stop_monitor
}

# queues_of NAME - "rx N tx N", as its driver has them in use
queues_of()
{
	runner_do "$1" 30 <<-'SCRIPT'
		cd /sys/class/net/eth0/queues
		echo "rx $(ls -d rx-* | wc -l) tx $(ls -d tx-* | wc -l)"
	SCRIPT
}

queues_seen()
{
	queues_of qa && want_line '^rx 4 tx 4' "$WORK/o" || return 1
	# As many as were asked for; and not more than it has CPUs.
	queues_of qb && want_line '^rx 2 tx 2' "$WORK/o" || return 1
	queues_of qc && want_line '^rx 1 tx 1' "$WORK/o" || return 1
	runner_do qc 30 <<-'SCRIPT' || return 1
		dev=$(basename "$(readlink -f /sys/class/net/eth0/device)")
		# Features of the device by bit, from 0: 22 is MQ.
		echo "mq $(cut -c 23 "/sys/bus/virtio/devices/$dev/features")"
		grep -c "$dev-input" /proc/interrupts | sed 's/^/inputs /'
	SCRIPT
	want_line '^mq 0' "$WORK/o" && want_line '^inputs 1' "$WORK/o"
}

# queues_flows - from each CPU of qa a TCP connection to qb at the same time;
# what arrives is what was sent
queues_flows()
{
	local want got nr
	runner_send qb <<-'SCRIPT'
		for c in 0 1 2 3; do
			busybox nc -l -p 500$c < <(exec sleep 3600) |
				sha256sum >/tmp/sum$c &
			pids+=($!)
		done
		wait "${pids[@]}"
		cat /tmp/sum?
	SCRIPT
	nr=$RUNNER_NR
	runner_do qa 180 <<-SCRIPT || return 1
		head -c ${NET_MIB}M /dev/urandom >/tmp/bytes
		read -r ip _ < <(getent ahostsv4 qb)
		for c in 0 1 2 3; do
			{ echo flow \$c; cat /tmp/bytes; } >/tmp/flow\$c
			until taskset -c \$c bash -c \
				"cat /tmp/flow\$c >/dev/tcp/\$ip/500\$c"; do
				sleep 0.2
			done &
			pids+=(\$!)
		done
		wait "\${pids[@]}"
		for c in 0 1 2 3; do sha256sum </tmp/flow\$c; done
	SCRIPT
	want=$(grep -oE '^[0-9a-f]{64}' "$WORK/o")
	(($(wc -l <<<"$want") == 4)) || fail "not 4 sums: $(<"$WORK/o")" ||
		return 1
	runner_result qb 60 "$nr" || return 1
	got=$(grep -oE '^[0-9a-f]{64}' "$WORK/o")
	[[ $got == "$want" ]] || fail "sent $want, arrived $(<"$WORK/o")"
}

# Each flow of qa is received where it is sent: on the queue of its CPU.
queues_interrupts()
{
	runner_do qa 30 <<-'SCRIPT' || return 1
		dev=$(basename "$(readlink -f /sys/class/net/eth0/device)")
		awk -v input="$dev-input" '
		index($NF, input) == 1 {
			n = $2 + $3 + $4 + $5
			print $NF, n
			busy += n > 0
		}
		END { print "busy", busy + 0 }' /proc/interrupts
	SCRIPT
	want_line '^busy [2-4]' "$WORK/o"
}

queues_dumped()
{
	local pid port
	"$DISCO" net dump -w "$WORK/dump" -s 100 qa 2>"$WORK/dump.err" &
	pid=$!
	until_true 20 test -s "$WORK/dump" || fail 'no dump' || return 1
	queues_flows || return 1
	kill -INT $pid
	wait $pid || fail "$(<"$WORK/dump.err")" || return 1
	for port in 5000 5001 5002 5003; do
		dump_line "\\.$port: Flags \\[S\\]" "$WORK/dump" || return 1
	done
}

queues_adopted()
{
	local name
	kill_monitor TERM || return 1
	wait "$MONITOR_PID" 2>/dev/null
	start_monitor || return 1
	for name in qa qb qc; do
		wait_state $name running 20 || return 1
		wait "${RUNNER_PID[$name]}"
		runner_attach $name
	done
	until_true 20 net_listed qa qb qc || fail "$("$DISCO" net ls)" ||
		return 1
	queues_flows && queues_of qa && want_line '^rx 4 tx 4' "$WORK/o"
}

s_network_queues()
{
	local name
	start_monitor || return 1
	runner_start qa --cpus 4 --net name=lan || return 1
	runner_start qb --cpus 4 --net name=lan,queues=2 || return 1
	runner_start qc --net name=lan,queues=4 || return 1
	runner_ready qa qb qc || return 1
	for name in qa qb qc; do
		net_up $name || return 1
	done
	part pairs_of_queues_are_seen queues_seen
	part flows_arrive_whole queues_flows
	part interrupts_on_several_queues queues_interrupts
	part dumps_have_all_queues queues_dumped
	part next_monitor_keeps_queues queues_adopted
	"$DISCO" kill qa qb qc
	stop_monitor
}
