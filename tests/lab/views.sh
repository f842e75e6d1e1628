# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# Views of one guest (monitor/worker/views), with a program that uses the room
# directly and a tiny guest of its own. IPI_ROUNDS: round trips of IPIs per
# measurement.

t_ipis_between_views()
{
	local status=0

	"${DISCO%/*}/lab/ipis" "${IPI_ROUNDS:-1000}" >"$WORK/o" 2>&1 ||
		status=$?
	grep '^#' "$WORK/o"
	((status == 0)) || fail "$(grep -v '^[o#]k*' "$WORK/o" | head -n 3)"
}
