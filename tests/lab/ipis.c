/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipis [ROUNDS [TRIES]] - interrupts between running vCPUs of two views: the room
 * monitor/worker/views with a tiny guest (ipi_guest.S). vCPU i is real in view
 * i % 2. Prints "ok NAME" or "not ok NAME: why", and the time of a round trip
 * within a view and between two: the best of TRIES (3). Needs a KVM that runs stock
 * guests.
 *
 * Exit status: 0; 1; 77 no KVM.
 */
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disco/clock.h"
#include "monitor/worker/views/apic.h"
#include "monitor/worker/views/views.h"

#define VIEWS	    2
#define VCPUS	    4
#define RAM_BYTES   MIB(2)
#define CODE_AT	    0x1000u
#define CPU_AT	    0x20000u
#define CPU_BYTES   0x1000u
#define NOTE	    0x40
#define PING	    0x41
#define NMI_VECTOR  2
#define ICR_LOGICAL (1u << 11)
#define ICR_OTHERS  (3u << 18)
#define HANG_NS	    60000000000ull
#define CPUID_MAX   256

/* As ipi_guest.S has it. */
struct cpu {
	_Atomic uint32_t started, notes, pings, nmis;
	_Atomic uint32_t left, icr_lo, icr_hi, spin, bad;
};

_Static_assert(offsetof(struct cpu, bad) == 32, "ipi_guest.S");

extern const uint8_t ipi_guest[], ipi_guest_note[], ipi_guest_ping[];
extern const uint8_t ipi_guest_nmi[], ipi_guest_bad[], ipi_guest_end[];

static int kvm;
static uint8_t *ram;
static struct views *views;
static struct vcpu {
	int fd;
	struct kvm_run *run;
	pthread_t thread;
} vcpus[VCPUS];
static _Atomic bool stop;
static bool bad;
static char why[256];

static struct cpu *cpu(unsigned i)
{
	return (struct cpu *)(void *)(ram + CPU_AT + i * CPU_BYTES);
}

static void need(long result, const char *what)
{
	if (result >= 0)
		return;
	perror(what);
	_exit(1);
}

static void need0(int err, const char *what)
{
	errno = -err;
	need(err, what);
}

/* --- the guest --- */

static void kicked(int sig)
{
	(void)sig;
}

static int prepare(void *arg, int fd, unsigned index)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 e[CPUID_MAX];
	} t;

	(void)arg;
	t.head.nent = CPUID_MAX;
	need(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &t), "cpuid");
	for (unsigned i = 0; i < t.head.nent; i++) {
		if (t.e[i].function == 1) {
			t.e[i].ebx = (t.e[i].ebx & 0xffffff) | index << 24;
			t.e[i].ecx |= 1u << 21;
		}
		if (t.e[i].function == 0xb || t.e[i].function == 0x1f)
			t.e[i].edx = index;
	}
	views_hide_features(t.e, t.head.nent);
	return ioctl(fd, KVM_SET_CPUID2, &t) < 0 ? -errno : 0;
}

static void failed(void *arg, unsigned index, int err)
{
	(void)arg;
	(void)fprintf(stderr, "ghost of vCPU %u: %s\n", index, strerror(-err));
	_exit(1);
}

static void *run(void *arg)
{
	struct vcpu *c = arg;

	while (!stop) {
		if (ioctl(c->fd, KVM_RUN, 0) < 0) {
			if (errno != EINTR && errno != EAGAIN)
				need(-1, "KVM_RUN");
			continue;
		}
		(void)fprintf(stderr, "vCPU %td: exit %u\n", c - vcpus,
			      c->run->exit_reason);
		_exit(1);
	}
	return NULL;
}

static void gate(unsigned vector, const uint8_t *handler)
{
	uint16_t entry[2] = { (uint16_t)(handler - ipi_guest), CODE_AT >> 4 };

	memcpy(ram + 4 * vector, entry, sizeof(entry));
}

static void load_guest(void)
{
	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(ram == MAP_FAILED ? -1 : 0, "memory");
	memcpy(ram + CODE_AT, ipi_guest,
	       (uintptr_t)ipi_guest_end - (uintptr_t)ipi_guest);
	for (unsigned i = 0; i < 256; i++)
		gate(i, ipi_guest_bad);
	gate(NOTE, ipi_guest_note);
	gate(PING, ipi_guest_ping);
	gate(NMI_VECTOR, ipi_guest_nmi);
}

