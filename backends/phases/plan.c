// SPDX-License-Identifier: Apache-2.0
/* A plan's text, line by line; what refers to something is checked when all is known. */
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "plan_phases.h"
#include "plan_words.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const roles[] = {
	"none", "victim", "hog", "background", "job", "short", "shared",
};

/* Lines about the whole run: each sets one number, once. */
struct setting {
	const char *name;
	uint64_t low, high;
};

static const struct setting settings[] = {
	{ "seed", 0, UINT64_MAX },
	{ "warmup", 0, PLAN_MAX_TIME },
	{ "duration", 0, PLAN_MAX_TIME },
	{ "limit", 1, PLAN_MAX_TIME },
	{ "locks", 0, PLAN_MAX_TASKS },
};

struct reader {
	struct plan *plan;
	struct words w;
	uint64_t values[COUNT_OF(settings)];
	bool seen[COUNT_OF(settings)];
	struct plan_group *group;	/* whose lines are read */
};

static bool read_setting(struct reader *r, struct word verb)
{
	for (unsigned i = 0; i < COUNT_OF(settings); i++) {
		const struct setting *s = &settings[i];

		if (!word_is(verb, s->name))
			continue;
		if (r->seen[i])
			words_fail(&r->w, "%s is there twice", s->name);
		r->seen[i] = true;
		r->values[i] = words_number(&r->w, s->name, s->low, s->high);
		return true;
	}
	return false;
}

static void read_channel(struct reader *r)
{
	struct plan *plan = r->plan;
	struct plan_channel *grown = words_grow(&r->w, plan->channels, &plan->nr_line_channels,
						sizeof *grown);

	if (!grown)
		return;
	plan->channels = grown;
	struct plan_channel *channel = &grown[plan->nr_line_channels - 1];

	channel->owners = (uint32_t)words_optional(&r->w, "the owners", PLAN_MAX_TASKS, PLAN_NONE);
	channel->base = (uint32_t)words_number(&r->w, "the base", plan->nr_channels,
					       plan->nr_channels);
	channel->count = (uint32_t)words_number(&r->w, "the number of channels", 1,
						PLAN_MAX_TASKS);
	channel->capacity = (uint32_t)words_number(&r->w, "the capacity", 0, PLAN_MAX_COUNT);
	channel->keep = words_number(&r->w, "keep", 0, 1);
	plan->nr_channels += channel->count;
	if (plan->nr_channels > PLAN_MAX_TASKS)
		words_fail(&r->w, "too many channels");
}

static void read_barrier(struct reader *r)
{
	struct plan *plan = r->plan;
	uint32_t *grown = words_grow(&r->w, plan->barriers, &plan->nr_barriers, sizeof *grown);

	if (!grown)
		return;
	plan->barriers = grown;
	grown[plan->nr_barriers - 1] = (uint32_t)words_number(&r->w, "the number of tasks", 1,
							      PLAN_MAX_TASKS);
}

static void read_group(struct reader *r)
{
	struct plan *plan = r->plan;
	struct plan_group *grown = words_grow(&r->w, plan->groups, &plan->nr_groups, sizeof *grown);

	if (!grown)
		return;
	plan->groups = grown;
	r->group = &grown[plan->nr_groups - 1];
	r->group->per = PLAN_NONE;
	r->group->loops = 1;
	r->group->cgroup_weight = 100;
	words_copy(&r->w, "the group's name", r->group->name, sizeof r->group->name);
	memcpy(r->group->comm, r->group->name, sizeof r->group->comm - 1);
}

static void read_task(struct reader *r)
{
	struct plan *plan = r->plan;

	if (plan->nr_tasks == PLAN_MAX_TASKS) {
		words_fail(&r->w, "too many tasks");
		return;
	}
	struct plan_task *grown = words_grow(&r->w, plan->tasks, &plan->nr_tasks, sizeof *grown);

	if (!grown)
		return;
	plan->tasks = grown;
	struct plan_task *task = &grown[plan->nr_tasks - 1];

	task->group = (uint32_t)words_number(&r->w, "the group", 0, PLAN_MAX_TASKS);
	task->instance = (uint32_t)words_number(&r->w, "the instance", 0, PLAN_MAX_TASKS);
	task->owner = (uint32_t)words_optional(&r->w, "the owner", PLAN_MAX_TASKS, PLAN_NONE);
	task->cpu = (uint32_t)words_optional(&r->w, "the cpu", PLAN_MAX_CPUS - 1, PLAN_NONE);
	if (task->group >= plan->nr_groups)
		words_fail(&r->w, "there is no such group");
	else
		plan->groups[task->group].nr_tasks++;
}

