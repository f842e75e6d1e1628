/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/import/import_internal.h"

#include <stdlib.h>

#include "memory/trace/trace_write.h"

#define LINE_BYTES 64u
#define MARKS_MAX  65536u
#define TIME_MOST  (1ull << 62) /* ns: 146 years */
#define STEPS_MOST (1ull << 40)

struct import_marked {
	uint64_t time_ns;
	char text[TRACE_EVENT_TEXT];
};

struct import_run {
	struct import_config c;
	const char *name; /* of the file that is read */
	uint64_t line;
	char text[IMPORT_LINE_MAX];
	struct access_record *records;
	uint64_t nr, room;
	struct import_marked *marks;
	uint32_t nr_marks;
	uint32_t nr_files;
	uint64_t clock_ns;
	uint32_t nr_cpus, nr_nodes;
	uint64_t *tags[IMPORT_MAX_CPUS]; /* of lines that its cache holds */
};

static const struct import_kind *const import_kinds[] = {
	&import_perf,	   &import_damo, &import_lackey,
	&import_ramulator, &import_csv,
};

const struct import_kind *import_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(import_kinds); i++)
		if (strcmp(import_kinds[i]->name, name) == 0)
			return import_kinds[i];
	return NULL;
}

uint64_t import_standard_cache(const struct import_kind *k)
{
	return k->cache_bytes;
}

int import_create(struct import_run **out, const struct import_config *c)
{
	struct import_run *im = calloc(1, sizeof(*im));

	if (!im)
		return -ENOMEM;
	im->c = *c;
	*out = im;
	return 0;
}

void import_destroy(struct import_run *im)
{
	if (!im)
		return;
	for (uint32_t i = 0; i < IMPORT_MAX_CPUS; i++)
		free(im->tags[i]);
	free(im->records);
	free(im->marks);
	free(im);
}

uint32_t import_nr_cpus(const struct import_run *im)
{
	return im->nr_cpus;
}

uint32_t import_nr_nodes(const struct import_run *im)
{
	return im->nr_nodes;
}

/* --- for the kinds -------------------------------------------------------- */

int import_bad(struct import_run *im, struct diag *d, const char *why)
{
	return diag_fail(d, ST_TRACE, EBADMSG, "%s: line %llu: %s", im->name,
			 (unsigned long long)im->line, why);
}

static int import_no_memory(struct import_run *im, struct diag *d)
{
	return diag_fail(d, ST_HOST, ENOMEM, "%s: out of memory", im->name);
}

int import_line(struct import_run *im, FILE *f, char **line, struct diag *d)
{
	size_t len;

	/* What is longer, or has a NUL, ends without a newline. */
	if (!fgets(im->text, sizeof(im->text), f))
		return ferror(f) ? diag_fail(d, ST_TRACE, EIO,
					     "%s: cannot be read", im->name)
				 : 0;
	im->line++;
	len = strlen(im->text);
	if (len && im->text[len - 1] == '\n')
		im->text[--len] = '\0';
	else if (!feof(f))
		return import_bad(im, d, "it is too long, or no text");
	if (len && im->text[len - 1] == '\r')
		im->text[len - 1] = '\0';
	*line = im->text;
	return 1;
}

/* 16: it is none. */
static unsigned import_digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a') + 10;
	return c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

