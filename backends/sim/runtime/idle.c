/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The built-in tracking of idle cpus, and the built-in choice of one: kernel/sched/ext_idle.c. A
 * claim clears a cpu's bit, and its core's; the bits come back when the cpu goes idle, or has
 * looked for work in vain.
 */
#include "ext.h"

struct idle_masks {
	struct cpumask cpu, smt;
};

/* One pair for all, or one for each node. */
static struct idle_masks masks[NR_CPUS];
static struct cpumask core_mask[NR_CPUS], llc_mask[NR_CPUS], node_mask[NR_CPUS];
static struct cpumask none;
static bool smt_active, by_llc, by_node;
static s32 last_picked[NR_CPUS];	/* by the cpu that picks; the next is behind it */

static struct idle_masks *masks_of(s32 node)
{
	return &masks[node < 0 ? 0 : node];
}

static s32 node_if_tracked(s32 cpu)
{
	return sch.idle_per_node ? (s32)sim.machine.node_of[cpu] : NUMA_NO_NODE;
}

static void mask_move(struct cpumask *mask, const struct cpumask *other, bool in)
{
	for (u32 word = 0; word < sim.mask_words; word++) {
		if (in)
			mask->bits[word] |= other->bits[word];
		else
			mask->bits[word] &= ~other->bits[word];
	}
}

static bool mask_subset(const struct cpumask *inner, const struct cpumask *outer)
{
	for (u32 word = 0; word < sim.mask_words; word++)
		if (inner->bits[word] & ~outer->bits[word])
			return false;
	return true;
}

static bool mask_intersect(struct cpumask *dst, const struct cpumask *a, const struct cpumask *b)
{
	u64 any = 0;

	for (u32 word = 0; word < sim.mask_words; word++)
		any |= dst->bits[word] = a->bits[word] & b->bits[word];
	return any;
}

void idle_init(void)
{
	const struct machine *m = &sim.machine;

	for (u32 cpu = 0; cpu < m->nr_cpus; cpu++) {
		for (u32 other = 0; other < m->nr_cpus; other++) {
			if (m->core_of[other] == m->core_of[cpu])
				mask_set(&core_mask[cpu], (s32)other);
			if (m->llc_of[other] == m->llc_of[cpu])
				mask_set(&llc_mask[cpu], (s32)other);
			if (m->node_of[other] == m->node_of[cpu])
				mask_set(&node_mask[cpu], (s32)other);
		}
		smt_active |= mask_weight(&core_mask[cpu]) > 1;
		by_node |= mask_weight(&llc_mask[cpu]) != mask_weight(&node_mask[cpu]);
		/* At first all count as idle. */
		mask_set(&masks_of(node_if_tracked((s32)cpu))->cpu, (s32)cpu);
		mask_set(&masks_of(node_if_tracked((s32)cpu))->smt, (s32)cpu);
		last_picked[cpu] = NO_CPU;
	}
	by_llc = mask_weight(&llc_mask[0]) < m->nr_cpus;
	by_node &= !sch.idle_per_node && mask_weight(&node_mask[0]) < m->nr_cpus;
}

void idle_update(s32 cpu, bool idle)
{
	struct idle_masks *idles = masks_of(node_if_tracked(cpu));

	if (idle)
		mask_set(&idles->cpu, cpu);
	else
		mask_clear(&idles->cpu, cpu);
	if (smt_active && (!idle || mask_subset(&core_mask[cpu], &idles->cpu)))
		mask_move(&idles->smt, &core_mask[cpu], idle);
}

bool idle_claim(s32 cpu)
{
	struct idle_masks *idles = masks_of(node_if_tracked(cpu));

	if (smt_active)
		mask_move(&idles->smt, &core_mask[cpu], false);
	if (!mask_test(&idles->cpu, cpu))
		return false;
	mask_clear(&idles->cpu, cpu);
	return true;
}

/* --- choosing --------------------------------------------------------------------------------- */

static s32 first_from(const struct cpumask *a, const struct cpumask *b, u32 from, u32 to)
{
	for (u32 word = from >> 6; word < sim.mask_words && word << 6 < to; word++) {
		u64 both = a->bits[word] & b->bits[word];

		if (word == from >> 6)
			both &= ~0ULL << (from & 63);
		if (!both)
			continue;
		from = (word << 6) + (u32)__builtin_ctzll(both);
		return from < to ? (s32)from : NO_CPU;
	}
	return NO_CPU;
}

/* The next cpu of both after the one that was picked last from here: NO_CPU if there is none. */
s32 any_and_distribute(const struct cpumask *a, const struct cpumask *b)
{
	s32 *last = &last_picked[this_cpu()];
	/* The kernel may take any: in a script, the lowest, as the reference machine does. */
	u32 from = sim.manual ? 0 : (u32)(*last + 1);
	s32 cpu = first_from(a, b, from, sim.machine.nr_cpus);

	if (cpu < 0)
		cpu = first_from(a, b, 0, from);
	if (cpu >= 0)
		*last = cpu;
	return cpu;
}

