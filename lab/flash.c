/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flash - a plugin of QEMU (TCG) that counts the cache misses of the machine
 * that it emulates, as the FLASH machine's directory hardware did. lab/run
 * --flash loads it; include/abi/flash.h has the window in which the counts are.
 *
 *	-plugin file=flash.so,window=FILE,nodes=N,cpus=N,cores=N[,size=BYTES]
 *		[,ways=N][,line=BYTES][,tlb=ENTRIES][,trigger=MISSES][,coherent=0|1]
 *
 * The model. Each CPU has one cache, set-associative, replaced least recently
 * used, indexed by the physical address of the emulated machine: nested guests
 * are seen with their pages where the lab's kernel has put them. A directory
 * has an epoch and an owner per line of memory. A write by another than the
 * owner makes a new epoch, and copies of an older epoch are invalid; so the
 * writer touches none of the other CPUs' caches. A line that only one CPU has
 * read is that CPU's already (MESI's E). The directory is not told of
 * replacements: an owner that has lost the line still counts as one that has
 * it, and the next reader gets the line as shared.
 *
 * The TLB is four-way, and tagged by the page's frame, as plugins do not learn
 * the address space; it has no flushes, so its misses are a lower bound.
 *
 * CONCURRENCY. Callbacks run in the thread of the CPU. Its cache, TLB, and its
 * struct flash_cpu are that thread's alone. The directory and the pages' counts
 * are shared: a directory entry is loaded and stored relaxed, so that of two
 * CPUs that write a line at the same instant both may keep it for valid until
 * the next write, an error of the model of one miss. Locks are taken for a hot
 * page, a reset, and a new map only.
 *
 * Debian has no package with QEMU's header for plugins: what is used of its
 * interface is declared here (version 2, QEMU 9.0 and later; 10 takes 2 to 4).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "abi/flash.h"

/* --- QEMU's interface for plugins ----------------------------------------- */

struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
struct qemu_plugin_scoreboard;
struct qemu_info;

struct plugin_u64 {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

#define PLUGIN_API_VERSION 2
#define PLUGIN_NO_REGS	   0
#define PLUGIN_MEM_RW	   3
#define PLUGIN_INLINE_ADD  0

typedef void plugin_tb_fn(uint64_t id, struct qemu_plugin_tb *tb);
typedef void plugin_mem_fn(unsigned cpu, uint32_t info, uint64_t vaddr,
			   void *arg);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, plugin_tb_fn *fn);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      plugin_mem_fn *fn, int flags, int rw,
				      void *arg);
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
	struct qemu_plugin_tb *tb, int op, struct plugin_u64 entry, uint64_t n);
struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t bytes);
uint64_t qemu_plugin_u64_get(struct plugin_u64 entry, unsigned cpu);
struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info,
						  uint64_t vaddr);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *addr);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *addr);
bool qemu_plugin_mem_is_store(uint32_t info);

#define PLUGIN_EXPORT __attribute__((visibility("default")))

PLUGIN_EXPORT extern int qemu_plugin_version;
PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
				      int argc, char **argv);
int qemu_plugin_version = PLUGIN_API_VERSION;

/* --- the model ------------------------------------------------------------ */

#define MAX_WAYS     16u
#define TLB_WAYS     4u
#define OWNER_SHARED 255u /* owners are CPU + 1; 0: nobody yet */
#define OWNER_BITS   8
#define PUBLISH_MASK 1023u	/* accesses between stores of a count, less 1 */
#define MAX_FRAMES   (1u << 26) /* 256 GiB: line numbers fit 32 bits */

struct way {
	uint32_t line;	/* number + 1; 0: empty */
	uint32_t epoch; /* of the directory when the line was filled */
};

/* [N] of one CPU's thread */
struct model_cpu {
	_Alignas(128) struct way *ways; /* sets * cache_ways; NULL: not yet */
	uint32_t *tlb;			/* frame + 1; tlb_entries */
	uint32_t generation, map_version;
	uint32_t node; /* >= nr_nodes: not counted */
	bool on;
	uint64_t last_frame; /* of the last access + 1: needs no TLB search */
	uint64_t accesses;
	uint64_t instructions;	    /* counted */
	uint64_t instructions_then; /* the scoreboard's count at that time */
};

static struct flash_model {
	struct flash_head *head; /* the window */
	struct flash_control *control;
	struct flash_cpu *counts;
	struct flash_queue *queues;
	_Atomic(uint32_t) *pages;
	int fd;

