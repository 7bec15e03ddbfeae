// SPDX-License-Identifier: Apache-2.0
/*
 * Channels, locks and barriers of a plan. A post goes to the task that has waited longest, which
 * is what a futex does; a lock that is given up is free for whoever comes first, the task that is
 * woken for it or one that runs already, as in a futex mutex.
 */
#include <stdlib.h>
#include <string.h>

#include "work_state.h"

void line_init(struct line *line)
{
	line->first = NULL;
	line->last = &line->first;
}

static void line_add(struct line *line, struct doer *d)
{
	d->next = NULL;
	*line->last = d;
	line->last = &d->next;
}

static struct doer *line_take(struct line *line)
{
	struct doer *d = line->first;

	if (!d)
		return NULL;
	line->first = d->next;
	if (!line->first)
		line->last = &line->first;
	return d;
}

static void channel_push(struct channel *c, u64 stamp)
{
	if (c->count == c->room) {
		u32 room = c->room ? c->room * 2 : 4;
		struct post *posts = work_alloc(room, sizeof *posts);

		for (u32 i = 0; i < c->count; i++)
			posts[i] = c->posts[(c->head + i) & (c->room - 1)];
		free(c->posts);
		c->posts = posts;
		c->room = room;
		c->head = 0;
	}
	c->posts[(c->head + c->count++) & (c->room - 1)] = (struct post){ sim.now, stamp };
}

static struct channel *channel_of(struct doer *d, const struct phase *phase)
{
	return &work.channels[plan_channel(&work.plan, phase->target, &d->place)];
}

static bool take_post(struct doer *d, struct channel *c)
{
	struct doer *giver;

	if (!c->count)
		return false;
	d->stamp = c->posts[c->head & (c->room - 1)].stamp;
	d->stamped = true;
	c->head++;
	c->count--;
	giver = line_take(&c->givers);
	if (giver) {
		giver->given = true;
		wake_task(giver->task, d->task, false);
	}
	return true;
}

enum step work_wait(struct doer *d, const struct phase *phase)
{
	struct channel *c = channel_of(d, phase);

	if (d->stage == 0) {
		d->left = phase->count;
		d->stage = 1;
	} else if (!d->given) {
		return STEP_SLEEP;
	} else {
		d->given = false;
		d->left--;
		if (phase->measured && in_window())
			measure_wakeup(&work.measures, sim.now - d->due);
	}
	while (d->left && take_post(d, c))
		d->left--;
	if (!d->left)
		return STEP_ON;
	line_add(&c->takers, d);
	if (phase->lock != PLAN_NONE) {
		struct phase unlock = { .kind = PHASE_UNLOCK, .target = phase->lock };

		work_unlock(d, &unlock);
	}
	return STEP_SLEEP;
}

static u64 stamp_of(const struct doer *d, const struct phase *phase)
{
	switch (phase->stamp) {
	case STAMP_SCHEDULE:
		return d->schedule;
	case STAMP_TAKEN:
		return d->stamped ? d->stamp : sim.now;
	case STAMP_NOW:
		break;
	}
	return sim.now;
}

enum step work_wake(struct doer *d, const struct phase *phase)
{
	struct channel *c = channel_of(d, phase);
	u64 stamp = stamp_of(d, phase);

	if (d->stage == 0) {
		d->left = phase->count;
		if (!d->left)
			for (struct doer *t = c->takers.first; t; t = t->next)
				d->left++;
		d->stage = 1;
	} else if (!d->given) {
		return STEP_SLEEP;
	}
	d->given = false;
	for (; d->left; d->left--) {
		struct doer *taker = line_take(&c->takers);

		if (taker) {
			taker->given = true;
			taker->due = sim.now;
			taker->stamp = stamp;
			taker->stamped = true;
			wake_task(taker->task, d->task, false);
		} else if (c->keep && c->capacity && c->count >= c->capacity) {
			line_add(&c->givers, d);
			return STEP_SLEEP;
		} else if (c->keep) {
			channel_push(c, stamp);
		}
	}
	return STEP_ON;
}

static void barrier_open(struct barrier *b, struct task *opener)
{
	struct doer *d;

	b->come = 0;
	if (!work.opened) {
		work.opened = true;
		work.released = sim.now;
	}
	/* Those who come again while others are woken belong to the next round. */
	d = b->line.first;
	line_init(&b->line);
	while (d) {
		struct doer *next = d->next;

		d->given = true;
		wake_task(d->task, opener, false);
		d = next;
	}
}

enum step work_barrier(struct doer *d, const struct phase *phase)
{
	struct barrier *b = &work.barriers[phase->target];

	if (d->stage == 1) {
		if (!d->given)
			return STEP_SLEEP;
		d->given = false;
		return STEP_ON;
	}
	if (++b->come >= b->parties) {
		barrier_open(b, d->task);
		return STEP_ON;
	}
	d->stage = 1;
	line_add(&b->line, d);
	return STEP_SLEEP;
}

static bool first_mention(const struct plan_group *group, u32 index)
{
	for (u32 i = 0; i < index; i++)
		if (group->phases[i].kind == PHASE_BARRIER &&
		    group->phases[i].target == group->phases[index].target)
			return false;
	return group->phases[index].kind == PHASE_BARRIER;
}

void work_leave_barriers(struct doer *d)
{
	for (u32 i = 0; i < d->group->nr_phases; i++) {
		struct barrier *b = &work.barriers[d->group->phases[i].target];

		if (!first_mention(d->group, i) || !b->parties)
			continue;
		b->parties--;
		if (b->come && b->come >= b->parties)
			barrier_open(b, d->task);
	}
}

enum step work_lock(struct doer *d, const struct phase *phase)
{
	struct lock *lock = &work.locks[phase->target];

	if (d->stage == 1 && !d->given)
		return STEP_SLEEP;
	d->given = false;
	if (!lock->held) {
		lock->held = true;
		return STEP_ON;
	}
	d->stage = 1;
	line_add(&lock->line, d);
	return STEP_SLEEP;
}

enum step work_unlock(struct doer *d, const struct phase *phase)
{
	struct lock *lock = &work.locks[phase->target];
	struct doer *next = line_take(&lock->line);

	lock->held = false;
	if (next) {
		next->given = true;
		wake_task(next->task, d->task, false);
	}
	return STEP_ON;
}