static s32 pick_in_node(const struct cpumask *allowed, s32 node, u64 flags)
{
	struct idle_masks *idles = masks_of(node);
	s32 cpu;

	for (;;) {
		cpu = smt_active ? any_and_distribute(&idles->smt, allowed) : NO_CPU;
		if (cpu < 0) {
			if (smt_active && flags & SCX_PICK_IDLE_CORE)
				return -EBUSY;
			cpu = any_and_distribute(&idles->cpu, allowed);
		}
		if (cpu < 0)
			return -EBUSY;
		if (idle_claim(cpu))
			return cpu;
	}
}

/* With masks by node: this one first, then the others, the near ones (by number) before. */
s32 idle_pick(const struct cpumask *allowed, s32 node, u64 flags)
{
	s32 cpu = pick_in_node(allowed, node, flags);

	if (cpu >= 0 || node < 0 || flags & SCX_PICK_IDLE_IN_NODE)
		return cpu;
	for (u32 i = 1; i < sim.machine.nr_nodes && cpu < 0; i++)
		cpu = pick_in_node(allowed, (s32)(((u32)node + i) % sim.machine.nr_nodes), flags);
	return cpu;
}

struct search {
	const struct cpumask *allowed, *llc, *node;
	s32 prev, node_id;
	bool prev_allowed;
	u64 flags;
};

/* prev, its llc, its node, anywhere; whole cores only, or any cpu. */
static s32 search_round(const struct search *s, bool cores)
{
	u64 core = cores ? SCX_PICK_IDLE_CORE : 0;
	s32 cpu;

	if (s->prev_allowed &&
	    (!cores || mask_test(&masks_of(s->node_id)->smt, s->prev)) && idle_claim(s->prev))
		return s->prev;
	if (s->llc) {
		cpu = pick_in_node(s->llc, s->node_id, core);
		if (cpu >= 0)
			return cpu;
	}
	if (s->node) {
		cpu = pick_in_node(s->node, s->node_id, core);
		if (cpu >= 0)
			return cpu;
	}
	return idle_pick(s->allowed, s->node_id, s->flags | core);
}

/* A synchronous wake-up goes to the waker's cpu if that costs nobody anything. */
static s32 sync_cpu(const struct search *s)
{
	s32 here = this_cpu(), node = (s32)sim.machine.node_of[here];
	struct rq *rq = cpu_rq(here);

	if (s->prev_allowed && sim.machine.llc_of[here] == sim.machine.llc_of[s->prev] &&
	    idle_claim(s->prev))
		return s->prev;
	if (rq->curr && rq->curr->k.flags & PF_EXITING)
		return NO_CPU;
	if (rq->ext->local.nr ||
	    (s->flags & SCX_PICK_IDLE_IN_NODE && s->node_id >= 0 && node != s->node_id))
		return NO_CPU;
	if (mask_first_and(&masks_of(node_if_tracked(here))->cpu, &sim.all_cpus) < 0)
		return NO_CPU;
	return mask_test(s->allowed, here) ? here : NO_CPU;
}

s32 idle_select(struct task *p, s32 prev_cpu, u64 wake_flags, const struct cpumask *allowed,
		u64 flags)
{
	static struct cpumask both, in_llc, in_node;
	struct search s = { .allowed = p->k.cpus_ptr, .prev = prev_cpu, .flags = flags,
			    .node_id = node_if_tracked(prev_cpu) };
	bool everywhere = (u32)p->k.nr_cpus_allowed >= sim.machine.nr_cpus;
	s32 cpu;

	if (!sch.idle_tracking)
		return -EBUSY;
	if (allowed && allowed != p->k.cpus_ptr) {
		s.allowed = everywhere ? allowed : &both;
		if (!everywhere && !mask_intersect(&both, allowed, p->k.cpus_ptr))
			return -EBUSY;
	}
	s.prev_allowed = mask_test(s.allowed, prev_cpu);
	everywhere &= s.allowed == p->k.cpus_ptr;
	if (by_llc)
		s.llc = everywhere ? &llc_mask[prev_cpu] :
			mask_intersect(&in_llc, s.allowed, &llc_mask[prev_cpu]) ? &in_llc : NULL;
	if (by_node)
		s.node = everywhere ? &node_mask[prev_cpu] :
			 mask_intersect(&in_node, s.allowed, &node_mask[prev_cpu]) ? &in_node :
										     NULL;
	if (wake_flags & SCX_WAKE_SYNC) {
		cpu = sync_cpu(&s);
		if (cpu >= 0)
			return cpu;
	}
	if (smt_active) {
		cpu = search_round(&s, true);
		if (cpu >= 0 || flags & SCX_PICK_IDLE_CORE)
			return cpu;
	}
	return search_round(&s, false);
}

const struct cpumask *idle_mask(s32 node, bool smt)
{
	if (!sch.idle_tracking)
		return &none;
	return smt && smt_active ? &masks_of(node)->smt : &masks_of(node)->cpu;
}