static void make_vcpu(unsigned i, size_t run_bytes)
{
	struct vcpu *c = &vcpus[i];
	struct kvm_regs r = { .rflags = 2 };
	struct kvm_sregs s;

	c->fd = ioctl(views_home_fd(views, i), KVM_CREATE_VCPU,
		      (unsigned long)i);
	need(c->fd, "KVM_CREATE_VCPU");
	c->run = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      c->fd, 0);
	need(c->run == MAP_FAILED ? -1 : 0, "kvm_run");
	need0(prepare(NULL, c->fd, i), "CPUID");
	need0(apic_set_x2apic(c->fd), "x2APIC");
	if (i != 0)
		return;
	need(ioctl(c->fd, KVM_GET_SREGS, &s), "sregs");
	s.cs.base = CODE_AT;
	s.cs.selector = CODE_AT >> 4;
	need(ioctl(c->fd, KVM_SET_SREGS, &s), "sregs");
	need(ioctl(c->fd, KVM_SET_REGS, &r), "regs");
}

static void make_guest(void)
{
	uint8_t home[VCPUS];
	struct views_spec s = { .kvm_fd = kvm,
				.nr_views = VIEWS,
				.nr_vcpus = VCPUS,
				.home = home,
				.prepare = prepare,
				.failed = failed };
	struct kvm_userspace_memory_region slot = { .memory_size = RAM_BYTES };
	int bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	int fds[VCPUS];

	need(bytes, "KVM_GET_VCPU_MMAP_SIZE");
	load_guest();
	slot.userspace_addr = (uintptr_t)ram;
	for (unsigned i = 0; i < VCPUS; i++)
		home[i] = i % VIEWS;
	need0(views_create(&s, &views), "views_create");
	for (unsigned i = 0; i < VIEWS; i++)
		need0(views_set_slot(views, i, &slot), "slot");
	for (unsigned i = 0; i < VCPUS; i++) {
		make_vcpu(i, (size_t)bytes);
		fds[i] = vcpus[i].fd;
	}
	need0(views_make_ghosts(views), "views_make_ghosts");
	need0(views_align_tsc(views, fds), "views_align_tsc");
	need0(views_start(views), "views_start");
	for (unsigned i = 0; i < VCPUS; i++)
		need0(-pthread_create(&vcpus[i].thread, NULL, run, &vcpus[i]),
		      "thread");
}

/* --- what is asked of it --- */

#define WAIT(condition, ...)                                                   \
	({                                                                     \
		uint64_t end_ns = clock_now_ns() + HANG_NS;                    \
		bool met;                                                      \
                                                                               \
		while (!(met = (condition)) && clock_now_ns() < end_ns)        \
			(void)usleep(200);                                     \
		if (!met)                                                      \
			(void)snprintf(why, sizeof(why), __VA_ARGS__);         \
		met;                                                           \
	})

/* Have vCPU @i write its ICR @times times, once for each ping that it gets. */
static void set_ping(unsigned i, uint32_t times, uint32_t dest, uint32_t data)
{
	cpu(i)->icr_hi = dest;
	cpu(i)->icr_lo = data;
	cpu(i)->left = times;
}

static void ping(unsigned i)
{
	need0(views_send(views, APIC_MSI_ADDRESS | i << 12, PING), "MSI");
}

/* One write of vCPU @from's ICR. */
static bool send(unsigned from, uint32_t dest, uint32_t data)
{
	uint32_t before = cpu(from)->pings;

	set_ping(from, 1, dest, data);
	ping(from);
	return WAIT(cpu(from)->pings == before + 1,
		    "vCPU %u takes no interrupt", from);
}

static bool start(unsigned from, unsigned i)
{
	uint32_t before = cpu(i)->started;

	return send(from, i, APIC_MODE_INIT) &&
	       send(from, i, APIC_MODE_STARTUP | CODE_AT >> 12) &&
	       WAIT(cpu(i)->started == before + 1,
		    "vCPU %u did not start: %u times, not %u", i,
		    cpu(i)->started, before + 1);
}

