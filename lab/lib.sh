# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# lab/lib.sh - what the scripts of lab/ share. Source it; set LAB_NAME first.

# shellcheck disable=SC2034 # for the scripts that source this
LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LAB_FAILED=125		# exit status: the lab itself failed

say()
{
	printf '%s: %s\n' "$LAB_NAME" "$*" >&2
}

die()
{
	say "$*"
	exit "$LAB_FAILED"
}

# need_program PROGRAM GROUP - die with what to run when it is not there
need_program()
{
	command -v "$1" >/dev/null ||
		die "no $1 on this machine; run: scripts/deps $2"
}

# to_mib SIZE - 512M, 8G, 8GiB, 1T or a number of MiB -> MiB; 1 if malformed
to_mib()
{
	[[ $1 =~ ^([1-9][0-9]{0,8})([MGT]?)(iB)?$ ]] || return 1
	case ${BASH_REMATCH[2]} in
	G) echo $((BASH_REMATCH[1] * 1024)) ;;
	T) echo $((BASH_REMATCH[1] * 1024 * 1024)) ;;
	*) echo "${BASH_REMATCH[1]}" ;;
	esac
}

# insmod_order BASE RELEASE MODULE... - paths below BASE, dependencies first
insmod_order()
{
	local base=$1 release=$2 modules
	shift 2
	# Not modprobe's last word: "install" lines and builtins are dropped.
	modules=$(modprobe -d "$base" -S "$release" --show-depends -a "$@") ||
		return 1
	sed -n 's/^insmod \([^ ]*\).*/\1/p' <<<"$modules" | awk '!seen[$0]++'
}

# content_key FILE... - one word that changes when a file's contents do
content_key()
{
	sha256sum "$@" | awk '{ print $1 }' | sha256sum | cut -c 1-16
}

# os FIELD - of /etc/os-release: ID, VERSION_ID ...
os()
{
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${!1:-}")
}

# apt_options DIR SUITE - into array APT: options with which apt-get and
# apt-cache know this suite of Debian and nothing else, and keep that in DIR
apt_options()
{
	local keys=/usr/share/keyrings/debian-archive-keyring.gpg

	mkdir -p "$1"/{none,state/lists/partial,cache/archives/partial}
	: >"$1/status"
	echo "deb [signed-by=$keys] $(mirror) $2 main" >"$1/sources"
	APT=(-o APT::Sandbox::User=root -o Acquire::Languages=none
		-o Dir::Etc::sourcelist="$1/sources"
		-o Dir::Etc::sourceparts="$1/none"
		-o Dir::Etc::preferencesparts="$1/none"
		-o Dir::State="$1/state" -o Dir::State::status="$1/status"
		-o Dir::Cache="$1/cache")
}

# debian_apt - into array APT: options for packages of Debian, which kernels and
# guests are made of: none on Debian, whose own lists have them
debian_apt()
{
	local dir=$LAB_ROOT/build/apt

	APT=()
	[[ $(os ID) != debian ]] || return 0
	apt_options "$dir" bookworm
	if ! compgen -G "$dir/state/lists/*_Packages*" >/dev/null; then
		say "fetching the package lists of Debian 12"
		apt-get "${APT[@]}" -qq update >/dev/null 2>&1 || true
	fi
}

# may_update - whether apt-get with options of debian_apt may fetch its lists
may_update()
{
	((EUID == 0 || ${#APT[@]}))
}

# qemu_major PROGRAM - 7 of a QEMU 7.2; 0 if it does not run
qemu_major()
{
	local major

	major=$("$1" --version 2>/dev/null |
		sed -n 's/^QEMU emulator version \([0-9]*\).*/\1/p')
	echo "${major:-0}"
}

# mirror - base address of the Debian mirror that apt uses
mirror()
{
	local address
	# shellcheck disable=SC2016 # apt's own variables
	address=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' \
		'Created-By: Packages' 2>/dev/null |
		awk '$1 == "Debian" && $2 !~ /security/ { print $2; exit }')
	echo "${address:-http://deb.debian.org/debian/}"
}

# add_hints TREE - what a guest gives hints with, as make install-guest-hints puts
# it; its loader's cache is the caller's business
add_hints()
{
	local hints=$LAB_ROOT/build/release/guest-hints lib=$1/usr/local/lib

	install -D -m 755 "$hints/disco-hint" "$1/usr/local/bin/disco-hint"
	mkdir -p "$lib" "$1/usr/local/include"
	install -m 644 "$hints/libdisco-hint.so.1" \
		"$hints/libdisco-hint-preload.so" "$lib/"
	ln -sf libdisco-hint.so.1 "$lib/libdisco-hint.so"
	install -m 644 "$LAB_ROOT/guest-hints/guest/disco_hint.h" \
		"$1/usr/local/include/"
}
