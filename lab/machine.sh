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

# cores CPUS NODES - of a socket: one a node where that comes out even
cores()
{
	echo $(($1 % $2 == 0 ? $1 / $2 : 1))
}

# numa_args NODES CPUS MIB DIST - into array NUMA_ARGS
numa_args()
{
	local nodes=$1 cpus=$2 mib=$3 i j first last size matrix more
	matrix=$(distances "$nodes" "$4") || exit
	read -r -a matrix <<<"$matrix"
	more=$(cores "$cpus" "$nodes")
	NUMA_ARGS=()
	for ((i = 0; i < nodes; i++)); do
		# CPU 0 is of node 0.
		first=$((i ? more + cpus * i / nodes : 0))
		last=$((more + cpus * (i + 1) / nodes - 1))
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

# cpu_args CPUS NODES - into array CPU_ARGS: CPU 0, alone in its socket, and
# CPUS more.
#
# No guest runs on CPU 0 (lab/session). Each XRSTOR, on whatever CPU, rewrites
# flags of the first one by a plain read-modify-write (cpu_clear_ignne() of
# QEMU's fpu_helper.c, 7.2 and 10). If that one enters or leaves a guest
# meanwhile, it goes on with older flags: runs a guest with interrupts off for
# ever, or the lab's kernel with the guest's nested paging, which ends as a
# triple fault of the guest or a panic of that kernel. Of 33 guests that booted
# on node 0, three at a time, two did (of 156 two at a time none); a trace of KVM
# had one of them at the instruction after the lab's VMRUN. That it is this write
# that does it is by QEMU's source.
cpu_args()
{
	local cpus=$1 cores i at
	cores=$(cores "$1" "$2")
	CPU_ARGS=(-cpu "EPYC,+svm,+npt,check=off" -smp "1,maxcpus=$((cpus + cores))")
	CPU_ARGS[3]+=",sockets=$((cpus / cores + 1)),cores=$cores,threads=1"
	for ((i = 0; i < cpus; i++)); do
		at="socket-id=$((i / cores + 1)),core-id=$((i % cores))"
		CPU_ARGS+=(-device "EPYC-x86_64-cpu,$at,thread-id=0")
	done
}