	/* [I] */
	uint32_t nr_nodes, cache_ways, line_shift, set_mask, tlb_sets, trigger;
	uint64_t nr_frames;
	bool coherent;
	struct plugin_u64 instructions;

	/* [A: any CPU, relaxed] */
	_Atomic(uint32_t) *directory; /* epoch, owner; by line */
	_Atomic(uint8_t) *node_of;    /* by frame */

	pthread_mutex_t lock;			/* of the next two */
	uint32_t pages_generation, map_version; /* done for all CPUs */
	uint8_t node_of_cpu[FLASH_MAX_CPUS];	/* [L:lock] */
	pthread_mutex_t queue_locks[FLASH_MAX_NODES];

	struct model_cpu cpus[FLASH_MAX_CPUS];
} model = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define LOAD(p)	    atomic_load_explicit((p), memory_order_relaxed)
#define STORE(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)

/* Of a word that this thread alone writes. */
static void count_one(_Atomic(uint64_t) *count)
{
	STORE(count, LOAD(count) + 1);
}

static void publish_instructions(struct model_cpu *c, unsigned cpu)
{
	uint64_t now = qemu_plugin_u64_get(model.instructions, cpu);

	c->instructions += now - c->instructions_then;
	c->instructions_then = now;
	STORE(&model.counts[cpu].instructions, c->instructions);
	STORE(&model.counts[cpu].accesses, c->accesses);
}

/* Pages read as zeroes afterwards. */
static void clear_pages(void)
{
	off_t bytes = (off_t)(model.head->bytes - FLASH_PAGES_OFFSET);

	if (fallocate(model.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)FLASH_PAGES_OFFSET, bytes))
		memset((void *)model.pages, 0, (size_t)bytes);
}

/*
 * The lab has asked for a reset. Pages first, and then this CPU's generation:
 * a reader that sees it knows that the pages are zero.
 */
static void cpu_reset(struct model_cpu *c, unsigned cpu, uint32_t generation)
{
	struct flash_cpu *counts = &model.counts[cpu];

	pthread_mutex_lock(&model.lock);
	if (model.pages_generation != generation)
		clear_pages();
	model.pages_generation = generation;
	pthread_mutex_unlock(&model.lock);

	c->generation = generation;
	c->accesses = c->instructions = 0;
	c->instructions_then = qemu_plugin_u64_get(model.instructions, cpu);
	STORE(&counts->instructions, 0);
	STORE(&counts->accesses, 0);
	STORE(&counts->tlb_misses, 0);
	STORE(&counts->upgrades, 0);
	STORE(&counts->unknown, 0);
	for (unsigned n = 0; n < FLASH_MAX_NODES; n++) {
		STORE(&counts->misses[n][FLASH_READ], 0);
		STORE(&counts->misses[n][FLASH_WRITE], 0);
	}
	atomic_store_explicit(&counts->generation, generation,
			      memory_order_release);
}

/* Under the lock. What the lab wrote is copied and cut to what is there. */
static void take_map(void)
{
	uint32_t nr = model.control->nr_ranges;

	memcpy(model.node_of_cpu, model.control->node_of_cpu,
	       sizeof(model.node_of_cpu));
	for (uint64_t f = 0; f < model.nr_frames; f++)
		STORE(&model.node_of[f], UINT8_MAX);
	for (uint32_t i = 0; i < nr && i < FLASH_MAX_RANGES; i++) {
		struct flash_range r = model.control->ranges[i];

		if (r.node >= model.nr_nodes)
			continue;
		for (uint64_t f = r.first; f < r.end && f < model.nr_frames;
		     f++)
			STORE(&model.node_of[f], (uint8_t)r.node);
	}
}

static void cpu_take_map(struct model_cpu *c, unsigned cpu, uint32_t version)
{
	pthread_mutex_lock(&model.lock);
	if (model.map_version != version)
		take_map();
	model.map_version = version;
	c->node = model.node_of_cpu[cpu];
	pthread_mutex_unlock(&model.lock);
	c->map_version = version;
	STORE(&model.counts[cpu].map_version, version);
}

static bool cpu_allocate(struct model_cpu *c)
{
	size_t nr = (size_t)(model.set_mask + 1) * model.cache_ways;

	c->tlb = calloc((size_t)model.tlb_sets * TLB_WAYS, sizeof(*c->tlb));
	c->ways = c->tlb ? calloc(nr, sizeof(*c->ways)) : NULL;
	if (!c->ways) {
		free(c->tlb);
		c->tlb = NULL;
	}
	return c->ways;
}

