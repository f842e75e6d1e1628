# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with segments that guests share.

# shm_dd_writes - one guest writes the device, the other reads the same bytes
shm_dd_writes()
{
	local sum
	runner_do shma 60 <<-'SCRIPT' || return 1
		set -e
		head -c 1M /dev/urandom >/tmp/bytes
		dd if=/tmp/bytes of=/dev/pmem0 bs=64k seek=16 oflag=direct \
			conv=notrunc status=none
		sha256sum </tmp/bytes
	SCRIPT
	sum=$(grep -oE '^[0-9a-f]{64}' "$WORK/o") || fail "no sum: $(<"$WORK/o")" ||
		return 1
	runner_do shmb 60 <<-'SCRIPT' || return 1
		dd if=/dev/pmem0 bs=64k skip=16 count=16 iflag=direct status=none |
			sha256sum
	SCRIPT
	want_line "^$sum" "$WORK/o"
}

# shm_program - what maps a file of a file system on the segment (DAX), in both
shm_program()
{
	cat <<-'C'
	#include <fcntl.h>
	#include <stdio.h>
	#include <stdlib.h>
	#include <string.h>
	#include <sys/mman.h>
	#include <unistd.h>
	/* map FILE MIB set|sum|wait VALUE: each page's word, read or written */
	int main(int argc, char **argv)
	{
		int write = !strcmp(argv[3], "set");
		unsigned long n = strtoul(argv[2], 0, 0) << 20, v, bad = 0, i;
		int fd = open(argv[1], write ? O_RDWR : O_RDONLY);
		volatile unsigned char *p = mmap(0, n, write ? PROT_READ |
			PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
		if (fd < 0 || p == MAP_FAILED)
			return perror(argv[1]), 1;
		v = argc > 4 ? strtoul(argv[4], 0, 0) : 0;
		if (!strcmp(argv[3], "wait"))
			while (*(volatile unsigned long *)(p + n - 4096) != v)
				usleep(1000);
		for (i = 0; i < n; i += 4096) {
			volatile unsigned long *w = (volatile unsigned long *)(p + i);
			if (write)
				*w = v;
			else if (*w != v)
				bad++;
		}
		printf("%lu pages, %lu are not %lu\n", n / 4096, bad, v);
		return bad != 0;
	}
	C
}

# shm_make_program - as a disk: guests have no linker
shm_make_program()
{
	shm_program >"$WORK/map.c" &&
		gcc -static -O1 -o "$WORK/map" "$WORK/map.c" &&
		truncate -s %512 "$WORK/map"
}

# shm_take_program NAME - from its second disk
shm_take_program()
{
	runner_do "$1" 60 <<-'SCRIPT' && want_line '^taken' "$WORK/o"
		cat /dev/vdb >/tmp/map && chmod +x /tmp/map && echo taken
	SCRIPT
}

# A file system of one guest, mounted with DAX by both: what one writes by
# mmap(2), the other one sees by mmap(2), without a system call in between.
shm_dax()
{
	shm_take_program shma && shm_take_program shmb || return 1
	runner_do shma 100 <<-'SCRIPT' || return 1
		set -e
		mkfs.ext4 -q -F -b 4096 -O ^has_journal /dev/pmem0
		mkdir -p /tmp/m
		mount -o dax=always /dev/pmem0 /tmp/m
		head -c 8M /dev/zero >/tmp/m/file
		sync
		mount | grep pmem0
	SCRIPT
	want_line 'dax=always' "$WORK/o" || return 1
	runner_do shmb 100 <<-'SCRIPT' || return 1
		set -e
		mkdir -p /tmp/m
		mount -o ro,noload,dax=always /dev/pmem0 /tmp/m
		/tmp/map /tmp/m/file 8 sum 0
	SCRIPT
	want_line '^2048 pages, 0 are not 0' "$WORK/o" || return 1
	runner_send shmb <<-'SCRIPT'
		/tmp/map /tmp/m/file 8 wait 4711
	SCRIPT
	local nr=$RUNNER_NR
	runner_do shma 60 <<-'SCRIPT' || return 1
		/tmp/map /tmp/m/file 8 set 4711
	SCRIPT
	runner_result shmb 60 "$nr" &&
		want_line '^2048 pages, 0 are not 4711' "$WORK/o"
}

shm_listed()
{
	"$DISCO" shm ls >"$WORK/o" || return 1
	want_line '^s +64 MiB .* 1 .*shma +0 ' "$WORK/o" &&
		want_line '^ +shmb +2 ' "$WORK/o" || return 1
	"$DISCO" run -d --name shmc --shm name=s,size=32M --memory 64M \
		--kernel "$GUESTS/busy.elf" >"$WORK/o" 2>&1
	want_line "shmc: segment 's' has 64 MiB, as 'shma' has named it, and not 32 MiB" \
		"$WORK/o"
}

# The next monitor has it, too: a VM that starts then shares it.
shm_adopted()
{
	local name
	kill_monitor TERM || return 1
	wait "$MONITOR_PID" 2>/dev/null
	start_monitor --balance=off || return 1
	for name in shma shmb; do
		wait_state $name running 20 || return 1
		wait "${RUNNER_PID[$name]}"
		runner_attach $name
	done
	shm_listed && shm_dd_writes
}

s_segments()
{
	shm_make_program || fail 'no program' || return 1
	start_monitor --balance=off || return 1
	runner_start shma --memory 192M,node=0 --shm name=s,size=64M,node=1 \
		--disk "path=$WORK/map,ro" &&
		runner_start shmb --memory 192M,node=2 --shm name=s,size=64M \
			--disk "path=$WORK/map,ro" || return 1
	runner_ready shma shmb || return 1
	part segment_is_written_and_read shm_dd_writes
	part segment_is_listed shm_listed
	part segment_is_mapped_by_both shm_dax
	part next_monitor_keeps_segments shm_adopted
	runner_end shma
	runner_end shmb
	[[ $("$DISCO" shm ls | wc -l) == 1 ]] || fail "$("$DISCO" shm ls)"
	stop_monitor
}
scenario segments segment_is_written_and_read segment_is_listed \
	segment_is_mapped_by_both next_monitor_keeps_segments

t_tiny_shm()
{
	run_disco "$WORK/o" -n 3 --shm name=s,size=2M --memory 64M \
		--kernel "$GUESTS/shm.elf" \
		--cmdline 'tiny guests=3 rounds=6 pages=100 reads=3'
	want_status 0 "$WORK/o" || return 1
	has_lines 3 'PASS shm' "$WORK/o" || fail "$(<"$WORK/o")"
}

# --- replicas -------------------------------------------------------------------

# shm_figure KEY - of segment s, from the API
shm_figure()
{
	"$DISCO" shm ls --json | python3 -c 'import json, sys
s = json.load(sys.stdin)["shms"][0]
print((s["replicas"] or {}).get(sys.argv[1], -1))' "$1"
}

# shm_local VM - percent of segment s that it finds on its node
shm_local()
{
	"$DISCO" shm ls --json | python3 -c 'import json, sys
for v in json.load(sys.stdin)["shms"][0]["vms"]:
    if v["vm"] == sys.argv[1]:
        print(int(v["local_percent"] or 0))' "$1"
}

shm_copies_at_least() { (($(shm_figure copies) >= $1)); }
shm_copies_are() { (($(shm_figure copies) == $1)); }
shm_local_at_least() { (($(shm_local "$1") >= $2)); }

# 4 MiB of what one has written are copied to the other one's node.
shm_replicated()
{
	local sum
	runner_do shma 60 <<-'SCRIPT' || return 1
		head -c 4M /dev/urandom >/tmp/bytes
		dd if=/tmp/bytes of=/dev/pmem0 bs=64k oflag=direct conv=notrunc \
			status=none
		sha256sum </tmp/bytes
	SCRIPT
	sum=$(grep -oE '^[0-9a-f]{64}' "$WORK/o") || fail "$(<"$WORK/o")" ||
		return 1
	"$DISCO" shm replicate s || fail 'replicate failed' || return 1
	until_true 60 shm_copies_at_least 900 ||
		fail "$(shm_figure copies) copies" || return 1
	until_true 30 shm_local_at_least shmb 85 ||
		fail "$(shm_local shmb) % are local" || return 1
	"$DISCO" shm ls | sed 's/^/# /'
	runner_do shmb 60 <<-'SCRIPT' || return 1
		dd if=/dev/pmem0 bs=64k count=64 iflag=direct status=none | sha256sum
	SCRIPT
	want_line "^$sum" "$WORK/o"
}

# A write of one guest is seen by the other: its copies are gone.
shm_written_again()
{
	local before
	before=$(shm_figure copies)
	shm_dd_writes || return 1
	echo "# $before copies before, $(shm_figure copies) after;" \
		"$(shm_figure collapsed) collapsed, $(shm_figure late) late"
	(($(shm_figure collapsed) >= 200)) ||
		fail "$(shm_figure collapsed) collapsed" || return 1
	(($(shm_figure late) == 0)) || fail 'a VM was late'
}

# The reader writes: its own copy is in the way, too.
shm_reader_writes()
{
	runner_do shmb 60 <<-'SCRIPT' || return 1
		echo from-the-reader >/tmp/x
		dd if=/tmp/x of=/dev/pmem0 bs=512 seek=1 conv=sync,notrunc \
			oflag=direct status=none
	SCRIPT
	runner_do shma 60 <<-'SCRIPT' || return 1
		dd if=/dev/pmem0 bs=512 skip=1 count=1 iflag=direct status=none |
			head -1
	SCRIPT
	want_line '^from-the-reader' "$WORK/o"
}

# The home's agent dies while there are copies; what is written then is seen.
shm_agent_killed()
{
	local pid
	"$DISCO" shm replicate s || return 1
	until_true 60 shm_copies_at_least 500 || fail "$(shm_figure copies)" ||
		return 1
	for pid in $(pgrep -x disco-agent); do
		kill -9 "$pid"
	done
	shm_dd_writes || return 1
	"$DISCO" shm replicate s
	until_true 100 shm_copies_at_least 500 || {
		"$DISCO" shm replicate s
		until_true 100 shm_copies_at_least 500
	} || fail "$(shm_figure copies) copies by the next agent" || return 1
	shm_dd_writes
}

# Neither a reader nor a writer that dies leaves anything behind.
shm_holder_killed()
{
	pkill -9 -f '^disco-vm shmb$'
	wait_state shmb ended 60 || return 1
	runner_do shma 60 <<-'SCRIPT' || return 1
		dd if=/dev/zero of=/dev/pmem0 bs=64k count=64 oflag=direct \
			conv=notrunc status=none && echo written
	SCRIPT
	want_line '^written' "$WORK/o" || return 1
	until_true 60 shm_copies_are 0 || fail "$(shm_figure copies) copies"
}

s_replicas()
{
	start_monitor --balance=off || return 1
	runner_start shma --memory 192M,node=0 --shm name=s,size=64M,node=0 &&
		runner_start shmb --memory 192M,node=2 --shm name=s,size=64M ||
		return 1
	runner_ready shma shmb || return 1
	part segment_is_replicated shm_replicated
	part write_collapses_replicas shm_written_again
	part reader_of_replica_writes shm_reader_writes
	part next_agent_replicates shm_agent_killed
	part killed_holder_is_not_waited_for shm_holder_killed
	runner_end shma
	stop_monitor
}
scenario replicas segment_is_replicated write_collapses_replicas \
	reader_of_replica_writes next_agent_replicates \
	killed_holder_is_not_waited_for
