/* SPDX-License-Identifier: BSD-2-Clause */
/* Pictures of policies: bars of their times, and lines over time. */
#include <math.h>

#include "monitor/control/study/report.h"

#define LEFT   52.0
#define TOP    8.0
#define WIDTH  440.0
#define HEIGHT 240.0
#define RIGHT  10.0
#define BOTTOM 40.0
#define BAR    30.0

static uint32_t report_nr_lines(const struct study *s)
{
	return (uint32_t)min_u64(s->nr_runs, REPORT_LINES);
}

/* --- lines ---------------------------------------------------------------- */

/* What a line shows of a part of the time; NAN: nothing. */
typedef double (*report_value_fn)(const struct sim_bucket *b, double seconds);

struct report_chart {
	const char *caption, *more, *unit;
	report_value_fn value;
	double most; /* 0: what the largest value asks for */
};

static double report_round_up(double v)
{
	double scale = pow(10, floor(log10(v)));

	for (unsigned i = 1; i <= 10; i++)
		if (i != 3 && i != 7 && i != 9 && i * scale >= v)
			return i * scale;
	return 10 * scale;
}

static double report_most(const struct study *s, const struct study_trace *t,
			  const struct report_chart *c)
{
	double most = 0;

	for (uint32_t k = 0; k < report_nr_lines(s); k++) {
		const struct sim_result *r = &t->runs[k].result;

		for (uint32_t i = 0; i < r->nr_buckets; i++) {
			double v = c->value(&r->buckets[i],
					    (double)r->bucket_ns / 1e9);

			if (v > most)
				most = v;
		}
	}
	return most > 0 ? report_round_up(most) : 1;
}

static void report_frame(FILE *out, const struct study_trace *t, double most,
			 const char *unit)
{
	const struct sim_result *r = &t->runs[0].result;
	double seconds = (double)(r->last_ns - r->first_ns) / 1e9;
	char buf[16];

	for (unsigned i = 0; i <= 4; i++) {
		double y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * i / 4;

		(void)fprintf(out,
			      "<line class=\"g\" x1=\"%.0f\" x2=\"%.0f\" "
			      "y1=\"%.1f\" y2=\"%.1f\"/>"
			      "<text x=\"%.0f\" y=\"%.0f\" class=\"t\" "
			      "text-anchor=\"end\">%s%s</text>",
			      LEFT, WIDTH - RIGHT, y, y, LEFT - 5, y + 4,
			      report_number(most * i / 4, buf), unit);
	}
	report_time_axis(out, LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, seconds);
}

static void report_line(FILE *out, const struct sim_result *r, uint32_t k,
			const struct report_chart *c, double most)
{
	double ns = (double)max_u64(r->last_ns - r->first_ns, 1);
	bool pen = false;

	(void)fprintf(out, "<path class=\"l l%u\" d=\"", k);
	for (uint32_t i = 0; i < r->nr_buckets; i++) {
		double v = c->value(&r->buckets[i], (double)r->bucket_ns / 1e9);
		double at = ((double)i + 0.5) * (double)r->bucket_ns / ns;

		if (isnan(v))
			continue;
		(void)fprintf(out, "%c%.1f %.1f", pen ? 'L' : 'M',
			      LEFT + (WIDTH - LEFT - RIGHT) * (at < 1 ? at : 1),
			      HEIGHT - BOTTOM -
				      (HEIGHT - TOP - BOTTOM) * v / most);
		pen = true;
	}
	(void)fputs("\"/>\n", out);
}

static void report_legend(FILE *out, const struct study *s)
{
	(void)fputs("<div class=\"k\">", out);
	for (uint32_t k = 0; k < report_nr_lines(s); k++) {
		(void)fprintf(out, "<span><i class=\"c%u\"></i>", k);
		report_text(out, s->policies[k]);
		(void)fputs("</span>", out);
	}
	if (s->nr_runs > REPORT_LINES)
		(void)fprintf(out, "<span>and %u more in the table</span>",
			      s->nr_runs - REPORT_LINES);
	(void)fputs("</div></figure>\n", out);
}

static void report_chart(FILE *out, const struct study *s,
			 const struct study_trace *t,
			 const struct report_chart *c)
{
	double most = c->most > 0 ? c->most : report_most(s, t, c);

	(void)fprintf(out,
		      "<figure><figcaption>%s<span>%s</span></figcaption>"
		      "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
		      "aria-label=\"%s\">\n",
		      c->caption, c->more, WIDTH, HEIGHT, c->caption);
	report_frame(out, t, most, c->unit);
	for (uint32_t k = 0; k < report_nr_lines(s); k++)
		report_line(out, &t->runs[k].result, k, c, most);
	(void)fputs("</svg>", out);
	report_legend(out, s);
}

static double report_local_at(const struct sim_bucket *b, double seconds)
{
	double all = (double)b->local + (double)b->remote;

	(void)seconds;
	return all > 0 ? 100 * (double)b->local / all : NAN;
}

