# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Tests with disks that are memory of the guest (virtio-pmem, DAX).
# t_pmem_from_cache needs monitor.sh, cache.sh and move.sh.

# make_dax_base FILE - as make_base, with blocks of a page, which DAX needs; of
# a length that is no multiple of anything the region is
make_dax_base()
{
	rm -rf "$WORK/tree"
	mkdir "$WORK/tree"
	seq 1 20000 >"$WORK/tree/from-base"
	mke2fs -q -F -t ext4 -b 4096 -d "$WORK/tree" "$1" 63M >/dev/null &&
		truncate -s +512 "$1"
}

# --- two guests of "disco run" whose roots are memory --------------------------
scenario pmem root_on_pmem root_on_pmem_snapshot \
	pmem_synced_survives_a_killed_worker pmem_cow_persists

root_in_memory()
{
	want_line 'DISCO-GUEST root /dev/pmem0 dax' "$WORK/console-p" &&
		runner_do p 60 <<<'/usr/lib/disco/checksum' &&
		want_line 'DISCO-GUEST checksum ok' "$WORK/o"
}

# A root that the guest may write to, and that forgets.
root_forgets()
{
	runner_do q 60 <<-'G' &&
	mount | grep ' / ' && head -c 4M /dev/urandom >~/noise && sync &&
		[ ! -e /dev/vdb ] && md5sum ~/noise && echo wrote
	G
		want_line '/dev/pmem0 on / type ext4 .*dax=always' "$WORK/o" &&
		want_line '^wrote' "$WORK/o"
}

pmem_writes()
{
	runner_do p 60 <<-'G' &&
	mkdir /tmp/m && mount -o dax=always /dev/pmem1 /tmp/m && cd /tmp/m &&
		[ "$(tail -n 1 from-base)" = 20000 ] &&
		seq 1 300000 >mine && sync && rm from-base &&
		head -c 8M /dev/urandom >big && md5sum mine big >sums &&
		dd if=/dev/vda of=direct bs=64k count=16 iflag=direct \
			conv=fsync status=none &&
		mount | grep pmem1 && cd / && umount /tmp/m && echo wrote
	G
		want_line '^wrote' "$WORK/o" &&
		want_line '/dev/pmem1 on /tmp/m .*dax=always' "$WORK/o"
}

pmem_reads_again()
{
	runner_do q 60 <<-'G' && want_line '^again' "$WORK/o"
	mkdir /tmp/m && mount -o dax=always /dev/pmem1 /tmp/m && cd /tmp/m &&
		[ ! -e from-base ] && md5sum -c sums &&
		head -c 1M /dev/vda | cmp - direct && rm big && cd / &&
		umount /tmp/m && echo again
	G
}

# What was synced is there after the worker was killed: nobody flushes for it.
pmem_killed()
{
	local victim
	runner_send q <<-'G'
	mkdir /tmp/k && mount -o dax=always /dev/pmem2 /tmp/k && cd /tmp/k &&
		seq 1 100000 >synced && sync && echo is-synced
	while seq 1 500000 >not-synced; do :; done
	G
	wait_lines 1 '^is-synced' "$WORK/console-q" 60 || return 1
	victim=$(pgrep -f '^disco-vm q$' | head -1)
	[[ $victim ]] || fail "no process disco-vm q" || return 1
	kill -9 "$victim"
	runner_gone q 31 && synced_is_there "$WORK/k.cow"
}

pmem_persists()
{
	clean_fs "$WORK/a.cow" || return 1
	[[ $(sha256sum <"$WORK/base") == "$BASE_SUM" ]] ||
		fail 'the base has changed'
}

s_pmem()
{
	local disks again=0
	head -c 1M /dev/urandom >"$WORK/vda"
	make_dax_base "$WORK/base" || return 1
	BASE_SUM=$(sha256sum <"$WORK/base")
	"$DISCO" image create "$WORK/base" "$WORK/a.cow" &&
		"$DISCO" image create "$WORK/base" "$WORK/k.cow" || return 1
	disks=(--disk "path=$WORK/base,cow=$WORK/a.cow,pmem"
		--disk "path=$WORK/vda,ro")
	ROOT_HOW=ro,pmem runner_boot p "${disks[@]}" || return 1
	part root_on_pmem root_in_memory
	: >"$WORK/why"
	pmem_writes && runner_end p && clean_fs "$WORK/a.cow" || return 1
	ROOT_HOW=snapshot,pmem CMDLINE=disco.rw runner_boot q "${disks[@]}" \
		--disk "path=$WORK/base,cow=$WORK/k.cow,pmem" || return 1
	part root_on_pmem_snapshot root_forgets
	: >"$WORK/why"
	pmem_reads_again || again=1
	part pmem_synced_survives_a_killed_worker pmem_killed
	((again == 0)) || return 1
	part pmem_cow_persists pmem_persists
}


# A guest with its root on a block device and two with it in memory: the image
# is read once, and is once in memory. Then one of them changes node.
t_pmem_from_cache()
{
	local image reads present i sent=()
	image=$(stat -c %s "$ROOT_DISK")
	start_monitor --balance=off --cache=300M || return 1
	runner_start blk --memory 192M,node=0 &&
		ROOT_HOW=ro,pmem runner_start ro --memory 192M,node=0,huge=thp &&
		ROOT_HOW=snapshot,pmem runner_start rw --memory 192M,node=0,huge=thp &&
		runner_ready blk ro rw || return 1
	for i in blk ro rw; do
		runner_send $i <<<'/usr/lib/disco/checksum'
		sent+=("$RUNNER_NR")
	done
	checksum_ok blk "${sent[0]}" && checksum_ok ro "${sent[1]}" &&
		checksum_ok rw "${sent[2]}" || return 1
	for i in ro rw; do
		echo "# $i: $(cache_figure $i pmem_faults) faults," \
			"$(cache_figure $i pmem_mapped_pages) pages mapped," \
			"$(cache_figure $i pmem_copied_pages) copied"
		(($(cache_figure $i pmem_mapped_pages) > 1000)) ||
			fail "$i: $(cache_figure $i pmem_mapped_pages) pages" \
				"of the cache are mapped" || return 1
	done
	reads=$(cache_figure agents read_bytes)
	present=$(cache_figure agents present_blocks)
	echo "# $reads bytes read, $present blocks present, image of $image"
	((reads * 100 <= image * 105)) ||
		fail "$reads bytes read of an image of $image" || return 1
	((present > 1000 && present * 4096 <= image + 4096)) ||
		fail "$present blocks of an image of $image" || return 1
	# To memory of another node: read there anew, or copied.
	do_move ro 1 || return 1
	sent=()
	for i in ro rw; do
		runner_send $i <<<'/usr/lib/disco/checksum'
		sent+=("$RUNNER_NR")
	done
	checksum_ok ro "${sent[0]}" && checksum_ok rw "${sent[1]}" || return 1
	stop_monitor
}

# checksum_ok NAME NR - that script of a guest has found its root in order
checksum_ok()
{
	runner_result "$1" 200 "$2" && want_status 0 "$WORK/o" &&
		want_line 'checksum ok' "$WORK/o"
}
