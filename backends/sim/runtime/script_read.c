/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a script: the text that is described in script.h. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "script.h"

#define MOST_TASKS (1 << 20)

struct script script = { .victim = NOBODY };

/* The line being read, and what is left of it. */
static struct {
	const char *path;
	u32 line;
	char *rest;
} at;

__attribute__((noreturn, format(printf, 1, 2)))
static void bad(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "schedc-sim: %s:%u: ", at.path, at.line);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

static void *grown(void *items, u32 count, size_t size)
{
	/* Room doubles: at 0 and at each power of two. */
	if (count & (count - 1))
		return items;
	items = realloc(items, (count ? 2 * (size_t)count : 1) * size);
	if (!items)
		bad("not enough memory");
	return items;
}

/* --- words ------------------------------------------------------------------------------------ */

static char *word(void)
{
	char *start = at.rest, *end;

	if (!start || !*start)
		bad("a word is missing");
	end = strchr(start, ' ');
	if (end)
		*end++ = '\0';
	at.rest = end;
	return start;
}

static s64 signed_number(s64 low, s64 high)
{
	char *text = word(), *end;
	s64 value = strtoll(text, &end, 10);

	if (end == text || *end || value < low || value > high)
		bad("%s is not a number from %lld to %lld", text, low, high);
	return value;
}

static u64 number(u64 most)
{
	char *text = word(), *end;
	u64 value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > most)
		bad("%s is not a number up to %llu", text, most);
	return value;
}

static s32 task_number(void)
{
	s32 task = (s32)number(MOST_TASKS - 1);

	if ((u32)task >= script.nr_tasks)
		script.nr_tasks = (u32)task + 1;
	return task;
}

static s32 task_or_nobody(void)
{
	if (at.rest && at.rest[0] == '-' && (at.rest[1] == ' ' || !at.rest[1])) {
		word();
		return NOBODY;
	}
	return task_number();
}

static u32 digit(char c)
{
	if (c >= '0' && c <= '9')
		return (u32)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (u32)(c - 'a') + 10;
	bad("%c is no hexadecimal digit", c);
}

static struct cpumask cpus(void)
{
	struct cpumask mask = { 0 };
	char *text = word();
	u32 digits = (u32)strlen(text);
	u64 any = 0;

	for (u32 i = 0; i < digits; i++) {
		u32 value = digit(text[digits - 1 - i]);

		for (u32 bit = 0; bit < 4; bit++) {
			u32 cpu = 4 * i + bit;

			if (!(value >> bit & 1))
				continue;
			if (cpu >= sim.machine.nr_cpus)
				bad("cpu %u is not on this machine", cpu);
			mask.bits[cpu / 64] |= 1ULL << cpu % 64;
			any = 1;
		}
	}
	if (!any)
		bad("no cpu");
	return mask;
}

static void comm(char *name)
{
	char *text = word();
	u32 length = (u32)strlen(text) / 2;

	memset(name, 0, 16);
	if (!strcmp(text, "-"))
		return;
	if (strlen(text) % 2 || length > 15)
		bad("a name has up to 15 bytes, of two digits each");
	for (u32 i = 0; i < length; i++)
		name[i] = (char)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
}

static s32 cpu_number(void)
{
	return (s32)number(sim.machine.nr_cpus - 1);
}

static u32 profile_number(void)
{
	if (!script.nr_profiles)
		bad("no profile yet");
	return (u32)number(script.nr_profiles - 1);
}

/* Who runs on each cpu. */
static s32 *runs(void)
{
	u32 nr_cpus = sim.machine.nr_cpus;
	char *text = word(), *end;
	s32 *found;

	if (!strcmp(text, "?"))
		return NULL;
	found = malloc(nr_cpus * sizeof(*found));
	if (!found)
		bad("not enough memory");
	for (u32 cpu = 0; cpu < nr_cpus; cpu++) {
		if (*text == '-') {
			found[cpu] = NOBODY;
			end = text + 1;
		} else {
			u64 task = strtoull(text, &end, 10);

			if (end == text || task >= script.nr_tasks)
				bad("not a task: %s", text);
			found[cpu] = (s32)task;
		}
		if (*end != (cpu + 1 < nr_cpus ? ',' : '\0'))
			bad("who runs is to be told of %u cpus", nr_cpus);
		text = end + 1;
	}
	return found;
}