/* Count from now on, or no longer. False: no memory, never counted. */
static bool cpu_switch(struct model_cpu *c, unsigned cpu, bool on)
{
	if (on && !c->ways && !cpu_allocate(c))
		return false;
	if (on)
		c->instructions_then =
			qemu_plugin_u64_get(model.instructions, cpu);
	else
		publish_instructions(c, cpu);
	c->on = on;
	return true;
}

static void tlb_access(struct model_cpu *c, unsigned cpu, uint64_t frame)
{
	uint32_t *set, tag = (uint32_t)frame + 1;
	unsigned i;

	if (c->last_frame == frame + 1)
		return;
	c->last_frame = frame + 1;
	set = &c->tlb[(frame % model.tlb_sets) * TLB_WAYS];
	for (i = 0; i < TLB_WAYS - 1 && set[i] != tag; i++)
		;
	if (set[i] != tag)
		count_one(&model.counts[cpu].tlb_misses);
	memmove(set + 1, set, i * sizeof(*set));
	set[0] = tag;
}

static void queue_push(struct model_cpu *c, unsigned cpu, uint64_t frame,
		       bool write)
{
	struct flash_queue *q = &model.queues[c->node];
	_Atomic(uint32_t) *page =
		&model.pages[(frame * model.nr_nodes + c->node) * FLASH_NR_RW];
	struct flash_hot *hot;
	uint64_t head;

	pthread_mutex_lock(&model.queue_locks[c->node]);
	head = LOAD(&q->head);
	hot = &q->hots[head % FLASH_QUEUE_HOTS];
	STORE(&hot->stamp, 0);
	/* Before the rest is: whoever reads some of it does not find a stamp. */
	atomic_thread_fence(memory_order_release);
	STORE(&hot->frame, frame);
	STORE(&hot->instructions, c->instructions);
	STORE(&hot->reads, LOAD(&page[FLASH_READ]));
	STORE(&hot->writes, LOAD(&page[FLASH_WRITE]));
	STORE(&hot->cpu, cpu);
	STORE(&hot->kind, write);
	atomic_store_explicit(&hot->stamp, head + 1, memory_order_release);
	atomic_store_explicit(&q->head, head + 1, memory_order_release);
	pthread_mutex_unlock(&model.queue_locks[c->node]);
}

static void count_miss(struct model_cpu *c, unsigned cpu, uint64_t frame,
		       bool write)
{
	uint8_t home = LOAD(&model.node_of[frame]);
	_Atomic(uint32_t) *page;
	uint32_t sum;

	if (home >= model.nr_nodes) {
		count_one(&model.counts[cpu].unknown);
		return;
	}
	count_one(&model.counts[cpu].misses[home][write]);
	page = &model.pages[(frame * model.nr_nodes + c->node) * FLASH_NR_RW];
	/* Other CPUs of the node count in the same word. */
	atomic_fetch_add_explicit(&page[write], 1, memory_order_relaxed);
	sum = LOAD(&page[FLASH_READ]) + LOAD(&page[FLASH_WRITE]);
	if (!model.trigger || sum % model.trigger)
		return;
	publish_instructions(c, cpu);
	queue_push(c, cpu, frame, write);
}

/* Whether it misses. Enters what it changes into the directory. */
static bool cache_access(struct model_cpu *c, unsigned cpu, uint64_t line,
			 bool write)
{
	struct way *set = &c->ways[(line & model.set_mask) * model.cache_ways];
	uint32_t tag = (uint32_t)line + 1, entry = 0, owner, epoch;
	bool valid, miss;
	unsigned i;

	for (i = 0; i < model.cache_ways - 1 && set[i].line != tag; i++)
		;
	if (model.coherent)
		entry = LOAD(&model.directory[line]);
	owner = entry & OWNER_SHARED;
	epoch = entry >> OWNER_BITS;
	valid = set[i].line == tag && set[i].epoch == epoch;
	miss = !valid || (model.coherent && write && owner != cpu + 1);
	if (miss && model.coherent && owner != cpu + 1) {
		if (write && owner)
			epoch++;
		owner = write || !owner ? cpu + 1 : OWNER_SHARED;
		STORE(&model.directory[line], epoch << OWNER_BITS | owner);
		epoch = epoch << OWNER_BITS >> OWNER_BITS;
	}
	if (miss && valid)
		count_one(&model.counts[cpu].upgrades);
	memmove(set + 1, set, i * sizeof(*set));
	set[0] = (struct way){ tag, epoch };
	return miss;
}