static void read_comm(struct reader *r)
{
	size_t length = (size_t)(r->w.end - r->w.at);

	if (length == 0 || length >= sizeof r->group->comm) {
		words_fail(&r->w, "comm must have 1 to 15 characters");
		return;
	}
	memset(r->group->comm, 0, sizeof r->group->comm);
	memcpy(r->group->comm, r->w.at, length);
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)r->group->comm[i] < ' ' || r->group->comm[i] == 127)
			words_fail(&r->w, "comm must be printable");
	r->w.at = r->w.end;
}

static void read_cpus(struct reader *r)
{
	struct words ahead = r->w;

	if (word_is(words_next(&ahead), "own")) {
		r->group->own_cpu = true;
		r->w = ahead;
		return;
	}
	r->group->some_cpus = true;
	do {
		uint64_t cpu = words_number(&r->w, "a cpu", 0, PLAN_MAX_CPUS - 1);

		r->group->cpus[cpu / 64] |= UINT64_C(1) << (cpu % 64);
	} while (r->w.at < r->w.end && !words_failed(&r->w));
}

static void read_nice(struct reader *r)
{
	bool negative = r->w.at < r->w.end && *r->w.at == '-';

	if (negative)
		r->w.at++;
	int32_t nice = (int32_t)words_number(&r->w, "nice", 0, negative ? 20 : 19);

	r->group->nice = negative ? -nice : nice;
}

static void read_loop(struct reader *r)
{
	struct words ahead = r->w;

	if (word_is(words_next(&ahead), "forever")) {
		r->group->loops = PLAN_FOREVER;
		r->w = ahead;
	} else {
		r->group->loops = words_number(&r->w, "loop", 0, PLAN_MAX_COUNT);
	}
}

/* A line about the group that was begun last; false if it is none. */
static bool read_property(struct reader *r, struct word verb)
{
	struct plan_group *group = r->group;
	struct words *w = &r->w;

	if (word_is(verb, "comm")) {
		read_comm(r);
	} else if (word_is(verb, "nice")) {
		read_nice(r);
	} else if (word_is(verb, "cgroup")) {
		words_copy(w, "the control group's path", group->cgroup, sizeof group->cgroup);
		group->cgroup_weight = (uint32_t)words_number(w, "the weight", 1, 10000);
	} else if (word_is(verb, "cpus")) {
		read_cpus(r);
	} else if (word_is(verb, "process")) {
		group->process = true;
	} else if (word_is(verb, "kthread")) {
		group->kthread = true;
	} else if (word_is(verb, "per")) {
		group->per = (uint32_t)words_number(w, "the group", 0, PLAN_MAX_TASKS);
	} else if (word_is(verb, "role")) {
		group->role = (enum role)words_choice(w, "role", roles, COUNT_OF(roles));
	} else if (word_is(verb, "delay")) {
		group->delay = words_number(w, "the delay", 0, PLAN_MAX_TIME);
	} else if (word_is(verb, "loop")) {
		read_loop(r);
	} else {
		return false;
	}
	return true;
}

static void read_line(struct reader *r)
{
	struct word verb = words_next(&r->w);

	if (word_is(verb, "channel")) {
		read_channel(r);
	} else if (word_is(verb, "barrier")) {
		read_barrier(r);
	} else if (word_is(verb, "group")) {
		read_group(r);
	} else if (word_is(verb, "task")) {
		read_task(r);
	} else if (!read_setting(r, verb)) {
		if (!r->group) {
			words_fail(&r->w, "it begins with no word that is known");
			return;
		}
		if (read_property(r, verb))
			goto end;
		struct phase phase = { 0 };

		if (!plan_read_phase(&r->w, verb, &phase)) {
			words_fail(&r->w, "it begins with no word that is known");
			return;
		}
		struct phase *grown = words_grow(&r->w, r->group->phases, &r->group->nr_phases,
						 sizeof *grown);

		if (grown) {
			grown[r->group->nr_phases - 1] = phase;
			r->group->phases = grown;
		}
	}
end:
	if (r->w.at < r->w.end)
		words_fail(&r->w, "there is too much on it");
}

