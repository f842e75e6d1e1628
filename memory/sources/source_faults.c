/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/sources/source_faults.h"

#include <errno.h>
#include <stdlib.h>

struct faults_source {
	struct access_source source;
	struct faults_source_config c;
	unsigned next; /* VM whose log is read first: each has its turn */
};

uint32_t faults_weight(uint64_t latency_ns)
{
	uint64_t w = FAULTS_INTERVAL_NS / max_u64(latency_ns, 1);

	return (uint32_t)min_u64(max_u64(w, 1), FAULTS_WEIGHT_MAX);
}

/* A thread that may run on several nodes was on one of them: which? */
static uint8_t faults_node(const struct faults_source *s,
			   const struct fault_record *f)
{
	uint8_t first = s->c.node_of(s->c.arg, f->cpu_first);

	return first == s->c.node_of(s->c.arg, f->cpu_last) ? first
							    : ACCESS_NO_NODE;
}

/* A write: who made it is not known. False: it is none, or of no page. */
static bool faults_write(struct faults_source *s, unsigned vm, uint64_t pages,
			 const struct fault_record *f,
			 struct access_record *out)
{
	*out = (struct access_record){
		.time_ns = s->c.now_ns(s->c.arg),
		.page = f->page,
		.vm = vm,
		.weight = faults_weight(f->latency_ns),
		.vcpu = ACCESS_NO_VCPU,
		.node = s->c.writes_of(s->c.arg, vm),
		.kind = POLICY_WRITE,
		.class = ACCESS_DIRTY,
	};
	return f->page < pages && f->kind == FAULT_LOG_WRITE;
}

/* All but the home. @f: as a hostile worker may have written it. */
static bool faults_record(struct faults_source *s, unsigned vm, uint64_t pages,
			  const struct fault_record *f,
			  struct access_record *out)
{
	if (s->c.writes_of)
		return faults_write(s, vm, pages, f, out);
	*out = (struct access_record){
		.time_ns = s->c.now_ns(s->c.arg),
		.page = f->page,
		.vm = vm,
		.weight = faults_weight(f->latency_ns),
		.vcpu = f->vcpu == FAULT_LOG_NO_VCPU ? ACCESS_NO_VCPU : f->vcpu,
		.node = faults_node(s, f),
		.kind = f->kind == FAULT_LOG_READ    ? POLICY_READ
			: f->kind == FAULT_LOG_WRITE ? POLICY_WRITE
						     : POLICY_UNKNOWN,
		.class = ACCESS_FAULT,
	};
	return f->page < pages && f->kind <= FAULT_LOG_UNKNOWN &&
	       out->node != ACCESS_NO_NODE;
}

/* Fills in homes. Return: how many are left: those whose home is known. */
static unsigned faults_add_homes(struct faults_source *s, unsigned vm,
				 struct access_record *r, unsigned nr)
{
	uint64_t pages[FAULTS_BATCH];
	uint8_t homes[FAULTS_BATCH];
	unsigned kept = 0;

	for (unsigned i = 0; i < nr; i++)
		pages[i] = r[i].page;
	if (nr)
		s->c.homes_of(s->c.arg, vm, pages, nr, homes);
	for (unsigned i = 0; i < nr; i++) {
		if (homes[i] == ACCESS_NO_NODE) {
			s->source.strange++;
			continue;
		}
		r[kept] = r[i];
		r[kept++].home = homes[i];
	}
	return kept;
}

/* How far a log is read now. */
static uint64_t faults_end(const struct faults_log *l)
{
	uint64_t end;

	if (!l->log)
		return 0;
	end = atomic_load_explicit(&l->log->written, memory_order_relaxed);
	/* A writer that went back: begin anew with it. */
	if (*l->next > end)
		*l->next = end;
	return end;
}

/*
 * At most @max records of one VM. There is one end for all of them: a writer that
 * overtakes the reader, over and over, makes each take a search through all
 * entries. So they are at most two searches, whatever it does meanwhile.
 */
static unsigned faults_read_vm(struct faults_source *s, unsigned vm,
			       struct access_record *out, unsigned max)
{
	struct faults_log l = { .log = NULL };
	unsigned nr = 0, batch = 0;
	struct fault_record f;
	uint64_t end;

	s->c.log_of(s->c.arg, vm, &l);
	end = faults_end(&l);
	while (l.log && *l.next < end && nr + batch < max &&
	       fault_log_take(l.log, l.next, &s->source.lost, &f)) {
		if (!faults_record(s, vm, l.pages, &f, &out[nr + batch])) {
			s->source.strange++;
			continue;
		}
		if (++batch < FAULTS_BATCH)
			continue;
		nr += faults_add_homes(s, vm, out + nr, batch);
		batch = 0;
	}
	return nr + faults_add_homes(s, vm, out + nr, batch);
}

static int faults_source_read(struct access_source *source,
			      struct access_record *out, unsigned max)
{
	struct faults_source *s =
		container_of(source, struct faults_source, source);
	unsigned nr_vms = s->c.nr_vms(s->c.arg), nr = 0;

	for (unsigned i = 0; i < nr_vms && nr < max; i++)
		nr += faults_read_vm(s, (s->next + i) % nr_vms, out + nr,
				     max - nr);
	s->next = nr_vms ? (s->next + 1) % nr_vms : 0;
	return (int)nr;
}

static void faults_source_destroy(struct access_source *source)
{
	free(container_of(source, struct faults_source, source));
}

static const struct access_source_ops faults_source_ops = {
	.name = "faults",
	.class = ACCESS_FAULT,
	.read = faults_source_read,
	.destroy = faults_source_destroy,
};

static const struct access_source_ops writes_source_ops = {
	.name = "dirty",
	.class = ACCESS_DIRTY,
	.read = faults_source_read,
	.destroy = faults_source_destroy,
};

int faults_source_create(struct access_source **out,
			 const struct faults_source_config *c)
{
	struct faults_source *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->source.ops = c->writes_of ? &writes_source_ops : &faults_source_ops;
	s->c = *c;
	*out = &s->source;
	return 0;
}