static void flash_on_mem(unsigned cpu, uint32_t info, uint64_t vaddr, void *arg)
{
	struct model_cpu *c = &model.cpus[cpu];
	struct qemu_plugin_hwaddr *addr;
	uint32_t generation, version;
	uint64_t at;
	bool on, write;

	(void)arg;
	if (cpu >= model.head->nr_cpus)
		return;
	/* Acquire: a map is there before counting is turned on. */
	on = atomic_load_explicit(&model.control->on, memory_order_acquire);
	generation = LOAD(&model.control->generation);
	if (generation != c->generation)
		cpu_reset(c, cpu, generation);
	if (on != c->on && !cpu_switch(c, cpu, on))
		return;
	if (!on)
		return;
	version = LOAD(&model.control->map_version);
	if (version != c->map_version)
		cpu_take_map(c, cpu, version);
	if (c->node >= model.nr_nodes)
		return;
	addr = qemu_plugin_get_hwaddr(info, vaddr);
	if (!addr || qemu_plugin_hwaddr_is_io(addr))
		return;
	at = qemu_plugin_hwaddr_phys_addr(addr);
	if (at >> FLASH_PAGE_SHIFT >= model.nr_frames)
		return;
	if (!(++c->accesses & PUBLISH_MASK))
		publish_instructions(c, cpu);
	tlb_access(c, cpu, at >> FLASH_PAGE_SHIFT);
	write = qemu_plugin_mem_is_store(info);
	if (cache_access(c, cpu, at >> model.line_shift, write))
		count_miss(c, cpu, at >> FLASH_PAGE_SHIFT, write);
}

static void flash_on_tb(uint64_t id, struct qemu_plugin_tb *tb)
{
	size_t nr = qemu_plugin_tb_n_insns(tb);

	(void)id;
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(
		tb, PLUGIN_INLINE_ADD, model.instructions, nr);
	for (size_t i = 0; i < nr; i++)
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i),
						 flash_on_mem, PLUGIN_NO_REGS,
						 PLUGIN_MEM_RW, NULL);
}

/* --- set-up --------------------------------------------------------------- */

struct flash_args {
	const char *window;
	uint64_t nodes, cpus, cores, size, ways, line, tlb, trigger, coherent;
};

static bool power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* A number, with K or M behind it: 2^10, 2^20. */
static bool parse_number(const char *text, uint64_t *out)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return false;
	if (*end == 'K' || *end == 'M')
		v <<= *end++ == 'K' ? 10 : 20;
	*out = v;
	return !*end;
}

static bool parse_arg(struct flash_args *a, const char *arg)
{
	const struct {
		const char *name;
		uint64_t *value;
	} names[] = {
		{ "nodes=", &a->nodes },       { "cores=", &a->cores },
		{ "cpus=", &a->cpus },	       { "size=", &a->size },
		{ "ways=", &a->ways },	       { "line=", &a->line },
		{ "tlb=", &a->tlb },	       { "trigger=", &a->trigger },
		{ "coherent=", &a->coherent },
	};

	if (!strncmp(arg, "window=", 7)) {
		a->window = arg + 7;
		return true;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t len = strlen(names[i].name);

		if (!strncmp(arg, names[i].name, len))
			return parse_number(arg + len, names[i].value);
	}
	return false;
}

/* NULL, or what is wrong. */
static const char *check_args(const struct flash_args *a)
{
	if (!a->window)
		return "window= is missing";
	if (a->nodes < 1 || a->nodes > FLASH_MAX_NODES)
		return "nodes= must be 1 to 16";
	if (a->cpus < 1 || a->cpus > FLASH_MAX_CPUS)
		return "cpus= must be 1 to 64";
	if (a->cores < 1 || a->cores > a->cpus)
		return "cores= must be 1 to cpus";
	if (!power_of_two(a->line) || a->line < 16 || a->line > 4096)
		return "line= must be a power of two, 16 to 4096";
	if (a->ways < 1 || a->ways > MAX_WAYS)
		return "ways= must be 1 to 16";
	if (a->size > 1u << 30 || a->size % (a->line * a->ways) ||
	    !power_of_two(a->size / (a->line * a->ways)))
		return "size= must be line, times ways, times a power of two";
	if (!power_of_two(a->tlb) || a->tlb < TLB_WAYS || a->tlb > 1u << 20)
		return "tlb= must be a power of two, 4 or more";
	if (a->trigger > 1u << 30)
		return "trigger= must be at most 2^30";
	if (a->coherent > 1)
		return "coherent= must be 0 or 1";
	return NULL;
}