/* Each task of a group has another number, below the number of tasks. */
static bool index_tasks(struct plan *plan)
{
	for (uint32_t g = 0; g < plan->nr_groups; g++) {
		struct plan_group *group = &plan->groups[g];

		group->by_instance = malloc((group->nr_tasks + 1) * sizeof *group->by_instance);
		if (!group->by_instance)
			return false;
		memset(group->by_instance, 0xff, group->nr_tasks * sizeof *group->by_instance);
	}
	for (uint32_t t = 0; t < plan->nr_tasks; t++) {
		const struct plan_task *task = &plan->tasks[t];
		struct plan_group *group = &plan->groups[task->group];

		if (task->instance >= group->nr_tasks ||
		    group->by_instance[task->instance] != PLAN_NONE ||
		    (group->own_cpu && task->cpu == PLAN_NONE))
			return false;
		group->by_instance[task->instance] = t;
	}
	return true;
}

static const char *check(const struct plan *plan)
{
	for (uint32_t g = 0; g < plan->nr_groups; g++) {
		const struct plan_group *group = &plan->groups[g];

		if (group->per != PLAN_NONE && group->per >= plan->nr_groups)
			return "a group belongs to one that isn't there";
		if (group->nr_phases == 0)
			return "a group has no phases";
		for (uint32_t i = 0; i < group->nr_phases; i++)
			if (!plan_phase_good(plan, &group->phases[i]))
				return "a phase refers to something that isn't there";
	}
	for (uint32_t i = 0; i < plan->nr_line_channels; i++)
		if (plan->channels[i].owners != PLAN_NONE &&
		    plan->channels[i].owners >= plan->nr_groups)
			return "a channel's owners aren't there";
	for (uint32_t t = 0; t < plan->nr_tasks; t++) {
		const struct plan_task *task = &plan->tasks[t];
		uint32_t per = plan->groups[task->group].per;

		if (task->owner != PLAN_NONE &&
		    (per == PLAN_NONE || task->owner >= plan->groups[per].nr_tasks))
			return "a task belongs to one that isn't there";
	}
	return plan->nr_tasks ? NULL : "there are no tasks";
}

static bool next_line(struct words *w, const char **text, const char *end)
{
	if (*text >= end)
		return false;
	const char *newline = memchr(*text, '\n', (size_t)(end - *text));

	w->line++;
	w->at = *text;
	w->end = newline ? newline : end;
	*text = w->end + 1;
	return true;
}

int plan_parse(struct plan *plan, const char *text, size_t length, char *error, size_t size)
{
	struct reader r = { .plan = plan, .w = { .error = error, .size = size } };
	const char *end = text + length;
	const char *wrong = NULL;

	memset(plan, 0, sizeof *plan);
	error[0] = 0;
	r.values[3] = PLAN_MAX_TIME;
	if (!next_line(&r.w, &text, end) || !word_is(words_next(&r.w), "schedc-plan") ||
	    words_number(&r.w, "the version", 1, 1) != 1 || r.w.at < r.w.end)
		words_fail(&r.w, "it must be `schedc-plan 1`");
	while (!words_failed(&r.w) && next_line(&r.w, &text, end))
		if (r.w.at < r.w.end && *r.w.at != '#')
			read_line(&r);
	plan->seed = r.values[0];
	plan->warmup = r.values[1];
	plan->duration = r.values[2];
	plan->limit = r.values[3];
	plan->nr_locks = (uint32_t)r.values[4];
	if (!words_failed(&r.w)) {
		wrong = check(plan);
		if (!wrong && !index_tasks(plan))
			wrong = "a group's tasks aren't numbered from 0, or have no cpu";
		if (wrong)
			words_fail(&r.w, "%s", wrong);
	}
	return words_failed(&r.w) ? -1 : 0;
}