static double report_moves_at(const struct sim_bucket *b, double seconds)
{
	return ((double)b->moves + b->copies) / seconds;
}

static double report_copies_at(const struct sim_bucket *b, double seconds)
{
	(void)seconds;
	return (double)b->replica_pages * PAGE_BYTES / (double)MIB(1);
}

void report_local(FILE *out, const struct study *s, const struct study_trace *t)
{
	static const struct report_chart c = {
		.caption = "Local share over time",
		.more = "Accesses to memory of the node that makes them, in % "
			"of all. Higher is better.",
		.unit = " %",
		.value = report_local_at,
		.most = 100,
	};

	report_chart(out, s, t, &c);
}

void report_moves(FILE *out, const struct study *s, const struct study_trace *t)
{
	static const struct report_chart c = {
		.caption = "Moves and copies over time",
		.more = "Pages moved or copied to another node, per second.",
		.unit = "",
		.value = report_moves_at,
	};

	report_chart(out, s, t, &c);
}

void report_copies(FILE *out, const struct study *s,
		   const struct study_trace *t)
{
	static const struct report_chart c = {
		.caption = "Memory of copies over time",
		.more = "MiB that copies of pages take, beside the pages "
			"themselves.",
		.unit = "",
		.value = report_copies_at,
	};

	report_chart(out, s, t, &c);
}

/* --- bars ----------------------------------------------------------------- */

struct report_bar {
	const char *name;
	double compute, local, remote, moves; /* seconds */
};

static void report_one_bar(FILE *out, const struct report_bar *b, double y,
			   double most)
{
	const double parts[] = { b->compute, b->local, b->remote, b->moves };
	static const unsigned colours[] = { 6, 0, 1, 4 };
	double x = LEFT - 40, width = WIDTH - RIGHT - x - 50, all = 0;
	char buf[16];

	(void)fprintf(out, "<text x=\"%.0f\" y=\"%.1f\">", x, y + 11);
	report_text(out, b->name);
	(void)fputs("</text>", out);
	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		double w = width * parts[i] / most;

		if (w > 0)
			(void)fprintf(out,
				      "<rect class=\"c%u\" x=\"%.1f\" "
				      "y=\"%.1f\" width=\"%.1f\" "
				      "height=\"10\"/>",
				      colours[i], x + width * all / most,
				      y + 15, w);
		all += parts[i];
	}
	(void)fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">%s s</text>\n",
		      x + width * all / most + 5, y + 24,
		      report_number(all, buf));
}

static void report_bar_of(const struct study_trace *t,
			  const struct study_run *run, struct report_bar *b)
{
	const struct sim_result *r = &run->result;

	*b = (struct report_bar){
		.name = run->policy,
		.compute = (double)t->totals.compute_ns / 1e9,
		.local = (double)r->uma_ns / 1e9,
		.remote = ((double)r->stall_ns - (double)r->uma_ns) / 1e9,
		.moves = (double)r->spent_ns / 1e9,
	};
}

void report_times(FILE *out, const struct study *s, const struct study_trace *t)
{
	uint32_t nr = report_nr_lines(s) + (s->o.optimum ? 1 : 0);
	double most = (double)study_best_ns(t) / 1e9, y = 4;
	struct report_bar b;

	for (uint32_t k = 0; k < report_nr_lines(s); k++)
		most = fmax(most, (double)study_time_ns(t, &t->runs[k]) / 1e9);
	(void)fprintf(out,
		      "<figure><figcaption>Modelled time by policy<span>CPU "
		      "time of all CPUs, in seconds. Shorter is better."
		      "</span></figcaption><svg viewBox=\"0 0 %.0f %.0f\" "
		      "role=\"img\" aria-label=\"Modelled time by policy\">\n",
		      WIDTH, 8 + BAR * nr);
	for (uint32_t k = 0; k < report_nr_lines(s); k++, y += BAR) {
		report_bar_of(t, &t->runs[k], &b);
		report_one_bar(out, &b, y, most > 0 ? most : 1);
	}
	if (s->o.optimum) {
		double uma = (double)t->runs[0].result.uma_ns / 1e9;

		/* Its stalls and moves are not told apart. */
		b = (struct report_bar){
			.name = "the offline optimum, which knows the future",
			.compute = (double)t->totals.compute_ns / 1e9,
			.local = uma,
			.remote = (double)t->optimum_ns / 1e9 - uma,
		};
		report_one_bar(out, &b, y, most > 0 ? most : 1);
	}
	(void)fputs("</svg><div class=\"k\">", out);
	if (t->totals.compute_ns)
		(void)fputs("<span><i class=\"c6\"></i>computing</span>", out);
	(void)fputs("<span><i class=\"c0\"></i>waiting, were all memory "
		    "local</span><span><i class=\"c1\"></i>more, as some is "
		    "remote</span><span><i class=\"c4\"></i>moving and copying "
		    "pages</span></div></figure>\n",
		    out);
}
