/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the file of --adversary: adversary.h describes it. */
#include <stdlib.h>
#include <string.h>
#include "adversary.h"

static u32 line;

static char *word(char **rest)
{
	char *start = *rest, *end;

	if (!start || !*start)
		fail("adversary:%u: a word is missing", line);
	end = strchr(start, ' ');
	if (end)
		*end++ = '\0';
	*rest = end;
	return start;
}

static s64 number_in(char **rest, int base, s64 low, u64 high)
{
	char *text = word(rest), *end;
	s64 value = (s64)strtoull(text, &end, base);

	if (*end || value < low || (value > 0 && (u64)value > high))
		fail("adversary:%u: '%s' is no number in range", line, text);
	return value;
}

static u64 number(char **rest, u64 high)
{
	return (u64)number_in(rest, 10, 0, high);
}

static u64 cpus(char **rest)
{
	char *text = word(rest), *end;
	u64 mask = strtoull(text, &end, 16) & sim.all_cpus.bits[0];

	if (*end || !mask)
		fail("adversary:%u: '%s' has no cpu of this machine", line, text);
	return mask;
}

static void *grown(void *items, u32 count, size_t size)
{
	if (count & (count - 1))
		return items;
	items = realloc(items, (count ? 2 * (size_t)count : 1) * size);
	if (!items)
		fail("out of memory");
	return items;
}

static struct watched *queue(char **rest)
{
	s64 number = number_in(rest, 10, -1, MAX_QUEUES - 1);

	return &adversary.queues[number < 0 ? MAX_QUEUES : number];
}

static void read_bound(char **rest)
{
	struct watched *q = queue(rest);

	q->a = number(rest, 1ULL << 40);
	q->b = number(rest, 1ULL << 36);
	q->bounded = true;
}

static void read_queue(char **rest)
{
	struct watched *q = queue(rest);

	q->domain = (u32)number(rest, 4);
	q->family = (u32)number(rest, MAX_QUEUES);
	q->cpus = cpus(rest);
	q->flags = (u32)number(rest, 3);
}

static void read_profile(char **rest)
{
	struct adversary *a = &adversary;
	struct profile *p;

	a->profiles = grown(a->profiles, a->nr_profiles, sizeof(*p));
	p = &a->profiles[a->nr_profiles++];
	memset(p, 0, sizeof(*p));
	p->params.nice = (s32)number_in(rest, 10, -20, 19);
	p->params.kthread = number(rest, 1);
	p->params.uid = (u32)number(rest, 1 << 30);
	p->params.tgid = (u32)number(rest, 1 << 30);
	p->params.cgroup = number(rest, 1 << 20);
	p->params.cgroup_weight = (u32)number(rest, 10000);
	p->allowed.bits[0] = cpus(rest);
	strncpy(p->params.comm, word(rest), sizeof(p->params.comm) - 1);
}

static void read_choices(char **rest, u64 *choices, u32 *count)
{
	for (*count = 0; *rest && **rest && *count < MAX_CHOICES; ++*count)
		choices[*count] = number(rest, TIME_MAX >> 2);
}

static void read_mood(char **rest)
{
	adversary.full = number(rest, 1000);
	for (u32 i = 0; i < 3; i++)
		adversary.ends[i] = number(rest, 1000);
	adversary.nices = number(rest, 1000);
}

static void read_actor(char **rest)
{
	struct adversary *a = &adversary;
	struct actor *actor;

	a->actors = grown(a->actors, a->nr_actors, sizeof(*actor));
	actor = &a->actors[a->nr_actors++];
	memset(actor, 0, sizeof(*actor));
	if (!a->nr_profiles)
		fail("adversary:%u: no profile stands above", line);
	actor->profile = (u32)number(rest, a->nr_profiles - 1);
	actor->cpu = (s32)number(rest, sim.machine.nr_cpus - 1);
	actor->how = (enum how)number(rest, NR_HOW - 1);
	actor->burst = number(rest, TIME_MAX >> 2);
	actor->sleep = number(rest, TIME_MAX >> 2);
}

static void read_line(char *text)
{
	char *rest = text, *name = word(&rest);
	struct adversary *a = &adversary;

	if (!strcmp(name, "bound")) {
		read_bound(&rest);
	} else if (!strcmp(name, "queue")) {
		read_queue(&rest);
	} else if (!strcmp(name, "profile")) {
		read_profile(&rest);
	} else if (!strcmp(name, "burst")) {
		read_choices(&rest, a->bursts, &a->nr_bursts);
	} else if (!strcmp(name, "sleep")) {
		read_choices(&rest, a->sleeps, &a->nr_sleeps);
	} else if (!strcmp(name, "mood")) {
		read_mood(&rest);
	} else if (!strcmp(name, "actor")) {
		read_actor(&rest);
	} else if (!strcmp(name, "ambush")) {
		a->ambush = number(&rest, NSEC_SEC);
	} else if (!strcmp(name, "limit")) {
		a->limit = number(&rest, TIME_MAX >> 2);
	} else if (!strcmp(name, "look")) {
		a->looks = number(&rest, 10000);
		a->ways = number(&rest, 1000);
		a->horizon = number(&rest, TIME_MAX >> 2);
	} else {
		fail("adversary:%u: '%s' is not known", line, name);
	}
	if (rest && *rest)
		fail("adversary:%u: '%s' is too much", line, rest);
}

void adversary_read(const char *path)
{
	char *text = read_whole(path, NULL), *next = text;

	adversary.limit = TIME_MAX;
	for (char *at = text; at && *at; at = next) {
		next = strchr(at, '\n');
		if (next)
			*next++ = '\0';
		line++;
		if (*at && *at != '#')
			read_line(at);
	}
	free(text);
	if (!adversary.nr_actors || !adversary.nr_bursts || !adversary.nr_sleeps)
		fail("adversary: actors, bursts and sleeps are needed");
	if (!(adversary.ends[0] + adversary.ends[1] + adversary.ends[2]))
		adversary.ends[0] = 1;
}
