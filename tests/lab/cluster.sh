# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# A cluster of stock guests: disco up, exec in all of them, down; a directory that
# one exports by NFS and three mount, with races on it; the server is killed and
# started again. CLUSTER_ROUNDS: of each race (5). Needs monitor.sh.

CLUSTER_ROUNDS=${CLUSTER_ROUNDS:-5}

scenario cluster cluster_comes_up cluster_exec cluster_least_loaded \
	nfs_file_is_shared nfs_renames nfs_locks_and_appends \
	nfs_server_is_killed cluster_client_is_killed cluster_goes_down \
	cluster_start_fails

# cluster_file - what all of it is about
cluster_file()
{
	local how='"huge": "thp", "kernel": "'$PWD/$KERNEL'",
		"initrd": "'$PWD/$INITRD'"'
	cat >"$WORK/c.json" <<-END
	{ "cluster": "c",
	  "nfs": { "role": "server", "export": "/srv/share" },
	  "roles": [
	  { "name": "server", $how, "memory": "256M", "node": 2,
	    "cmdline": "console=ttyS0 quiet disco.rw disco.run=cluster",
	    "disks": [ { "path": "$PWD/$ROOT_DISK", "cow": "{vm}.cow" } ],
	    "start": [ "echo server >/srv/share/roles" ],
	    "health": [ "test -s /srv/share/roles" ],
	    "deadline": $((200 * SCALE)) },
	  { "name": "client", $how, "memory": "256M", "count": 3,
	    "nodes": [ 1, 2 ],
	    "cmdline": "console=ttyS0 quiet disco.run=cluster",
	    "disks": [ { "path": "$PWD/$ROOT_DISK", "ro": true } ],
	    "start": [ "echo \$DISCO_VM of \$DISCO_COUNT >/srv/share/\$DISCO_INDEX" ],
	    "health": [ "grep -qx \"\$DISCO_VM of 3\" /srv/share/\$DISCO_INDEX" ],
	    "deadline": $((200 * SCALE)) } ] }
	END
}

# cluster_do STATUS ARG... - "disco ARG..." with that status; what it has printed
# is in $WORK/o and $WORK/o.err
cluster_do()
{
	local want=$1
	shift
	STATUS=0
	timeout -k 5 $((300 * SCALE)) "$DISCO" "$@" >"$WORK/o" \
		2>"$WORK/o.err" </dev/null || STATUS=$?
	want_status "$want" "$WORK/o"
}

# in_clients SCRIPT - by bash in the three at once; $ME is the number of each
in_clients()
{
	# shellcheck disable=SC2016 # expanded in the guest
	cluster_do 0 exec c/client -- bash -c \
		'cd /srv/share; ME=$(hostname); ME=${ME##*-}; eval "$1"' x "$1"
}

cluster_up()
{
	cluster_file
	cluster_do 0 up "$WORK/c.json" || return 1
	want_line '^c: 4 guest agents answer' "$WORK/o.err" &&
		want_line '^c: 3 VMs have mounted /srv/share of c-server' \
			"$WORK/o.err" &&
		want_line '^c: role client is up: 3 VMs' "$WORK/o.err" ||
		return 1
	sed 's/^/# /' "$WORK/o.err"
	want_line '^c-server .* c/server$' <("$DISCO" ls) &&
		want_line '^c-client-1 +running +2 .* c/client$' <("$DISCO" ls) ||
		return 1
	# It is up: nothing is started, and no start command is run again; a
	# check fails at its deadline.
	sed 's/"deadline": [0-9]*/"deadline": '$((5 * SCALE))/ "$WORK/c.json" \
		>"$WORK/soon.json"
	cluster_do 0 exec c-client-0 -- rm /srv/share/roles &&
		cluster_do 24 up "$WORK/soon.json" &&
		want_line 'c-server: health check .* exit status 1$' \
			"$WORK/o.err" || return 1
	cluster_do 0 exec c-client-0 -- sh -c 'echo x >/srv/share/roles' &&
		cluster_do 0 up "$WORK/c.json"
}

