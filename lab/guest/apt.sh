# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# lab/guest/apt.sh - packages and sources of the root image, from this
# machine's own package lists and mirror. Source it after lab/lib.sh, and call
# debian_apt before.

# apt_closure DIR OPTION... - apt-get install of lab/guest/packages into
# nowhere: with an empty status file, all that they depend on counts as missing
apt_closure()
{
	local dir=$1 wanted
	shift

	mkdir -p "$dir/partial"
	: >"$dir/status"
	wanted=$(sed 's/#.*//' "$LAB_ROOT/lab/guest/packages" | tr ' ' '\n' |
		grep '^[a-z]')
	# shellcheck disable=SC2086 # a list of words
	apt-get "${APT[@]}" -qq -y --no-install-recommends \
		-o Dir::State::status="$dir/status" \
		-o Dir::Cache::archives="$dir" -o Debug::NoLocking=1 \
		-o APT::Sandbox::User=root -o Acquire::Retries=3 \
		-o APT::Get::AllowUnauthenticated=false "$@" install $wanted
}

# unwanted - names of packages left out, as a pattern for grep -E; "*" there
# stands for what changes from one release to the next
unwanted()
{
	sed 's/#.*//' "$LAB_ROOT/lab/guest/packages" | tr ' \t' '\n' |
		sed -n 's/^-//p' |
		sed 's/[.+]/\\&/g; s/\*/[^_]*/g' | paste -s -d '|'
}

# package_list DIR - what the image would be made of: file and checksum, sorted
package_list()
{
	apt_closure "$1" --print-uris |
		sed -n "s/^'[^']*' \([^ ]*\) [0-9]* \(.*\)$/\1 \2/p" |
		grep -vE "^($(unwanted))_" | LC_ALL=C sort
}

# fetch_packages DIR - the .deb files
fetch_packages()
{
	local log=$1/log pattern deb

	mkdir -p "$1"
	apt_closure "$1" --download-only >"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		die "cannot download the packages of the root image: network" \
			"down or lists too old; run (as root): apt-get update"
	}
	pattern="^($(unwanted))_"
	for deb in "$1"/*.deb; do
		if [[ $(basename "$deb") =~ $pattern ]]; then
			rm -f "$deb"
		fi
	done
}

# fetch_sources DIR - lab/guest/sources as DIR/NAME.tar (of any compression)
fetch_sources()
{
	local base name place sum

	base=$(mirror)
	while read -r name place sum; do
		/usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root \
			-o Acquire::Retries=3 download-file "$base$place" \
			"$1/$name.tar" "SHA256:$sum" >/dev/null ||
			die "cannot download $base$place; try again"
	done < <(grep '^[a-z]' "$LAB_ROOT/lab/guest/sources")
}
