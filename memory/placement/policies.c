/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/placement/policies.h"

#include <stdlib.h>

#define PERIOD_STANDARD_MS 100u
#define LIST_MAX	   400u /* bytes: all names of a message */

static const struct policy *const builtin[] = {
	&policy_balanced,  &policy_first_touch, &policy_interleave,
	&policy_migrate,   &policy_replicate,	&policy_disco,
	&policy_carrefour, &policy_autonuma,
};

static const char *const reason_texts[POLICY_NR_REASONS] = {
	[POLICY_NOTHING] = "nothing to do",
	[POLICY_ONE_NODE] = "one node uses it",
	[POLICY_READ_SHARED] = "several nodes read it",
	[POLICY_WRITE_SHARED] = "several nodes write it",
	[POLICY_SPREAD] = "spread over nodes",
	[POLICY_TOO_OFTEN] = "moved too often",
	[POLICY_NOT_AGREED] = "seen once only",
	[POLICY_NO_GAIN] = "costs more than it saves",
	[POLICY_NO_BUDGET] = "no time left for moves",
	[POLICY_NODE_FULL] = "node is full",
	[POLICY_NODE_BUSY] = "node is busy",
	[POLICY_OTHER] = "of the policy's own",
	[POLICY_HINTED] = "hinted by the guest",
	[POLICY_RESTS] = "written too often",
	[POLICY_HAS_COPIES] = "has copies",
};

const struct policy *policy_builtin(unsigned i)
{
	return i < ARRAY_SIZE(builtin) ? builtin[i] : NULL;
}

const struct policy *policy_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(builtin); i++)
		if (strcmp(builtin[i]->name, name) == 0)
			return builtin[i];
	return NULL;
}

const char *policy_reason_text(unsigned reason)
{
	return reason < POLICY_NR_REASONS ? reason_texts[reason] : "?";
}

uint64_t policy_period_ns(const struct policy_choice *c)
{
	uint64_t ms = PERIOD_STANDARD_MS;

	if (c->policy->period_param < c->policy->nr_params)
		ms = c->params[c->policy->period_param];
	return ms * 1000000;
}

static bool policy_name_is_sound(const char *name)
{
	size_t len = name ? strnlen(name, POLICY_NAME_MAX + 1) : 0;

	return len && len <= POLICY_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

bool policy_is_sound(const struct policy *p)
{
	if (p->abi != POLICY_ABI || p->state_bytes > POLICY_STATE_MAX ||
	    !policy_name_is_sound(p->name) || !p->help || !p->place ||
	    !p->page || p->age > POLICY_HALVE ||
	    p->nr_params > POLICY_MAX_PARAMS || (p->nr_params && !p->params))
		return false;
	for (uint32_t i = 0; i < p->nr_params; i++) {
		const struct policy_param *q = &p->params[i];

		if (!policy_name_is_sound(q->key) || !q->help ||
		    q->standard < q->least || q->standard > q->most)
			return false;
	}
	/* A period is 1 ms to an hour. */
	if (p->period_param < p->nr_params &&
	    (p->params[p->period_param].least < 1 ||
	     p->params[p->period_param].most > 3600000))
		return false;
	return true;
}

/* Another one of a list, as far as there is room. */
static void policy_list(char *all, size_t room, const char *name)
{
	size_t len = strlen(all);

	(void)snprintf(all + len, room - len, "%s%s", len ? ", " : "", name);
}

/* One key=value of @len bytes. */
static int policy_set_param(struct policy_choice *c, const char *word,
			    size_t len, struct diag *d)
{
	const struct policy *p = c->policy;
	const char *equals = memchr(word, '=', len);
	size_t key = equals ? (size_t)(equals - word) : len;
	char *end = NULL, all[LIST_MAX] = "";
	uint64_t value;

	for (uint32_t i = 0; i < p->nr_params; i++) {
		const struct policy_param *q = &p->params[i];

		if (strlen(q->key) != key || strncmp(q->key, word, key) != 0)
			continue;
		errno = 0;
		value = equals && equals[1] >= '0' && equals[1] <= '9'
				? strtoull(equals + 1, &end, 10)
				: (errno = EINVAL);
		if (errno || end != word + len || value < q->least ||
		    value > q->most)
			return diag_fail(d, ST_USAGE, EINVAL,
					 "policy %s: %.*s: %s is a number from "
					 "%llu to %llu",
					 p->name, (int)len, word, q->key,
					 (unsigned long long)q->least,
					 (unsigned long long)q->most);
		c->params[i] = value;
		return 0;
	}
	for (uint32_t i = 0; i < p->nr_params; i++)
		policy_list(all, sizeof(all), p->params[i].key);
	return diag_fail(d, ST_USAGE, EINVAL,
			 "policy %s has no parameter '%.*s'; it has: %s",
			 p->name, (int)key, word, all[0] ? all : "none");
}

static int policy_unknown(const char *name, const struct policy *more,
			  struct diag *d)
{
	char all[LIST_MAX] = "";

	for (size_t i = 0; i < ARRAY_SIZE(builtin); i++)
		policy_list(all, sizeof(all), builtin[i]->name);
	if (more)
		policy_list(all, sizeof(all), more->name);
	return diag_fail(d, ST_USAGE, EINVAL, "no policy '%s'; there are: %s",
			 name, all);
}

int policy_parse(const char *text, const struct policy *more,
		 struct policy_choice *out, struct diag *d)
{
	size_t len = strcspn(text, ",");
	char name[POLICY_NAME_MAX + 1];
	struct policy_choice c = { 0 };
	int err = 0;

	(void)snprintf(name, sizeof(name), "%.*s", (int)min_u64(len, 99), text);
	c.policy = len < sizeof(name) ? policy_find(name) : NULL;
	if (more && strcmp(more->name, name) == 0)
		c.policy = more;
	if (!c.policy)
		return policy_unknown(name, more, d);
	for (uint32_t i = 0; i < c.policy->nr_params; i++)
		c.params[i] = c.policy->params[i].standard;
	for (text += len; !err && *text == ','; text += len) {
		len = strcspn(++text, ",");
		err = policy_set_param(&c, text, len, d);
	}
	if (!err)
		*out = c;
	return err;
}