cluster_exec()
{
	cluster_do 0 exec c -- sh -c 'hostname; getent hosts c-client-1' ||
		return 1
	local name
	for name in c-server c-client-0 c-client-1 c-client-2; do
		want_line "^$name +\\| $name\$" "$WORK/o" &&
			want_line "^$name +\\| [0-9a-f]+[.:].* c-client-1" "$WORK/o" &&
			want_line "^$name +0\$" "$WORK/o.err" || return 1
	done
	# shellcheck disable=SC2016 # expanded in the guest
	cluster_do 1 exec c/client -- bash -c 'me=$(hostname); exit ${me##*-}' &&
		want_line '^c-client-2 +2$' "$WORK/o.err" || return 1
	[[ $(grep -c '^c-server' "$WORK/o.err") == 0 ]] ||
		fail 'the server has no such role'
}

# Three that run at once are in three VMs.
cluster_least()
{
	local i pids=()
	for i in 1 2 3; do
		timeout -k 5 $((120 * SCALE)) "$DISCO" exec --least-loaded \
			c/client -- sh -c "hostname
			touch /srv/share/least-$i
			while ! [ -e /srv/share/least-1 -a \
				-e /srv/share/least-2 -a \
				-e /srv/share/least-3 ]; do
				ls /srv/share >/dev/null; sleep 0.2; done" \
			</dev/null >"$WORK/least-$i" 2>&1 &
		pids+=($!)
	done
	for i in 1 2 3; do
		wait "${pids[i - 1]}" || fail "$i: $(<"$WORK/least-$i")" ||
			return 1
	done
	(($(sort -u "$WORK"/least-[123] | grep -c '^c-client-[012]$') == 3)) ||
		fail "not in three: $(cat "$WORK"/least-[123])"
}

nfs_file()
{
	local sum
	cluster_do 0 exec c-client-0 -- sh -c 'head -c 3M /dev/urandom \
		>/srv/share/file && sha256sum </srv/share/file' || return 1
	sum=$(cut -d ' ' -f 1 "$WORK/o")
	cluster_do 0 exec c -- sha256sum /srv/share/file || return 1
	(($(grep -c "| $sum " "$WORK/o") == 4)) ||
		fail "not $sum in all: $(<"$WORK/o")"
}

# Each replaces one file by a whole one, and reads nothing else; of mkdir and link
# in the same place one succeeds. A file that another one replaces while it is
# read is stale (RFC 7530, 13.1.2.7): it is read again.
nfs_renames()
{
	# shellcheck disable=SC2016 # expanded in the guest
	in_clients 'set -e; line=$(printf "%01000d" $ME)
	for i in $(seq '"$CLUSTER_ROUNDS"'); do
		for k in 1 2 3 4; do echo $line; done >new.$ME
		mv new.$ME target
		until text=$(cat target 2>&-); do :; done
		got=$(echo "$text" | sort | uniq -c | tr -s " ")
		[ "$got" = " 4 ${got##* }" ] || { echo "torn: $got"; exit 1; }
		if mkdir dir-$i 2>&-; then echo won $ME mkdir $i; fi
		echo $ME >link.$ME
		if ln link.$ME link-$i 2>&-; then echo won $ME link $i; fi
	done; rm link.$ME; ! [ -e new.$ME ]' || return 1
	(($(grep -c 'won . mkdir' "$WORK/o") == CLUSTER_ROUNDS &&
		$(grep -c 'won . link' "$WORK/o") == CLUSTER_ROUNDS)) ||
		fail "winners: $(grep won "$WORK/o" | tr '\n' ' ')" || return 1
	cluster_do 0 exec c -- sh -c 'wc -c </srv/share/target' || return 1
	(($(grep -c '| 4004$' "$WORK/o") == 4)) || fail "$(<"$WORK/o")"
}

# A counter and appended lines, under a lock: none is lost.
nfs_locks()
{
	local want=$((3 * CLUSTER_ROUNDS))
	cluster_do 0 exec c-server -- sh -c \
		'echo 0 >/srv/share/counter; : >/srv/share/lines' || return 1
	# shellcheck disable=SC2016 # expanded in the guest
	in_clients 'for i in $(seq '"$CLUSTER_ROUNDS"'); do
		flock lock sh -c "read -r n <counter && echo \$((n + 1)) >counter &&
			echo line $ME $i >>lines" || exit 1
	done' || return 1
	cluster_do 0 exec c -- sh -c 'cat /srv/share/counter
		grep -c "^line [0-2] [0-9]*$" /srv/share/lines
		sort -u /srv/share/lines | wc -l' || return 1
	(($(grep -c "| $want\$" "$WORK/o") == 12)) ||
		fail "not $want everywhere: $(<"$WORK/o")"
}

