/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine file: lines of words and whole numbers, `#` begins a comment.
 *
 *   cpus N                                        first; as many cpus, one thread a core, one cache
 *   cpu I core C llc L node N capacity K          of one cpu; what is left out stays
 *   hz N
 *   smt_speed N                                   per mille
 *   skew_tick 0|1
 *   tick_phase NS                                 of cpu 0's first tick; if left out: any
 *   cost NAME NS                                  NAME as in struct costs
 */
#include <stdlib.h>
#include <string.h>
#include "core.h"

#define MAX_WORDS 12

static const struct {
	const char *name;
	size_t offset;
} cost_names[] = {
#define COST(name) { #name, offsetof(struct costs, name) }
	COST(context_switch), COST(idle_exit), COST(kick), COST(wake), COST(fork), COST(exit),
	COST(tick), COST(migrate_core), COST(migrate_llc), COST(migrate_node), COST(callback),
	COST(timer_slack),
#undef COST
};

static u64 number(const char *path, u32 line, const char *word, u64 least, u64 most)
{
	u64 value = 0;
	const char *c = word;

	if (!word || !*word)
		fail("%s:%u: a number is missing", path, line);
	for (; *c >= '0' && *c <= '9' && value <= most; c++)
		value = value * 10 + (u64)(*c - '0');
	if (*c || value < least || value > most)
		fail("%s:%u: '%s' is no number from %llu to %llu", path, line, word, least, most);
	return value;
}

static void set_cpus(u32 count)
{
	struct machine *m = &sim.machine;

	m->nr_cpus = count;
	for (u32 cpu = 0; cpu < count; cpu++) {
		m->core_of[cpu] = cpu;
		m->llc_of[cpu] = m->node_of[cpu] = 0;
		m->capacity[cpu] = 1024;
	}
}

void machine_default(void)
{
	set_cpus(8);
	sim.machine.hz = 250;
	sim.machine.any_phase = true;
	sim.machine.smt_speed = 600;
}

static void read_cpu(const char *path, u32 line, char **words, u32 count)
{
	struct machine *m = &sim.machine;
	u64 cpu = number(path, line, words[1], 0, m->nr_cpus - 1);

	for (u32 i = 2; i < count; i += 2) {
		const char *value = i + 1 < count ? words[i + 1] : NULL;

		if (!strcmp(words[i], "core"))
			m->core_of[cpu] = (u32)number(path, line, value, 0, NR_CPUS - 1);
		else if (!strcmp(words[i], "llc"))
			m->llc_of[cpu] = (u32)number(path, line, value, 0, NR_CPUS - 1);
		else if (!strcmp(words[i], "node"))
			m->node_of[cpu] = (u32)number(path, line, value, 0, NR_CPUS - 1);
		else if (!strcmp(words[i], "capacity"))
			m->capacity[cpu] = (u32)number(path, line, value, 1, 1024);
		else
			fail("%s:%u: a cpu has no '%s'", path, line, words[i]);
	}
}

static void read_cost(const char *path, u32 line, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(cost_names) / sizeof(*cost_names); i++) {
		if (strcmp(name, cost_names[i].name))
			continue;
		*(u64 *)((char *)&sim.machine.costs + cost_names[i].offset) =
			number(path, line, value, 0, NSEC_SEC);
		return;
	}
	fail("%s:%u: there is no cost '%s'", path, line, name);
}

static void set_phase(u64 phase)
{
	sim.machine.tick_phase = phase;
	sim.machine.any_phase = false;
}

static void read_line(const char *path, u32 line, char **words, u32 count)
{
	struct machine *m = &sim.machine;
	const char *what = words[0], *first = count > 1 ? words[1] : "";

	if (!strcmp(what, "cpus"))
		set_cpus((u32)number(path, line, first, 1, NR_CPUS));
	else if (!strcmp(what, "cpu") && count > 1)
		read_cpu(path, line, words, count);
	else if (!strcmp(what, "hz"))
		m->hz = (u32)number(path, line, first, 10, 10000);
	else if (!strcmp(what, "smt_speed"))
		m->smt_speed = (u32)number(path, line, first, 1, 1000);
	else if (!strcmp(what, "skew_tick"))
		m->skew_tick = number(path, line, first, 0, 1);
	else if (!strcmp(what, "tick_phase"))
		set_phase(number(path, line, first, 0, NSEC_SEC));
	else if (!strcmp(what, "cost") && count == 3)
		read_cost(path, line, first, words[2]);
	else
		fail("%s:%u: '%s' is not understood", path, line, what);
}

void machine_read(const char *path)
{
	char *text = read_whole(path, NULL), *rest = text, *line;
	u32 nr = 0;

	while ((line = strsep(&rest, "\n"))) {
		char *words[MAX_WORDS], *word;
		u32 count = 0;

		nr++;
		line[strcspn(line, "#\r")] = '\0';
		while ((word = strsep(&line, " \t"))) {
			if (!*word)
				continue;
			if (count == MAX_WORDS)
				fail("%s:%u: too many words", path, nr);
			words[count++] = word;
		}
		if (count)
			read_line(path, nr, words, count);
	}
	free(text);
}

static u32 count_of(const u32 *of)
{
	static bool seen[NR_CPUS];
	u32 count = 0;

	memset(seen, 0, sizeof(seen));
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++) {
		count += !seen[of[cpu]];
		seen[of[cpu]] = true;
	}
	return count;
}

void machine_settle(void)
{
	struct machine *m = &sim.machine;
	s32 last[NR_CPUS];

	m->tick_ns = NSEC_SEC / m->hz;
	m->nr_cores = count_of(m->core_of);
	m->nr_llcs = count_of(m->llc_of);
	m->nr_nodes = count_of(m->node_of);
	sim.mask_words = (m->nr_cpus + 63) / 64;
	memset(last, -1, sizeof(last));
	for (u32 cpu = 0; cpu < m->nr_cpus; cpu++) {
		struct rq *rq = cpu_rq((s32)cpu);
		s32 before = last[m->core_of[cpu]];

		rq->cpu = (s32)cpu;
		rq->online = true;
		rq->speed = m->capacity[cpu];
		rq->sibling = before < 0 ? cpu : cpu_rq(before)->sibling;
		if (before >= 0)
			cpu_rq(before)->sibling = cpu;
		last[m->core_of[cpu]] = (s32)cpu;
		mask_set(&sim.all_cpus, (s32)cpu);
		mask_set(&sim.idle_cpus, (s32)cpu);
	}
}
