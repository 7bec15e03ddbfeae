// SPDX-License-Identifier: Apache-2.0
/* Questions about a plan that was read, and its end. */
#include <stdlib.h>
#include <string.h>

#include "plan.h"

void plan_free(struct plan *plan)
{
	for (uint32_t g = 0; g < plan->nr_groups; g++) {
		struct plan_group *group = &plan->groups[g];

		for (uint32_t i = 0; i < group->nr_phases; i++) {
			free(group->phases[i].time.values);
			free(group->phases[i].time.cumulative);
		}
		free(group->phases);
		free(group->by_instance);
	}
	free(plan->groups);
	free(plan->channels);
	free(plan->barriers);
	free(plan->tasks);
	memset(plan, 0, sizeof *plan);
}

struct plan_place plan_place(const struct plan *plan, const struct plan_task *task)
{
	struct plan_place place = { 0 };

	while (place.depth < PLAN_DEPTH) {
		const struct plan_group *group = &plan->groups[task->group];

		place.of[place.depth].group = task->group;
		place.of[place.depth].instance = task->instance;
		place.depth++;
		if (group->per == PLAN_NONE || task->owner == PLAN_NONE)
			break;
		task = &plan->tasks[plan->groups[group->per].by_instance[task->owner]];
	}
	return place;
}

struct plan_place plan_forked(const struct plan_place *forker, uint32_t group)
{
	struct plan_place place = { .depth = 1 };

	place.of[0].group = group;
	place.of[0].instance = PLAN_NONE;
	for (uint32_t i = 0; i < forker->depth && place.depth < PLAN_DEPTH; i++)
		place.of[place.depth++] = forker->of[i];
	return place;
}

uint32_t plan_channel(const struct plan *plan, uint32_t line, const struct plan_place *place)
{
	const struct plan_channel *channel = &plan->channels[line];

	for (uint32_t i = 0; i < place->depth; i++)
		if (place->of[i].group == channel->owners &&
		    place->of[i].instance < channel->count)
			return channel->base + place->of[i].instance;
	return channel->base;
}

bool plan_has_role(const struct plan *plan, enum role role)
{
	for (uint32_t g = 0; g < plan->nr_groups; g++)
		if (plan->groups[g].role == role)
			return true;
	return false;
}

bool plan_has_phase(const struct plan *plan, enum phase_kind kind)
{
	for (uint32_t g = 0; g < plan->nr_groups; g++)
		for (uint32_t i = 0; i < plan->groups[g].nr_phases; i++)
			if (plan->groups[g].phases[i].kind == kind)
				return true;
	return false;
}

bool plan_only_works(const struct plan_group *group)
{
	uint64_t some = 0;

	if (group->loops != PLAN_FOREVER || group->delay)
		return false;
	for (uint32_t i = 0; i < group->nr_phases; i++) {
		if (group->phases[i].kind != PHASE_RUN)
			return false;
		some |= group->phases[i].time.a | group->phases[i].time.count;
	}
	return some != 0;
}
