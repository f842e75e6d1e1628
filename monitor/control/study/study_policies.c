/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policies of a study. A sweep is expanded word by word, left to right: each
 * range is replaced by its values, one after the other, and the rest is expanded
 * for each of them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/control/study/study.h"

static int study_add_policy(struct study *s, const char *text, struct diag *d)
{
	struct policy_choice choice = { 0 };
	int err = 0;

	if (strcmp(text, STUDY_RECORDED) != 0)
		err = policy_parse(text, s->plugin.policy, &choice, d);
	if (err)
		return err;
	if (s->nr_runs == STUDY_MAX_RUNS)
		return diag_fail(d, ST_USAGE, EINVAL,
				 "--policy: more than %u policies and values",
				 STUDY_MAX_RUNS);
	(void)snprintf(s->policies[s->nr_runs], sizeof(s->policies[0]), "%s",
		       text);
	s->choices[s->nr_runs++] = choice;
	return 0;
}

/* A..B, A..B+STEP, A..B*FACTOR. */
struct study_range {
	uint64_t from, to, step;
	bool times;
	const char *end;
};

static bool study_read_number(const char **p, uint64_t *out)
{
	char *end;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*out = strtoull(*p, &end, 10);
	*p = end;
	return !errno;
}

static bool study_read_range(const char *p, struct study_range *out)
{
	*out = (struct study_range){ .step = 1 };
	if (!study_read_number(&p, &out->from) || strncmp(p, "..", 2) != 0)
		return false;
	p += 2;
	if (!study_read_number(&p, &out->to))
		return false;
	if (*p == '+' || *p == '*') {
		out->times = *p++ == '*';
		if (!study_read_number(&p, &out->step))
			return false;
	}
	out->end = p;
	return out->step > out->times && out->from && out->from <= out->to &&
	       (!*p || *p == ',');
}

int study_add_policies(struct study *s, const char *text, struct diag *d)
{
	const char *dots = strstr(text, ".."), *value = dots;
	char one[VM_POLICY_MAX];
	struct study_range r;
	uint64_t v;
	int err = 0;

	if (!dots)
		return study_add_policy(s, text, d);
	while (value > text && value[-1] != '=')
		value--;
	if (!study_read_range(value, &r))
		return diag_fail(d, ST_USAGE, EINVAL,
				 "--policy %.200s: a range is A..B, A..B+STEP "
				 "or A..B*FACTOR",
				 text);
	for (v = r.from; !err && v <= r.to;
	     v = r.times ? v * r.step : v + r.step) {
		int len = snprintf(one, sizeof(one), "%.*s%llu%s",
				   (int)(value - text), text,
				   (unsigned long long)v, r.end);

		if (len < 0 || (size_t)len >= sizeof(one))
			return diag_fail(d, ST_USAGE, EINVAL,
					 "--policy: at most %zu bytes",
					 sizeof(one) - 1);
		err = study_add_policies(s, one, d);
		if (v > UINT32_MAX) /* no parameter is larger */
			break;
	}
	return err;
}
