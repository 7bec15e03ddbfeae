/* SPDX-License-Identifier: Apache-2.0 */
/*
 * On which cpu a task wakes or begins: select_task_rq_fair(). A wake-up chooses between the waker's
 * and the task's own cpu (wake_affine()), then looks for an idle cpu that shares its cache
 * (select_idle_sibling()); a new task goes to the least busy part of the machine.
 *
 * Not here: SIS_UTIL, which ends a search early in a busy cache domain (a search is a few words of
 * a mask here); fitting tasks to cpus of unequal capacity; clusters below a cache.
 */
#include "fair.h"

/* --- one waker for one task, or for many? ----------------------------------------------------- */

static struct wakee_stats *stats_of(struct task *waker, s32 cpu)
{
	struct rq *rq = cpu_rq(cpu);

	if (!waker)
		waker = rq->curr;	/* an interrupt comes in whoever's time it comes */
	return waker && waker->fair ? &waker->fair->wakee : &rq->fair->idle_wakee;
}

static void record_wakee(struct wakee_stats *waker, const struct task *p)
{
	if (sim.now > waker->decayed_at + NSEC_SEC) {
		waker->flips >>= 1;
		waker->decayed_at = sim.now;
	}
	if (waker->last != p) {
		waker->last = p;
		waker->flips++;
	}
}

/* M:N wakers: pulling everybody to the waker's cache would crowd it. */
static bool wake_wide(const struct wakee_stats *waker, const struct fair_task *t, s32 cpu)
{
	u32 master = waker->flips, slave = t->wakee.flips;
	u32 factor = llc_sizes[sim.machine.llc_of[cpu]];

	if (master < slave) {
		u32 swap = master;

		master = slave;
		slave = swap;
	}
	return slave >= factor && (u64)master >= (u64)slave * factor;
}

/* --- the waker's cpu or the task's? ----------------------------------------------------------- */

static bool affine_idle(s32 this, s32 prev, bool sync, s32 *target)
{
	*target = this;
	if (cpu_idle(this) && cpus_share_cache(this, prev)) {
		if (cpu_idle(prev))
			*target = prev;
		return true;
	}
	if (sync && cpu_rq(this)->nr_running == 1)
		return true;	/* the waker is about to sleep: its cpu will be free */
	*target = prev;
	return cpu_idle(prev);
}

static bool affine_weight(struct fair_task *t, struct task *waker, s32 this, s32 prev, u32 pct,
			  bool sync)
{
	s64 this_load = (s64)cpu_load(this), prev_load, load;

	if (sync && waker) {
		s64 current = (s64)task_h_load(waker->fair);

		if (current > this_load)
			return true;
		this_load -= current;
	}
	load = (s64)task_h_load(t);
	this_load = (this_load + load) * 100 * sim.machine.capacity[prev];
	prev_load = ((s64)cpu_load(prev) - load) * (100 + ((s64)pct - 100) / 2) *
		    sim.machine.capacity[this];
	return this_load < prev_load + sync;
}

static s32 wake_affine(struct fair_task *t, struct task *waker, s32 this, s32 prev, u32 level,
		       bool sync)
{
	s32 target;

	if (affine_idle(this, prev, sync, &target))
		return target;
	return affine_weight(t, waker, this, prev, fair_levels[level].imbalance_pct, sync) ?
	       this : prev;
}

/* --- an idle cpu near the target -------------------------------------------------------------- */

static s32 select_idle_smt(const struct task *p, s32 cpu)
{
	s32 sibling = (s32)cpu_rq(cpu)->sibling;

	for (; sibling != cpu; sibling = (s32)cpu_rq(sibling)->sibling)
		if (task_allowed(p, sibling) && cpu_idle(sibling))
			return sibling;
	return NO_CPU;
}

/* A cpu whose whole core is idle; if there is none, the first idle cpu. */
static s32 select_idle_core(const struct task *p, const struct cpumask *llc, s32 target)
{
	s32 first = mask_next_wrap(&sim.idle_cpus, llc, p->k.cpus_ptr, target), cpu = first;

	while (cpu >= 0) {
		if (core_idle(cpu))
			return cpu;
		cpu = mask_next_wrap(&sim.idle_cpus, llc, p->k.cpus_ptr, cpu + 1);
		if (cpu == first)
			break;
	}
	llc_has_idle_core[sim.machine.llc_of[target]] = false;
	return first;
}

static s32 select_idle_sibling(struct task *p, s32 prev, s32 target)
{
	struct fair_task *t = p->fair;
	s32 recent = t->recent_used_cpu, cpu;
	const struct cpumask *llc = &llc_masks[sim.machine.llc_of[target]];
	bool idle_core = false;

	if (cpu_idle(target) && task_allowed(p, target))
		return target;
	if (prev != target && cpus_share_cache(prev, target) && cpu_idle(prev) &&
	    task_allowed(p, prev))
		return prev;
	t->recent_used_cpu = prev;
	if (recent >= 0 && recent != prev && recent != target && cpus_share_cache(recent, target) &&
	    cpu_idle(recent) && task_allowed(p, recent))
		return recent;
	if (smt_active) {
		idle_core = llc_has_idle_core[sim.machine.llc_of[target]];
		if (!idle_core && cpus_share_cache(prev, target)) {
			cpu = select_idle_smt(p, prev);
			if (cpu >= 0)
				return cpu;
		}
	}
	if (idle_core)
		cpu = select_idle_core(p, llc, target + 1);
	else
		cpu = mask_next_wrap(&sim.idle_cpus, llc, p->k.cpus_ptr, target + 1);
	return cpu >= 0 ? cpu : target;
}

