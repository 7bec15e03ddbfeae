// SPDX-License-Identifier: Apache-2.0
#include "measure.h"

typedef unsigned __int128 u128;

#define NSEC_PER_SEC UINT64_C(1000000000)

static void add(uint64_t *to, uint64_t value)
{
	__atomic_fetch_add(to, value, __ATOMIC_RELAXED);
}

static void raise_to(uint64_t *to, uint64_t value)
{
	uint64_t seen = __atomic_load_n(to, __ATOMIC_RELAXED);

	while (value > seen && !__atomic_compare_exchange_n(to, &seen, value, true,
							    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

void measure_wakeup(struct measures *m, uint64_t latency)
{
	hist_add_shared(&m->histograms[HIST_WAKEUP], latency);
}

static void deadline(struct measures *m, const struct phase *phase, uint64_t latency)
{
	if (!phase->deadline)
		return;
	add(&m->deadlines, 1);
	add(&m->missed, latency > phase->deadline);
}

void measure_mark(struct measures *m, const struct phase *phase, uint64_t latency)
{
	hist_add_shared(&m->histograms[phase->mark], latency);
	add(&m->counted[COUNT_THROUGHPUT], 1);
	deadline(m, phase, latency);
}

void measure_count(struct measures *m, enum counter_kind counter)
{
	add(&m->counted[counter], 1);
}

void measure_life(struct measures *m, uint64_t life)
{
	hist_add_shared(&m->histograms[HIST_CHILD_LIFE], life);
}

void measure_wait(struct measures *m, enum role role, uint64_t waited)
{
	raise_to(&m->longest[role], waited);
	if (role == ROLE_VICTIM && waited >= WAIT_MIN)
		hist_add_shared(&m->histograms[HIST_VICTIM_WAIT], waited);
}

void measure_job(struct measures *m, enum role role, uint64_t took)
{
	add(&m->done, 1);
	add(&m->done_sum, took);
	raise_to(&m->done_last, took);
	if (role == ROLE_SHORT)
		raise_to(&m->short_last, took);
}

const struct phase *measure_open(const struct plan_group *group)
{
	for (uint32_t i = 0; i < group->nr_phases; i++)
		if (group->phases[i].kind == PHASE_MARK)
			return &group->phases[i];
	return NULL;
}

void measure_censored(struct measures *m, const struct phase *mark, uint64_t so_far)
{
	hist_add_shared(&m->histograms[mark->mark], so_far);
	add(&m->censored, 1);
	/* One that may still be in time is neither met nor missed. */
	if (so_far > mark->deadline)
		deadline(m, mark, so_far);
}

static bool has_own_stamp(const struct plan_group *group)
{
	for (uint32_t i = 0; i < group->nr_phases; i++)
		if (group->phases[i].kind == PHASE_PERIOD ||
		    group->phases[i].kind == PHASE_INTERVAL ||
		    group->phases[i].kind == PHASE_STAMP)
			return true;
	return false;
}

const struct phase *measure_of_channel(const struct plan *plan, uint32_t line)
{
	for (uint32_t g = 0; g < plan->nr_groups; g++) {
		const struct plan_group *group = &plan->groups[g];

		for (uint32_t i = 0; i < group->nr_phases; i++)
			if (group->phases[i].kind == PHASE_WAIT && group->phases[i].target == line &&
			    measure_open(group) && !has_own_stamp(group))
				return measure_open(group);
	}
	return NULL;
}

bool measure_is_job(enum role role)
{
	return role == ROLE_JOB || role == ROLE_SHORT;
}

uint64_t measure_jobs(const struct plan *plan)
{
	uint64_t jobs = 0;

	for (uint32_t g = 0; g < plan->nr_groups; g++)
		if (measure_is_job(plan->groups[g].role))
			jobs += plan->groups[g].nr_tasks;
	return jobs;
}

struct list {
	FILE *out;
	const char *comma;
};

static void value(struct list *list, const char *name, uint64_t whole)
{
	fprintf(list->out, "%s\"%s\":%llu", list->comma, name, (unsigned long long)whole);
	list->comma = ",";
}

/* part : whole with six decimals; 0 if there is nothing. */
static void ratio(struct list *list, const char *name, u128 part, u128 whole)
{
	u128 millionths = whole ? part * 1000000 / whole : 0;

	fprintf(list->out, "%s\"%s\":%llu.%06llu", list->comma, name,
		(unsigned long long)(millionths / 1000000),
		(unsigned long long)(millionths % 1000000));
	list->comma = ",";
}

static uint64_t role_cpu(const struct plan *plan, const struct measures *m, enum role role)
{
	uint64_t sum = 0;

	for (uint32_t g = 0; g < plan->nr_groups; g++)
		if (plan->groups[g].role == role)
			sum += m->group_cpu[g];
	return sum;
}

static void misallocated(struct list *list, const struct plan *plan, const struct measures *m)
{
	u128 total = role_cpu(plan, m, ROLE_SHARED), weights = 0, beyond = 0;

	for (uint32_t g = 0; g < plan->nr_groups; g++)
		if (plan->groups[g].role == ROLE_SHARED)
			weights += plan->groups[g].cgroup_weight;
	/* Everything times `weights`: the parts are then whole numbers. */
	for (uint32_t g = 0; g < plan->nr_groups; g++) {
		u128 got = weights * m->group_cpu[g];
		u128 due = total * plan->groups[g].cgroup_weight;

		if (plan->groups[g].role == ROLE_SHARED && got > due)
			beyond += got - due;
	}
	ratio(list, "misallocated", beyond, total * weights);
}

static bool counts(const struct plan *plan, enum counter_kind counter)
{
	for (uint32_t g = 0; g < plan->nr_groups; g++)
		for (uint32_t i = 0; i < plan->groups[g].nr_phases; i++) {
			const struct phase *phase = &plan->groups[g].phases[i];

			if (phase->kind == PHASE_COUNT && phase->counter == counter)
				return true;
			if (phase->kind == PHASE_MARK && counter == COUNT_THROUGHPUT)
				return true;
		}
	return false;
}

static void values_json(struct list *list, const struct plan *plan, const struct measures *m,
			uint64_t jobs)
{
	static const char *const counters[COUNT_KINDS] = { "throughput", "switches", "forks" };

	for (unsigned i = 0; i < COUNT_KINDS; i++)
		if (counts(plan, (enum counter_kind)i))
			ratio(list, counters[i], (u128)m->counted[i] * NSEC_PER_SEC, m->window);
	if (m->deadlines)
		ratio(list, "missed", m->missed, m->deadlines);
	if (jobs && m->done == jobs) {
		value(list, "makespan", m->done_last);
		value(list, "mean_completion", m->done_sum / m->done);
		if (plan_has_role(plan, ROLE_SHORT))
			value(list, "last_short", m->short_last);
	}
	if (plan_has_role(plan, ROLE_VICTIM)) {
		value(list, "victim_longest", m->longest[ROLE_VICTIM]);
		ratio(list, "victim_share", role_cpu(plan, m, ROLE_VICTIM), m->window);
	}
	if (plan_has_role(plan, ROLE_HOG))
		value(list, "hog_longest", m->longest[ROLE_HOG]);
	if (plan_has_role(plan, ROLE_BACKGROUND))
		ratio(list, "background", role_cpu(plan, m, ROLE_BACKGROUND), m->window);
	if (plan_has_role(plan, ROLE_SHARED))
		misallocated(list, plan, m);
}

void measures_json(FILE *out, const struct plan *plan, const struct measures *m, uint64_t jobs)
{
	static const char *const names[HIST_KINDS] = {
		"wakeup", "request", "frame", "child_life", "victim_wait",
	};
	struct list list = { out, "" };

	fprintf(out, "{\"program\":\"phases\",\"seed\":%llu,\"window_ns\":%llu,\"jobs\":%llu,"
		"\"unfinished\":%llu,\"censored\":%llu,\"values\":{",
		(unsigned long long)plan->seed, (unsigned long long)m->window,
		(unsigned long long)jobs, (unsigned long long)(jobs - m->done),
		(unsigned long long)m->censored);
	values_json(&list, plan, m, jobs);
	fputs("},\"histograms\":{", out);
	list.comma = "";
	for (unsigned i = 0; i < HIST_KINDS; i++) {
		if (!m->histograms[i].count)
			continue;
		fputs(list.comma, out);
		hist_json(out, names[i], &m->histograms[i]);
		list.comma = ",";
	}
	fputs("}}", out);
}