static bool t_started(void)
{
	if (!WAIT(cpu(0)->started == 1, "vCPU 0 did not start"))
		return false;
	for (unsigned i = 1; i < VCPUS; i++)
		if (!start(0, i))
			return false;
	return true;
}

/* As CPU hot-unplug and plug do: by another vCPU of whichever view. */
static bool t_started_again(void)
{
	for (unsigned round = 0; round < 5; round++)
		for (unsigned i = 1; i < VCPUS; i++)
			if (!start(i == VCPUS - 1 ? round % 2 : i + 1, i))
				return false;
	return true;
}

static void begin_round_trips(unsigned a, unsigned b, uint32_t rounds)
{
	set_ping(a, rounds, b, PING);
	set_ping(b, rounds, a, PING);
	cpu(a)->pings = cpu(b)->pings = 0;
	ping(a);
}

static bool end_round_trips(unsigned a, unsigned b, uint32_t rounds)
{
	return WAIT(cpu(a)->pings == rounds + 1 && cpu(b)->pings == rounds,
		    "vCPU %u got %u and %u got %u of %u; %u and %u left", a,
		    cpu(a)->pings, b, cpu(b)->pings, rounds, cpu(a)->left,
		    cpu(b)->left);
}

static uint32_t rounds = 2000;
static uint32_t tries = 3;

static bool t_each_pair(void)
{
	for (unsigned a = 0; a < VCPUS; a++)
		for (unsigned b = 0; b < VCPUS; b++) {
			if (a == b)
				continue;
			begin_round_trips(a, b, rounds / 20);
			if (!end_round_trips(a, b, rounds / 20))
				return false;
		}
	return true;
}

static bool t_pairs_at_once(void)
{
	for (unsigned i = 0; i < VCPUS; i += 2)
		begin_round_trips(i, i + 1, rounds);
	for (unsigned i = 0; i < VCPUS; i += 2)
		if (!end_round_trips(i, i + 1, rounds))
			return false;
	return true;
}

/* Vector, destination and mode of one IPI that several vCPUs get. */
static bool notes(unsigned from, uint32_t dest, uint32_t data, unsigned to)
{
	uint32_t before[VCPUS];

	for (unsigned i = 0; i < VCPUS; i++)
		before[i] = cpu(i)->notes;
	if (!send(from, dest, data | NOTE))
		return false;
	for (unsigned i = 0; i < VCPUS; i++)
		if (!WAIT(cpu(i)->notes == before[i] + (to >> i & 1),
			  "from %u to %#x: vCPU %u got %u", from, to, i,
			  cpu(i)->notes - before[i]))
			return false;
	return true;
}

static bool t_all_but_self(void)
{
	for (unsigned n = 0; n < 25 * VCPUS; n++)
		if (!notes(n % VCPUS, 0, ICR_OTHERS,
			   ((1u << VCPUS) - 1) & ~(1u << n % VCPUS)))
			return false;
	return true;
}

static bool t_logical(void)
{
	for (unsigned to = 0; to < 1u << VCPUS; to++)
		if (!notes(to % VCPUS, to, ICR_LOGICAL, to))
			return false;
	return true;
}

static bool t_broadcast(void)
{
	for (unsigned i = 0; i < VCPUS; i++)
		if (!notes(i, UINT32_MAX, 0, (1u << VCPUS) - 1))
			return false;
	return true;
}

static bool t_nmi(void)
{
	for (unsigned n = 0; n < 100; n++) {
		unsigned from = n % VCPUS, to = (n + 1) % VCPUS;
		uint32_t before = cpu(to)->nmis;

		if (!send(from, to, APIC_MODE_NMI) ||
		    !WAIT(cpu(to)->nmis == before + 1, "vCPU %u: no NMI", to))
			return false;
	}
	return true;
}

static bool t_nothing_else(void)
{
	for (unsigned i = 0; i < VCPUS; i++)
		if (cpu(i)->bad) {
			(void)snprintf(why, sizeof(why),
				       "vCPU %u: %u unknown interrupts", i,
				       cpu(i)->bad);
			return false;
		}
	return true;
}