/* --- where a new task begins ------------------------------------------------------------------ */

static bool allowed_all(const struct task *p)
{
	return p->k.cpus_ptr == &p->k.cpus_mask &&
	       p->k.nr_cpus_allowed == (int)sim.machine.nr_cpus;
}

/* Is the group a better place than the best so far? (update_pick_idlest()) */
static bool idler(const struct group_stats *gs, const struct group_stats *best)
{
	if (gs->type != best->type)
		return gs->type < best->type;
	switch (gs->type) {
	case GROUP_OVERLOADED:
	case GROUP_FULLY_BUSY:
		return gs->avg_load < best->avg_load;
	case GROUP_HAS_SPARE:
		return gs->idle_cpus > best->idle_cpus ||
		       (gs->idle_cpus == best->idle_cpus && gs->util < best->util);
	case GROUP_IMBALANCED:
		break;
	}
	return false;
}

static void wakeup_stats(struct group_stats *gs, struct fair_span *span, u32 pct)
{
	group_stats(gs, span, pct);
	if (gs->type == GROUP_IMBALANCED)
		gs->type = GROUP_HAS_SPARE;	/* it is no reason to stay away */
	if (gs->type != GROUP_HAS_SPARE)
		gs->avg_load = gs->load * CAPACITY_SCALE / span->capacity;
}

/* Does the local group do, if the idlest of the others is this one? */
static bool local_is_as_good(const struct group_stats *local, const struct group_stats *idlest,
			     u32 pct)
{
	u64 margin = NICE_0_WEIGHT * (pct - 100) / 100;

	if (local->type != idlest->type)
		return local->type < idlest->type;
	if (local->type == GROUP_HAS_SPARE)
		return local->idle_cpus >= idlest->idle_cpus;
	return idlest->avg_load >= local->avg_load + margin ||
	       100 * local->avg_load <= pct * idlest->avg_load;
}

static struct fair_span *find_idlest_group(const struct task *p, u32 level, s32 cpu)
{
	const struct fair_span *span = span_at(level, cpu);
	struct group_stats local = { 0 }, best = { .type = GROUP_OVERLOADED, .avg_load = TIME_MAX };
	u32 pct = fair_levels[level].imbalance_pct;
	struct fair_span *idlest = NULL;

	for (u32 i = 0; i < span->nr_children; i++) {
		struct fair_span *group =
			&fair_spans[level][fair_children[level][span->first_child + i]];
		struct group_stats gs;

		if (!allowed_all(p) &&
		    mask_next(&group->mask, p->k.cpus_ptr, NULL, (s32)group->first_word * 64) < 0)
			continue;
		wakeup_stats(&gs, group, pct);
		if (mask_test(&group->mask, cpu)) {
			local = gs;
		} else if (idler(&gs, &best)) {
			best = gs;
			idlest = group;
		}
	}
	if (idlest && local.span && local_is_as_good(&local, &best, pct))
		return NULL;
	return idlest;
}

/* Of its cpus, the one that went idle last; of busy ones the least loaded. */
static s32 find_idlest_cpu(const struct task *p, struct fair_span *group, u32 height)
{
	const u64 *mask = group->mask.bits, *allowed = p->k.cpus_ptr->bits;
	s32 idlest = NO_CPU, least = NO_CPU;

	for (u32 word = group->first_word; word < group->end_word; word++)
		for (u64 bits = mask[word] & allowed[word] & sim.idle_cpus.bits[word]; bits;
		     bits &= bits - 1) {
			s32 cpu = (s32)(word * 64) + __builtin_ctzll(bits);

			if (idlest < 0 || cpu_rq(cpu)->idle_since > cpu_rq(idlest)->idle_since)
				idlest = cpu;
		}
	if (idlest >= 0)
		return idlest;
	if (allowed_all(p))
		return least_loaded(group, height);
	for (u32 word = group->first_word; word < group->end_word; word++)
		for (u64 bits = mask[word] & allowed[word]; bits; bits &= bits - 1) {
			s32 cpu = (s32)(word * 64) + __builtin_ctzll(bits);

			if (least < 0 || cpu_load(cpu) < cpu_load(least))
				least = cpu;
		}
	return least;
}

/* From the machine down: to the idlest group, in it to the idlest of its groups, … */
static s32 find_idlest(const struct task *p, s32 cpu)
{
	u32 level = nr_levels;

	while (level--) {
		struct fair_span *group = find_idlest_group(p, level, cpu);

		if (group)
			cpu = find_idlest_cpu(p, group, level);
	}
	return cpu;
}

s32 fair_select_task_rq(struct task *p, s32 prev, u64 wake_flags)
{
	struct fair_task *t = p->fair;
	s32 this = p->waker ? p->waker->cpu : this_cpu(), target = prev;
	struct wakee_stats *waker = stats_of(p->waker, this);
	bool sync = wake_flags & WF_SYNC;

	if (t->se.sched_delayed)
		return t->se.queue->rq->rq->cpu;	/* still queued there: ttwu_runnable() */
	if (wake_flags & WF_FORK) {
		s32 cpu = find_idlest(p, this);

		return task_allowed(p, cpu) ? cpu : NO_CPU;
	}
	record_wakee(waker, p);
	if (this != prev && !wake_wide(waker, t, this) && task_allowed(p, this))
		for (u32 level = 0; level < nr_levels; level++)
			if (mask_test(&span_at(level, this)->mask, prev)) {
				target = wake_affine(t, p->waker, this, prev, level, sync);
				break;
			}
	return select_idle_sibling(p, prev, target);
}