static bool map_window(const struct flash_args *a)
{
	struct stat st;
	char *base;

	model.fd = open(a->window, O_RDWR | O_CLOEXEC);
	if (model.fd < 0 || fstat(model.fd, &st) ||
	    st.st_size <= (off_t)FLASH_PAGES_OFFSET)
		return false;
	base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE, model.fd, 0);
	if (base == MAP_FAILED)
		return false;
	model.head = (void *)base;
	model.control = (void *)(base + FLASH_CONTROL_OFFSET);
	model.counts = (void *)(base + FLASH_CPUS_OFFSET);
	model.queues = (void *)(base + FLASH_QUEUES_OFFSET);
	model.pages = (void *)(base + FLASH_PAGES_OFFSET);
	model.head->bytes = (uint64_t)st.st_size;
	return true;
}

/* Memory that is there when it is used, of which most never is. */
static void *map_sparse(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool model_init(const struct flash_args *a)
{
	uint64_t row = a->nodes * FLASH_NR_RW * sizeof(uint32_t);

	model.nr_nodes = (uint32_t)a->nodes;
	model.nr_frames = (model.head->bytes - FLASH_PAGES_OFFSET) / row;
	if (model.nr_frames > MAX_FRAMES)
		model.nr_frames = MAX_FRAMES;
	model.cache_ways = (uint32_t)a->ways;
	model.line_shift = (uint32_t)__builtin_ctzll(a->line);
	model.set_mask = (uint32_t)(a->size / (a->line * a->ways) - 1);
	model.tlb_sets = (uint32_t)(a->tlb / TLB_WAYS);
	model.trigger = (uint32_t)a->trigger;
	model.coherent = a->coherent;
	model.instructions.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	model.node_of = map_sparse(model.nr_frames);
	model.directory = map_sparse((model.nr_frames << FLASH_PAGE_SHIFT) /
				     a->line * sizeof(uint32_t));
	for (unsigned n = 0; n < FLASH_MAX_NODES; n++)
		pthread_mutex_init(&model.queue_locks[n], NULL);
	/* Not counted before there is a map. */
	for (unsigned c = 0; c < FLASH_MAX_CPUS; c++)
		model.cpus[c].node = UINT32_MAX;
	return model.instructions.score && model.node_of && model.directory;
}

static void publish_head(const struct flash_args *a)
{
	struct flash_head *h = model.head;

	h->version = FLASH_VERSION;
	h->nr_cpus = (uint32_t)a->cpus;
	h->nr_nodes = (uint32_t)a->nodes;
	h->page_shift = FLASH_PAGE_SHIFT;
	h->nr_pages = model.nr_frames;
	h->cache_bytes = a->size;
	h->cache_ways = (uint32_t)a->ways;
	h->line_bytes = (uint32_t)a->line;
	h->tlb_entries = (uint32_t)a->tlb;
	h->trigger = (uint32_t)a->trigger;
	h->coherent = (uint32_t)a->coherent;
	h->cores = (uint32_t)a->cores;
	atomic_store_explicit(&h->magic, FLASH_MAGIC, memory_order_release);
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc,
			char **argv)
{
	struct flash_args a = { .cores = 1,
				.size = 1u << 20,
				.ways = 2,
				.line = 64,
				.tlb = 64,
				.trigger = 128,
				.coherent = 1 };
	const char *wrong;

	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!parse_arg(&a, argv[i])) {
			fprintf(stderr, "flash: %s: not understood\n", argv[i]);
			return -1;
		}
	}
	wrong = check_args(&a);
	if (!wrong && !map_window(&a))
		wrong = "cannot map the window, or it is too small";
	if (!wrong && !model_init(&a))
		wrong = "no memory";
	if (wrong) {
		fprintf(stderr, "flash: %s\n", wrong);
		return -1;
	}
	publish_head(&a);
	qemu_plugin_register_vcpu_tb_trans_cb(id, flash_on_tb);
	return 0;
}
