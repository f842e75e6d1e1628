# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# A file of a cached disk that one guest exports by NFS and two read: what they
# have in their page caches becomes the block of the buffer cache that the server
# shows, by the references that its frames carry. REFS_MIB: of the file (16).
# Needs monitor.sh, cluster.sh (cluster_do) and huge.sh (ram_of).

REFS_MIB=${REFS_MIB:-16}

# refs_file - a server with a disk of its own, and two clients, on one node
refs_file()
{
	local how='"huge": "off", "merge": true, "node": 1, "memory": "256M",
		"kernel": "'$PWD/$KERNEL'", "initrd": "'$PWD/$INITRD'"'
	cat >"$WORK/refs.json" <<-END
	{ "cluster": "refs",
	  "nfs": { "role": "server", "export": "/srv/share" },
	  "roles": [
	  { "name": "server", $how,
	    "cmdline": "console=ttyS0 quiet disco.rw disco.run=cluster",
	    "disks": [ { "path": "$PWD/$ROOT_DISK", "snapshot": true },
	      { "path": "$WORK/refs.img", "ro": true } ],
	    "deadline": $((200 * SCALE)) },
	  { "name": "client", $how, "count": 2,
	    "cmdline": "console=ttyS0 quiet disco.run=cluster",
	    "disks": [ { "path": "$PWD/$ROOT_DISK", "ro": true } ],
	    "deadline": $((200 * SCALE)) } ] }
	END
}

# refs_image - with the file, in blocks of a page
refs_image()
{
	rm -rf "$WORK/refs-tree"
	mkdir "$WORK/refs-tree"
	head -c "${REFS_MIB}M" /dev/urandom >"$WORK/refs-tree/file"
	echo small >"$WORK/refs-tree/small"
	mke2fs -q -F -t ext4 -b 4096 -O ^has_journal -d "$WORK/refs-tree" \
		"$WORK/refs.img" $((REFS_MIB * 2 + 16))M >/dev/null
}

# The scans of --merge are too rare to be what merges.
t_read_files_are_shared()
{
	local sum name before=() grown pages=$((REFS_MIB * 256))
	local names=(refs-client-0 refs-client-1)
	refs_image && sum=$(sha256sum <"$WORK/refs-tree/file") || return 1
	sum=${sum%% *}
	start_monitor --balance=off --merge=80000 || return 1
	refs_file
	cluster_do 0 up "$WORK/refs.json" || return 1
	# Read in order: blocks that are read alone are copied, not shown.
	cluster_do 0 exec refs/server -- bash -ec 'mkdir -p /srv/data; touch /etc/exports
		mount -o ro /dev/vdb /srv/data
		exportfs -o ro,no_subtree_check,fsid=2,insecure "*:/srv/data"
		cat /srv/data/file >/dev/null' || return 1
	cluster_do 0 exec refs/client -- bash -ec 'mkdir -p /tmp/data
		mount -t nfs -o vers=4.1,ro refs-server:/srv/data /tmp/data
		cat /tmp/data/small; sha256sum /usr/bin/sha256sum' || return 1
	echo "# server: $(cache_figure refs-server shown_pages) pages shown"
	for name in "${names[@]}"; do
		before+=("$(ram_of "$name")")
	done
	cluster_do 0 exec refs/client -- sha256sum /tmp/data/file || return 1
	(($(grep -c "| $sum " "$WORK/o") == 2)) ||
		fail "not $sum in both: $(<"$WORK/o")" || return 1
	for name in "${names[@]}"; do
		wait_figure 120 $((pages * 3 / 4)) \
			cache_figure "$name" refs_merged_pages || return 1
	done
	for name in "${names[@]}"; do
		grown=$(($(ram_of "$name") - before[0]))
		before=("${before[@]:1}")
		echo "# $name: $grown KiB more for a file of $((REFS_MIB << 10)):" \
			"$(cache_figure "$name" refs_received) references," \
			"$(cache_figure "$name" refs_merged_pages) pages shown," \
			"$(cache_figure "$name" refs_dropped) dropped," \
			"$(cache_figure "$name" refs_wrong) wrong, stopped for" \
			"at most $(($(cache_figure "$name" refs_longest_ns) / 1000)) us"
		((grown < REFS_MIB << 9)) || fail "$name has grown by $grown KiB" ||
			return 1
	done
	# The same bytes, out of its page cache, and from the server again.
	# shellcheck disable=SC2016 # expanded in the guest
	cluster_do 0 exec refs/client -- bash -ec 'sha256sum </tmp/data/file
		echo 3 >/proc/sys/vm/drop_caches; sha256sum </tmp/data/file' ||
		return 1
	(($(grep -c "| $sum " "$WORK/o") == 4)) ||
		fail "not $sum any more: $(<"$WORK/o")" || return 1
	stop_monitor
}
