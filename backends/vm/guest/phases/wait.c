// SPDX-License-Identifier: Apache-2.0
/* Mutexes, channels and barriers of a plan, by the rules of the simulator's work_wait.c. */
#include "board.h"

void mutex_lock(struct mutex *mutex)
{
	uint32_t seen = 0;

	if (atomic_compare_exchange_strong(&mutex->word, &seen, 1))
		return;
	while (atomic_exchange(&mutex->word, 2) != 0)
		wl_futex_wait(&mutex->word, 2);
}

void mutex_unlock(struct mutex *mutex)
{
	if (atomic_exchange(&mutex->word, 0) == 2)
		wl_futex_wake(&mutex->word, 1);
}

void doer_wait(struct doer *d)
{
	atomic_store(&d->seen, 0);
	while (atomic_load(&d->word) == 0)
		wl_futex_wait(&d->word, 0);
	atomic_store(&d->word, 0);
}

void doer_wake(struct doer *d)
{
	atomic_store(&d->word, 1);
	wl_futex_wake(&d->word, 1);
}

static void line_add(struct line *line, struct doer *d)
{
	d->next = NULL;
	if (line->last)
		line->last->next = d;
	else
		line->first = d;
	line->last = d;
}

static struct doer *line_take(struct line *line)
{
	struct doer *d = line->first;

	if (d) {
		line->first = d->next;
		if (!line->first)
			line->last = NULL;
	}
	return d;
}

static struct channel *channel_of(const struct doer *d, const struct phase *phase)
{
	return &board->channels[plan_channel(&plan, phase->target, &d->place)];
}

/* With the channel's mutex held. */
static void take_post(struct doer *d, struct channel *c)
{
	struct doer *giver = line_take(&c->givers);

	atomic_store(&d->stamp, c->posts[c->head++ % c->room].stamp);
	c->count--;
	if (giver)
		doer_wake(giver);
}

void do_wait(struct doer *d, const struct phase *phase)
{
	struct channel *c = channel_of(d, phase);
	uint32_t lock = phase->lock;

	for (uint64_t left = phase->count; left; left--) {
		mutex_lock(&c->mutex);
		if (c->count) {
			take_post(d, c);
			mutex_unlock(&c->mutex);
			continue;
		}
		d->measured = phase->measured;
		line_add(&c->takers, d);
		mutex_unlock(&c->mutex);
		if (lock != PLAN_NONE)
			mutex_unlock(&board->locks[lock]);
		lock = PLAN_NONE;
		doer_wait(d);
		uint64_t now = wl_now();
		/* Whoever clears it counts it: this task, or main() when the time is up. */
		uint64_t at = atomic_exchange(&d->waking_at, 0);

		if (at && in_window(now))
			measure_wakeup(&board->measures, now - at);
		gap_after(d, d->given_at);
	}
}

static uint64_t stamp_of(const struct doer *d, const struct phase *phase, uint64_t now)
{
	uint64_t taken = atomic_load(&d->stamp);

	switch (phase->stamp) {
	case STAMP_SCHEDULE:
		return d->schedule;
	case STAMP_TAKEN:
		return taken ? taken : now;
	case STAMP_NOW:
		break;
	}
	return now;
}

static void give(struct doer *taker, uint64_t now, uint64_t stamp)
{
	taker->given_at = now;
	atomic_store(&taker->stamp, stamp);
	atomic_store(&taker->seen, now);
	if (taker->measured)
		atomic_store(&taker->waking_at, now);
	doer_wake(taker);
}

/* One post; false if the channel is full: the task is then among its givers. */
static bool post(struct doer *d, struct channel *c, const struct phase *phase)
{
	uint64_t now = wl_now();
	uint64_t stamp = stamp_of(d, phase, now);
	bool full = false;

	mutex_lock(&c->mutex);
	struct doer *taker = line_take(&c->takers);

	if (taker) {
		/* In the mutex, so that main() never finds it neither waiting nor woken. */
		give(taker, now, stamp);
	} else if (c->keep && c->capacity && c->count >= c->capacity) {
		line_add(&c->givers, d);
		full = true;
	} else if (c->keep && c->count < c->room) {
		c->posts[(c->head + c->count++) % c->room] = (struct post){ now, stamp };
	} else if (c->keep) {
		atomic_fetch_add(&board->dropped, 1);
	}
	mutex_unlock(&c->mutex);
	return !full;
}

void do_wake(struct doer *d, const struct phase *phase)
{
	struct channel *c = channel_of(d, phase);
	uint64_t left = phase->count;

	if (!left) {
		mutex_lock(&c->mutex);
		for (const struct doer *t = c->takers.first; t; t = t->next)
			left++;
		mutex_unlock(&c->mutex);
	}
	while (left) {
		if (post(d, c, phase))
			left--;
		else
			doer_wait(d);
	}
}

/* With the barrier's mutex held. */
static void open_barrier(struct barrier *b)
{
	uint64_t none = 0;

	b->come = 0;
	atomic_compare_exchange_strong(&board->released, &none, wl_now());
	atomic_fetch_add(&b->round, 1);
	wl_futex_wake(&b->round, INT_MAX);
}

void do_barrier(struct doer *d, const struct phase *phase)
{
	struct barrier *b = &board->barriers[phase->target];

	mutex_lock(&b->mutex);
	uint32_t round = atomic_load(&b->round);

	if (++b->come >= b->parties)
		open_barrier(b);
	mutex_unlock(&b->mutex);
	if (atomic_load(&b->round) != round)
		return;
	atomic_store(&d->seen, 0);
	while (atomic_load(&b->round) == round)
		wl_futex_wait(&b->round, round);
	gap_after(d, 0);
}

static bool first_mention(const struct plan_group *group, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++)
		if (group->phases[i].kind == PHASE_BARRIER &&
		    group->phases[i].target == group->phases[index].target)
			return false;
	return group->phases[index].kind == PHASE_BARRIER;
}

void leave_barriers(struct doer *d)
{
	for (uint32_t i = 0; i < d->group->nr_phases; i++) {
		struct barrier *b = &board->barriers[d->group->phases[i].target];

		if (!first_mention(d->group, i))
			continue;
		mutex_lock(&b->mutex);
		if (b->parties)
			b->parties--;
		if (b->come && b->come >= b->parties)
			open_barrier(b);
		mutex_unlock(&b->mutex);
	}
}