static u32 choice(const char *const *words, u32 count)
{
	char *text = word();

	for (u32 i = 0; i < count; i++)
		if (!strcmp(text, words[i]))
			return i;
	bad("%s is not known here", text);
}

/* --- lines ------------------------------------------------------------------------------------ */

static void read_profile(void)
{
	struct script_profile *p;

	script.profiles = grown(script.profiles, script.nr_profiles, sizeof(*p));
	p = &script.profiles[script.nr_profiles++];
	memset(p, 0, sizeof(*p));
	p->nice = (s32)signed_number(-20, 19);
	p->kthread = number(1);
	p->uid = (u32)number(~0U);
	p->tgid = (u32)number(~0U);
	p->cgroup = number(~0ULL);
	p->cgroup_weight = (u32)number(10000);
	p->cpus = cpus();
	comm(p->comm);
}

static void read_block(void)
{
	struct script_block *block;

	script.blocks = grown(script.blocks, script.nr_blocks, sizeof(*block));
	block = &script.blocks[script.nr_blocks++];
	block->times = number(TIME_MAX);
	block->show = (u32)number(2);
	block->first = script.nr_steps;
	block->count = 0;
	if (!block->times && script.victim == NOBODY)
		bad("for ever, but nobody waits");
}

static void read_what(struct script_step *s)
{
	static const char *const ways[] = { "slice", "sleep", "yield", "exit", "rt" };

	switch (s->act) {
	case ACT_FORK:
		s->task = task_number();
		s->profile = profile_number();
		s->cpu = cpu_number();
		break;
	case ACT_WAKE:
		s->task = task_number();
		s->waker = task_or_nobody();
		s->sync = number(1);
		break;
	case ACT_STOP:
		s->task = task_or_nobody();
		s->cpu = cpu_number();
		s->how = choice(ways, sizeof(ways) / sizeof(*ways));
		break;
	case ACT_BACK:
	case ACT_TICK:
		s->cpu = cpu_number();
		break;
	case ACT_AFFINITY:
		s->task = task_number();
		s->cpus = cpus();
		break;
	case ACT_NICE:
		s->task = task_number();
		s->nice = (s32)signed_number(-20, 19);
		break;
	case ACT_COMM:
		s->task = task_number();
		comm(s->comm);
		break;
	case ACT_PASS:
		break;
	}
}

static void read_step(enum script_act act)
{
	struct script_step *s;

	if (!script.nr_blocks)
		bad("a step before the first block");
	script.steps = grown(script.steps, script.nr_steps, sizeof(*s));
	s = &script.steps[script.nr_steps++];
	memset(s, 0, sizeof(*s));
	script.blocks[script.nr_blocks - 1].count++;
	s->act = act;
	s->waker = NOBODY;
	s->after = number(TIME_MAX);
	read_what(s);
	s->runs = runs();
}

static void read_line(void)
{
	static const char *const keywords[] = {
		"fork", "wake", "stop", "back", "tick", "affinity", "nice", "comm", "pass",
		"start", "victim", "profile", "block",
	};
	u32 found = choice(keywords, sizeof(keywords) / sizeof(*keywords));

	if (found <= ACT_PASS) {
		read_step((enum script_act)found);
	} else if (!strcmp(keywords[found], "start")) {
		script.start = number(TIME_MAX);
	} else if (!strcmp(keywords[found], "victim")) {
		script.victim = task_number();
		script.since = number(TIME_MAX);
		script.promise = number(TIME_MAX);
	} else if (!strcmp(keywords[found], "profile")) {
		read_profile();
	} else {
		read_block();
	}
	if (at.rest)
		bad("too many words: %s", at.rest);
}

void script_load(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t room = 0;
	char *text = NULL;
	ssize_t length;

	at.path = path;
	if (!file)
		bad("can't be read");
	while ((length = getline(&text, &room, file)) >= 0) {
		at.line++;
		if (length && text[length - 1] == '\n')
			text[--length] = '\0';
		at.rest = text;
		if (at.line == 1 && strcmp(text, "script 1"))
			bad("not a script that this program reads");
		if (at.line > 1 && length)
			read_line();
	}
	free(text);
	fclose(file);
	if (!at.line)
		bad("empty");
	for (u32 i = 0; i < script.nr_blocks; i++)
		if (!script.blocks[i].count)
			bad("a block without a step");
}