/* --- how long it takes --- */

static void pin(unsigned i, unsigned at)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(at, &set);
	(void)pthread_setaffinity_np(vcpus[i].thread, sizeof(set), &set);
}

/* Of a round trip, in us; negative: it hangs. */
static double round_trip(unsigned a, unsigned b, bool spin)
{
	uint64_t begin;
	double us = -1;

	cpu(a)->spin = cpu(b)->spin = spin;
	if (send(a, b, NOTE) && send(b, a, NOTE)) {
		begin = clock_now_ns();
		begin_round_trips(a, b, rounds);
		if (end_round_trips(a, b, rounds))
			us = (double)(clock_now_ns() - begin) / 1e3 / rounds;
	}
	cpu(a)->spin = cpu(b)->spin = 0;
	return us;
}

/* The best of each, of tries that take turns. bench/ipis.py reads this line. */
static bool measure(bool spin)
{
	double within = DBL_MAX, across = DBL_MAX;

	for (uint32_t i = 0; i < tries; i++) {
		double w = round_trip(0, 2, spin), a = round_trip(0, 1, spin);

		if (w < 0 || a < 0)
			return false;
		within = w < within ? w : within;
		across = a < across ? a : across;
	}
	printf("# %s: %.1f us within a view, %.1f us between two: %.2f times\n",
	       spin ? "spinning" : "halting", within, across, across / within);
	return true;
}

static bool t_time_halting(void)
{
	return measure(false);
}

static bool t_time_spinning(void)
{
	return measure(true);
}

static void check(const char *name, bool (*test)(void))
{
	uint64_t begin = clock_now_ns();

	if (test()) {
		printf("ok %s (%" PRIu64 " ms)\n", name,
		       (clock_now_ns() - begin) / 1000000);
	} else {
		printf("not ok %s: %s\n", name, why);
		bad = true;
	}
	(void)fflush(stdout);
}

static void end_guest(void)
{
	stop = true;
	for (unsigned i = 0; i < VCPUS; i++) {
		__atomic_store_n(&vcpus[i].run->immediate_exit, 1,
				 __ATOMIC_RELAXED);
		(void)pthread_kill(vcpus[i].thread, GHOST_KICK_SIGNAL);
		(void)pthread_join(vcpus[i].thread, NULL);
	}
	views_destroy(views);
}

static void print_figures(void)
{
	struct views_figures f;

	views_read_figures(views, &f);
	printf("# sent on: %" PRIu64 " vectors, %" PRIu64 " NMIs, %" PRIu64
	       " INITs, %" PRIu64 " start-ups; %" PRIu64 " wake-ups for "
	       "nothing\n",
	       f.sent[GHOST_FIXED], f.sent[GHOST_NMI], f.sent[GHOST_INIT],
	       f.sent[GHOST_STARTUP], f.sent[GHOST_NONE]);
}

int main(int argc, char **argv)
{
	struct sigaction a = { .sa_handler = kicked };

	if (argc > 1)
		rounds = (uint32_t)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		tries = (uint32_t)strtoul(argv[2], NULL, 10);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0) {
		perror("# skip: /dev/kvm");
		return 77;
	}
	need(sigaction(GHOST_KICK_SIGNAL, &a, NULL), "sigaction");
	make_guest();
	/*
	 * Neighbours within a view, and a node further between views. The lab's
	 * first CPU runs no guests (lab/keeper.c, 3).
	 */
	if (sysconf(_SC_NPROCESSORS_ONLN) >= 8)
		for (unsigned i = 0; i < VCPUS; i++)
			pin(i, 2 + i % 2 * 2 + i / 2);
	check("started", t_started);
	check("each_pair", t_each_pair);
	check("pairs_at_once", t_pairs_at_once);
	check("all_but_self", t_all_but_self);
	check("logical", t_logical);
	check("broadcast", t_broadcast);
	check("nmi", t_nmi);
	check("started_again", t_started_again);
	check("each_pair_again", t_each_pair);
	check("time_halting", t_time_halting);
	check("time_spinning", t_time_spinning);
	check("nothing_else", t_nothing_else);
	print_figures();
	end_guest();
	return bad;
}