# Clients write while it is away, and one keeps its lock.
nfs_server_dies()
{
	local pid
	# shellcheck disable=SC2016 # expanded in the guest
	cluster_do 0 exec c-client-0 -- bash -c 'cd /srv/share; exec 8>held
		{ flock 8 && exec setsid sleep 3000; } <&- >&- 2>&- &
		sleep 1; ! flock -n held true' || return 1
	# shellcheck disable=SC2016 # expanded in the guest
	timeout -k 5 $((400 * SCALE)) "$DISCO" exec c/client -- bash -c '
		cd /srv/share; me=$(hostname)
		for i in $(seq 40); do
			echo $me $i >away-$me-$i && sync away-$me-$i || exit 1
			[ $i -gt 3 ] || touch begun-$me
			sleep 0.3
		done; ls away-$me-* | wc -l' </dev/null >"$WORK/away" 2>&1 &
	pid=$!
	cluster_do 0 exec c-server -- sh -c 'cd /srv/share
		until [ $(ls begun-* | wc -l) = 3 ]; do sleep 0.2; done' ||
		return 1
	cluster_do 0 kill c-server && wait_state c-server ended 60 || return 1
	cluster_do 0 up "$WORK/c.json" || return 1
	want_line '^c: 1 of 4 VMs were started' "$WORK/o.err" || return 1
	wait $pid || fail "clients: $(tail -n 5 "$WORK/away")" || return 1
	(($(grep -c '| 40$' "$WORK/away") == 3)) ||
		fail "files: $(<"$WORK/away")" || return 1
	# shellcheck disable=SC2016 # expanded in the guest
	cluster_do 0 exec c-server -- sh -c 'cat /srv/share/away-* | wc -l' &&
		want_line '^120$' "$WORK/o" || return 1
	cluster_do 1 exec c-client-1 -- flock -n /srv/share/held true ||
		fail 'the lock that client 0 had is lost'
}

# In the middle of a command in all: it is reported, the rest is right.
cluster_killed()
{
	local pid status=0
	timeout -k 5 $((300 * SCALE)) "$DISCO" exec c/client -- sh -c \
		'touch /srv/share/run-$(hostname)
		until [ -e /srv/share/go ]; do ls /srv/share >/dev/null
			sleep 0.2; done; echo done' \
		</dev/null >"$WORK/killed" 2>&1 &
	pid=$!
	cluster_do 0 exec c-server -- sh -c 'cd /srv/share
		until [ $(ls run-* | wc -l) = 3 ]; do sleep 0.2; done' ||
		return 1
	cluster_do 0 kill c-client-2 && wait_state c-client-2 ended 60 &&
		cluster_do 0 exec c-server -- touch /srv/share/go || return 1
	wait $pid || status=$?
	((status == 17)) || fail "exit status $status: $(<"$WORK/killed")" ||
		return 1
	want_line '^c-client-0 +0$' "$WORK/killed" &&
		want_line '^c-client-1 +0$' "$WORK/killed" &&
		want_line '^c-client-2 +c-client-2: the guest has ended' \
			"$WORK/killed" &&
		has_lines 2 '^c-client-[01] +\| done$' "$WORK/killed"
}

cluster_down()
{
	cluster_do 0 down "$WORK/c.json" || return 1
	want_line '^c-server +ended .* 0 ok' <("$DISCO" ls) &&
		want_line '^c-client-0 +ended .* 0 ok' <("$DISCO" ls) &&
		want_line '^c-client-1 +ended .* 0 ok' <("$DISCO" ls)
}

cluster_fails()
{
	cat >"$WORK/f.json" <<-END
	{ "cluster": "f", "roles": [ { "name": "x", "count": 2,
	  "kernel": "$PWD/$KERNEL", "initrd": "$PWD/$INITRD",
	  "memory": "256M", "huge": "thp",
	  "cmdline": "console=ttyS0 quiet disco.run=cluster",
	  "disks": [ { "path": "$PWD/$ROOT_DISK", "snapshot": true } ],
	  "deadline": $((200 * SCALE)),
	  "start": [ "true", "[ \$DISCO_INDEX = 0 ] || { echo no room; exit 5; }" ] } ] }
	END
	cluster_do 24 up "$WORK/f.json" || return 1
	want_line '^disco: cluster f is not up: f-x-1: start command .* exit status 5: no room; the VMs that were started are stopped$' \
		"$WORK/o.err" || return 1
	in_state f-x-0 ended && in_state f-x-1 ended ||
		fail "they run: $("$DISCO" ls)"
}