bool import_number(char **s, unsigned base, uint64_t *out)
{
	const char *p = *s;
	uint64_t v = 0;
	bool any = false;

	if (base == 16 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
		p += 2;
	for (;; p++, any = true) {
		unsigned digit = import_digit(*p);

		if (digit >= base)
			break;
		if (v > (UINT64_MAX - digit) / base)
			return false;
		v = v * base + digit;
	}
	if (!any)
		return false;
	*s += p - *s;
	*out = v;
	return true;
}

uint16_t import_cpu(const struct import_run *im)
{
	return (uint16_t)(im->nr_files - 1);
}

uint64_t import_tick(struct import_run *im, uint64_t steps)
{
	uint64_t now = im->clock_ns;

	im->clock_ns += min_u64(steps, STEPS_MOST) * im->c.step_ns;
	im->clock_ns = min_u64(im->clock_ns, TIME_MOST);
	return now;
}

/* Does the CPU's cache hold it? It does from now on. Without memory: no. */
static bool import_is_cached(struct import_run *im,
			     const struct access_record *r)
{
	uint64_t lines = im->c.cache_bytes / LINE_BYTES;
	uint64_t line = r->page / LINE_BYTES + 1, *tag;

	if (!lines || im->c.kind->pages || r->vcpu >= IMPORT_MAX_CPUS)
		return false;
	if (!im->tags[r->vcpu])
		im->tags[r->vcpu] = calloc(lines, sizeof(uint64_t));
	if (!im->tags[r->vcpu])
		return false;
	tag = &im->tags[r->vcpu][line % lines];
	if (*tag == line)
		return true;
	*tag = line;
	return false;
}

int import_add(struct import_run *im, const struct access_record *r,
	       struct diag *d)
{
	if (r->vcpu != ACCESS_NO_VCPU && r->vcpu >= IMPORT_MAX_CPUS)
		return import_bad(im, d, "number of the CPU is out of range");
	if (r->time_ns > TIME_MOST)
		return import_bad(im, d, "time is out of range");
	if (import_is_cached(im, r))
		return 0;
	if (im->nr == IMPORT_MAX_RECORDS)
		return diag_fail(d, ST_TRACE, E2BIG,
				 "%s: line %llu: more than %llu accesses",
				 im->name, (unsigned long long)im->line,
				 IMPORT_MAX_RECORDS);
	if (im->nr == im->room) {
		uint64_t room = max_u64(2 * im->room, 4096);
		void *more =
			realloc(im->records, room * sizeof(im->records[0]));

		if (!more)
			return import_no_memory(im, d);
		im->records = more;
		im->room = room;
	}
	if (r->vcpu != ACCESS_NO_VCPU)
		im->nr_cpus = (uint32_t)max_u64(im->nr_cpus, r->vcpu + 1u);
	if (r->node != ACCESS_NO_NODE)
		im->nr_nodes = (uint32_t)max_u64(im->nr_nodes, r->node + 1u);
	if (r->home != ACCESS_NO_NODE)
		im->nr_nodes = (uint32_t)max_u64(im->nr_nodes, r->home + 1u);
	im->records[im->nr] = *r;
	if (!im->c.kind->pages)
		im->records[im->nr].page /= PAGE_BYTES;
	im->nr++;
	return 0;
}

int import_mark(struct import_run *im, uint64_t time_ns, const char *text,
		struct diag *d)
{
	if (im->nr_marks == MARKS_MAX)
		return import_bad(im, d, "more than 65536 marks");
	if (!im->marks)
		im->marks = calloc(MARKS_MAX, sizeof(im->marks[0]));
	if (!im->marks)
		return import_no_memory(im, d);
	im->marks[im->nr_marks].time_ns = time_ns;
	(void)snprintf(im->marks[im->nr_marks].text, sizeof(im->marks[0].text),
		       "%s", text);
	im->nr_marks++;
	return 0;
}

int import_file(struct import_run *im, FILE *f, const char *name,
		struct diag *d)
{
	im->name = name;
	im->line = 0;
	im->nr_files++;
	/* Cores run at the same time. */
	if (im->c.kind->one_cpu)
		im->clock_ns = 0;
	return im->c.kind->read(im, f, d);
}

/* --- the trace ------------------------------------------------------------ */

static int import_by_time(const void *a, const void *b)
{
	const struct access_record *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	return x->vcpu < y->vcpu ? -1 : x->vcpu > y->vcpu;
}

static int import_by_number(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void import_sort(struct import_run *im)
{
	bool sorted = true;

	for (uint64_t i = 1; sorted && i < im->nr; i++)
		sorted = im->records[i - 1].time_ns <= im->records[i].time_ns;
	if (!sorted)
		qsort(im->records, im->nr, sizeof(im->records[0]),
		      import_by_time);
}

/* Pages of addresses are numbered without gaps. Return: 0; -ENOMEM. */
static int import_number_pages(struct import_run *im, struct trace_info *info)
{
	uint64_t *pages = malloc(im->nr * sizeof(*pages)), nr = 0;

	if (!pages)
		return -ENOMEM;
	for (uint64_t i = 0; i < im->nr; i++)
		pages[i] = im->records[i].page;
	qsort(pages, im->nr, sizeof(*pages), import_by_number);
	for (uint64_t i = 0; i < im->nr; i++)
		if (!i || pages[i] != pages[nr - 1])
			pages[nr++] = pages[i];
	for (uint64_t i = 0; i < im->nr; i++) {
		const uint64_t *at = bsearch(&im->records[i].page, pages, nr,
					     sizeof(*pages), import_by_number);

		im->records[i].page = (uint64_t)(at - pages);
	}
	info->nr_vms = 1;
	info->vms[0].pages = nr;
	if (!info->text[0])
		(void)snprintf(info->text, sizeof(info->text),
			       "%llu pages, at addresses from 0x%llx on",
			       (unsigned long long)nr,
			       (unsigned long long)pages[0] * PAGE_BYTES);
	free(pages);
	return 0;
}

/* CSV: VMs and pages are what the highest numbers say. */
static void import_count_pages(struct import_run *im, struct trace_info *info)
{
	for (uint64_t i = 0; i < im->nr; i++) {
		const struct access_record *r = &im->records[i];

		if (r->vm >= TRACE_MAX_VMS)
			continue;
		info->nr_vms = (uint32_t)max_u64(info->nr_vms, r->vm + 1u);
		info->vms[r->vm].pages =
			max_u64(info->vms[r->vm].pages,
				min_u64(r->page, UINT64_MAX - 1) + 1);
	}
	for (uint32_t i = 0; i < info->nr_vms; i++)
		info->vms[i].pages = max_u64(info->vms[i].pages, 1);
}

static int import_prepare(struct import_run *im, struct trace_info *info,
			  struct diag *d)
{
	int err = 0;

	if (!im->nr)
		return diag_fail(d, ST_TRACE, EBADMSG,
				 "%s: there is no access in it", im->name);
	import_sort(im);
	info->nr_vms = 0;
	memset(info->vms, 0, sizeof(info->vms));
	(void)snprintf(info->origin, sizeof(info->origin), "%s",
		       im->c.kind->name);
	if (im->c.kind->pages)
		import_count_pages(im, info);
	else
		err = import_number_pages(im, info);
	if (err)
		return import_no_memory(im, d);
	for (uint32_t i = 0; i < info->nr_vms; i++)
		(void)snprintf(info->vms[i].name, sizeof(info->vms[i].name),
			       "vm%u", i);
	return 0;
}

static int import_write_all(struct import_run *im, struct trace_writer *w,
			    const uint8_t *node_of_cpu, uint64_t *refused)
{
	uint32_t mark = 0;
	int err = 0;

	*refused = UINT64_MAX;
	for (uint64_t i = 0; !err && i < im->nr; i++) {
		struct access_record *r = &im->records[i];

		for (; !err && mark < im->nr_marks &&
		       im->marks[mark].time_ns <= r->time_ns;
		     mark++)
			err = trace_writer_mark(w, im->marks[mark].time_ns,
						im->marks[mark].text);
		if (!im->c.kind->pages)
			r->node = r->vcpu == ACCESS_NO_VCPU
					  ? ACCESS_NO_NODE
					  : node_of_cpu[r->vcpu];
		if (!err)
			err = trace_writer_add(w, r);
		if (err == -EINVAL)
			*refused = i;
	}
	return err ? err : trace_writer_end(w, 0, 0);
}

int import_write(struct import_run *im, int fd, struct trace_info *info,
		 const uint8_t *node_of_cpu, struct diag *d)
{
	struct trace_writer *w = NULL;
	uint64_t refused = UINT64_MAX;
	int err = import_prepare(im, info, d);

	if (err)
		return err;
	err = trace_writer_create(&w, fd, info);
	if (!err)
		err = import_write_all(im, w, node_of_cpu, &refused);
	trace_writer_destroy(w);
	if (err == -EINVAL)
		return diag_fail(d, ST_TRACE, EBADMSG,
				 "%s: access %llu by time: its VM, page or "
				 "node is none that a trace of %u nodes can "
				 "have",
				 im->name, (unsigned long long)refused,
				 info->nr_nodes);
	return err ? diag_fail(d, ST_HOST, -err, "cannot write the trace: %s",
			       strerror(-err))
		   : 0;
}
