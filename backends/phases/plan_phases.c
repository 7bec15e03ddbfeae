// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "plan_phases.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_VALUES 4096u

static const char *const verbs[] = {
	"run", "sleep", "period", "wait", "wake", "fork", "join", "exit", "barrier_wait", "lock",
	"unlock", "mark", "count", "yield", "stamp",
	"interval",
};
static const char *const dists[] = { "fixed", "uniform", "exponential", "lognormal", "empirical" };
static const char *const measures[] = { "-", "wakeup" };
static const char *const stamps[] = { "now", "schedule", "taken" };
static const char *const marks[] = { "request", "frame" };
static const char *const counters[] = { "throughput", "switches", "forks" };

static void read_empirical(struct words *w, struct dist *dist)
{
	uint32_t count = (uint32_t)words_number(w, "the number of values", 1, MAX_VALUES);
	uint64_t sum = 0;

	if (words_failed(w))
		return;
	dist->values = calloc(count, sizeof *dist->values);
	dist->cumulative = calloc(count, sizeof *dist->cumulative);
	if (!dist->values || !dist->cumulative) {
		words_fail(w, "no memory");
		return;
	}
	for (dist->count = 0; dist->count < count && !words_failed(w); dist->count++) {
		dist->values[dist->count] = words_number(w, "a value", 0, PLAN_MAX_TIME);
		sum += words_number(w, "a weight", 1, PLAN_MAX_COUNT);
		dist->cumulative[dist->count] = sum;
	}
}

static void read_dist(struct words *w, struct dist *dist)
{
	dist->kind = (enum dist_kind)words_choice(w, "distribution", dists, COUNT_OF(dists));
	if (words_failed(w))
		return;
	if (dist->kind == DIST_EMPIRICAL) {
		read_empirical(w, dist);
		return;
	}
	dist->a = words_number(w, "a time", 0, PLAN_MAX_TIME);
	if (dist->kind == DIST_UNIFORM)
		dist->b = words_number(w, "the spread", 0, 100);
	else if (dist->kind == DIST_LOGNORMAL)
		dist->b = words_number(w, "sigma", 0, 1000);
}

static void read_wait(struct words *w, struct phase *phase)
{
	phase->target = (uint32_t)words_number(w, "the channel", 0, PLAN_MAX_TASKS);
	phase->count = words_number(w, "the count", 1, PLAN_MAX_COUNT);
	phase->measured = words_choice(w, "measure", measures, COUNT_OF(measures));
	phase->lock = (uint32_t)words_optional(w, "the lock", PLAN_MAX_TASKS, PLAN_NONE);
}

static void read_wake(struct words *w, struct phase *phase)
{
	phase->target = (uint32_t)words_number(w, "the channel", 0, PLAN_MAX_TASKS);
	phase->count = words_number(w, "the count", 0, PLAN_MAX_COUNT);
	phase->stamp = (enum stamp_kind)words_choice(w, "stamp", stamps, COUNT_OF(stamps));
}

bool plan_read_phase(struct words *w, struct word verb, struct phase *phase)
{
	unsigned kind = 0;

	while (kind < COUNT_OF(verbs) && !word_is(verb, verbs[kind]))
		kind++;
	if (kind == COUNT_OF(verbs))
		return false;
	phase->kind = (enum phase_kind)kind;
	phase->lock = PLAN_NONE;
	switch (phase->kind) {
	case PHASE_SLEEP:
	case PHASE_PERIOD:
	case PHASE_INTERVAL:
		phase->measured = words_choice(w, "measure", measures, COUNT_OF(measures));
		/* fallthrough */
	case PHASE_RUN:
		read_dist(w, &phase->time);
		break;
	case PHASE_WAIT:
		read_wait(w, phase);
		break;
	case PHASE_WAKE:
		read_wake(w, phase);
		break;
	case PHASE_FORK:
		phase->target = (uint32_t)words_number(w, "the group", 0, PLAN_MAX_TASKS);
		phase->count = words_number(w, "the count", 0, PLAN_MAX_COUNT);
		break;
	case PHASE_BARRIER:
	case PHASE_LOCK:
	case PHASE_UNLOCK:
		phase->target = (uint32_t)words_number(w, "the number", 0, PLAN_MAX_TASKS);
		break;
	case PHASE_MARK:
		phase->mark = words_choice(w, "mark", marks, COUNT_OF(marks)) ? HIST_FRAME
									      : HIST_REQUEST;
		phase->deadline = words_number(w, "the deadline", 0, PLAN_MAX_TIME);
		break;
	case PHASE_COUNT:
		phase->counter = (enum counter_kind)words_choice(w, "counter", counters,
								 COUNT_OF(counters));
		break;
	case PHASE_JOIN:
	case PHASE_EXIT:
	case PHASE_YIELD:
	case PHASE_STAMP:
		break;
	}
	return true;
}

bool plan_phase_good(const struct plan *plan, const struct phase *phase)
{
	switch (phase->kind) {
	case PHASE_WAIT:
		return phase->target < plan->nr_line_channels &&
		       (phase->lock == PLAN_NONE || phase->lock < plan->nr_locks);
	case PHASE_WAKE:
		return phase->target < plan->nr_line_channels;
	case PHASE_FORK:
		return phase->target < plan->nr_groups;
	case PHASE_BARRIER:
		return phase->target < plan->nr_barriers;
	case PHASE_LOCK:
	case PHASE_UNLOCK:
		return phase->target < plan->nr_locks;
	default:
		return true;
	}
}