s_cluster()
{
	start_monitor --balance=off || return 1
	part cluster_comes_up cluster_up || return 1
	part cluster_exec cluster_exec
	part cluster_least_loaded cluster_least
	part nfs_file_is_shared nfs_file
	part nfs_renames nfs_renames
	part nfs_locks_and_appends nfs_locks
	part nfs_server_is_killed nfs_server_dies
	part cluster_client_is_killed cluster_killed
	part cluster_goes_down cluster_down
	part cluster_start_fails cluster_fails
	stop_monitor
}

# --- sixteen guests: names, and one command in all of them ---------------------
scenario sixteen sixteen_come_up sixteen_resolve_each_other \
	sixteen_answer_in_one_table

SIXTEEN=16

# sixteen_file - each guest notes when its link is up, and when it last asked for
# a name in vain, in seconds of the clock that all of them share
sixteen_file()
{
	local script how
	script=$(base64 -w 0 <<-END
		(
		cd /run
		until ip -4 addr show dev eth0 | grep -q inet; do sleep 0.2; done
		date +%s.%N >link
		echo 0 >vain
		for ((i = 0; i < $SIXTEEN; i++)); do
			while asked=\$(date +%s.%N)
				! getent hosts many-guest-\$i; do
				echo \$asked >vain
				sleep 0.2
			done
		done >names.tmp
		mv names.tmp names
		) &
		exec /usr/lib/disco/cluster
	END
	)
	how='"huge": "thp", "kernel": "'$PWD/$KERNEL'",
		"initrd": "'$PWD/$INITRD'"'
	cat >"$WORK/many.json" <<-END
	{ "cluster": "many", "roles": [
	  { "name": "guest", $how, "memory": "192M", "count": $SIXTEEN,
	    "cmdline": "console=ttyS0 quiet disco.sh=$script",
	    "nets": [ { "name": "many" } ],
	    "disks": [ { "path": "$PWD/$ROOT_DISK", "ro": true } ],
	    "health": [ "test -s /run/names" ],
	    "deadline": $((300 * SCALE)) } ] }
	END
}

sixteen_up()
{
	sixteen_file
	cluster_do 0 up "$WORK/many.json" || return 1
	sed 's/^/# /' "$WORK/o.err"
	want_line "^many: role guest is up: $SIXTEEN VMs" "$WORK/o.err"
}

# latest FILE - the last of the times of that name in the guests
latest()
{
	cluster_do 0 exec many -- cat "/run/$1" &&
		sed -n 's/^many-guest-[0-9]* *| //p' "$WORK/o" | sort -n | tail -n 1
}

# A second after the last link is up, nobody asks in vain; a machine that is
# slower has longer.
sixteen_names()
{
	local link vain
	link=$(latest link) && vain=$(latest vain) ||
		fail "$(<"$WORK/o")" || return 1
	awk -v link="$link" -v vain="$vain" -v limit="$SCALE" 'BEGIN {
		if (vain == 0)
			print "# nobody has asked in vain"
		else
			printf "# last asked in vain %.2f s after the last link; limit: %d s\n",
				vain - link, limit
		exit !(link > 0 && vain - link <= limit) }' ||
		fail "links up at $link, asked in vain at $vain" || return 1
	cluster_do 0 exec many -- sort -u -k 2 /run/names || return 1
	[[ $(sed -n 's/^many-guest-[0-9]* *| [0-9a-f:.]* *//p' "$WORK/o" |
		sort | uniq -c | awk '{ print $1 }' | sort -u) == "$SIXTEEN" ]] ||
		fail "a name is missing: $(<"$WORK/o")"
}

sixteen_table()
{
	local i
	cluster_do 0 exec many -- hostname || return 1
	for ((i = 0; i < SIXTEEN; i++)); do
		want_line "^many-guest-$i +\\| many-guest-$i\$" "$WORK/o" &&
			want_line "^many-guest-$i +0\$" "$WORK/o.err" || return 1
	done
	[[ $(grep -cE '^many-guest-[0-9]+ +[0-9]+$' "$WORK/o.err") == "$SIXTEEN" ]] ||
		fail "not one line each: $(<"$WORK/o.err")"
}

s_sixteen()
{
	start_monitor --balance=off || return 1
	part sixteen_come_up sixteen_up || return 1
	part sixteen_resolve_each_other sixteen_names
	part sixteen_answer_in_one_table sixteen_table
	cluster_do 0 down many
	stop_monitor
}
