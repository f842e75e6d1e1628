# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# lab/machine.sh - QEMU's arguments for a machine with several NUMA nodes.
# Source it after lab/lib.sh.

# hops NODES I J - how far two nodes of a ring are apart
hops()
{
	local far=$(($2 > $3 ? $2 - $3 : $3 - $2))

	echo $((far < $1 - far ? far : $1 - far))
}

# distances NODES LIST - NODES*NODES numbers, by rows. LIST: "auto"; one number
# a hop of the ring ("21,31"); or the matrix itself. Dies on a bad list.
distances()
{
	local nodes=$1 list=$2 given i j matrix=()
	[[ $list = auto ]] && list=21,31,41,51,61,71,81,91
	[[ $list =~ ^[0-9]+(,[0-9]+)*$ ]] ||
		die "--dist $list: not a list of numbers; try --dist 21,31"
	IFS=, read -r -a given <<<"$list"
	for ((i = 0; i < nodes * nodes; i++)); do
		if ((${#given[@]} == nodes * nodes)); then
			matrix+=("${given[i]}")
			continue
		fi
		j=$(hops "$nodes" $((i / nodes)) $((i % nodes)))
		((j <= ${#given[@]})) ||
			die "--dist $list: $nodes nodes in a ring need" \
				"$((nodes / 2)) numbers (or the matrix)"
		if ((j)); then
			matrix+=("${given[j - 1]}")
		else
			matrix+=(10)
		fi
	done
	for ((i = 0; i < nodes * nodes; i++)); do
		j=${matrix[i]}
		((i / nodes == i % nodes ? j == 10 : j > 10 && j < 255)) ||
			die "--dist $list: distance $j of node $((i / nodes)) to" \
				"$((i % nodes)) must be 11..254 (10 to itself)"
	done
	echo "${matrix[@]}"
}

# numa_args NODES CPUS MIB DIST - into array NUMA_ARGS
numa_args()
{
	local nodes=$1 cpus=$2 mib=$3 i j first last size matrix
	matrix=$(distances "$nodes" "$4") || exit
	read -r -a matrix <<<"$matrix"
	NUMA_ARGS=()
	for ((i = 0; i < nodes; i++)); do
		first=$((cpus * i / nodes))
		last=$((cpus * (i + 1) / nodes - 1))
		size=$((mib / nodes))
		NUMA_ARGS+=(-object "memory-backend-ram,id=mem$i,size=${size}M")
		NUMA_ARGS+=(-numa "node,nodeid=$i,cpus=$first-$last,memdev=mem$i")
	done
	for ((i = 0; i < nodes; i++)); do
		for ((j = 0; j < nodes; j++)); do
			((i == j)) || NUMA_ARGS+=(-numa \
				"dist,src=$i,dst=$j,val=${matrix[i * nodes + j]}")
		done
	done
}

# smp CPUS NODES - a socket a node where that comes out even
smp()
{
	if (($1 % $2 == 0)); then
		echo "$1,sockets=$2,cores=$(($1 / $2)),threads=1"
	else
		echo "$1,sockets=$1,cores=1,threads=1"
	fi
}
