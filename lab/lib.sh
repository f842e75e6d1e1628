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
