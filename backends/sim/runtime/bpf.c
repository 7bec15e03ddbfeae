/* SPDX-License-Identifier: Apache-2.0 */
/* What any BPF program may call: cpu masks, tasks, numbers, texts, timers, memory. */
#include <stdlib.h>
#include <string.h>
#include "ext.h"
#include "maps.h"

static u64 random_state;

void bpf_reset(u64 seed)
{
	random_state = seed ^ 0x5851f42d4c957f2dULL;
}

/* splitmix64: the same numbers for the same seed. */
u32 bpf_get_prandom_u32(void)
{
	u64 x = random_state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return (u32)((x ^ (x >> 31)) >> 32);
}

/* --- tasks, objects --------------------------------------------------------------------------- */

struct task_struct *bpf_get_current_task_btf(void)
{
	struct task *curr = cpu_rq(this_cpu())->curr;

	return curr ? &curr->k : &idle_task;
}

struct task_struct *bpf_task_from_pid(s32 pid)
{
	struct task *p = pid > 0 && (u32)pid <= sim.nr_tasks ? sim.tasks[pid - 1] : NULL;

	return p && p->state != TASK_DEAD && p->ext ? &p->k : NULL;
}

struct task_struct *bpf_task_from_vpid(s32 pid)
{
	return bpf_task_from_pid(pid);
}

struct task_struct *bpf_task_acquire(struct task_struct *p)
{
	return p;
}

void bpf_task_release(struct task_struct *p)
{
	(void)p;
}

struct cgroup *bpf_cgroup_acquire(struct cgroup *cgrp)
{
	return cgrp;
}

void bpf_cgroup_release(struct cgroup *cgrp)
{
	(void)cgrp;
}

struct cgroup *bpf_cgroup_ancestor(struct cgroup *cgrp, int level)
{
	return level >= 0 && level <= cgrp->level ? cgrp->ancestors[level] : NULL;
}

void *bpf_kptr_xchg(void *dst, void *ptr)
{
	void *old;

	memcpy(&old, dst, sizeof(old));
	memcpy(dst, &ptr, sizeof(ptr));
	return old;
}

void *bpf_obj_new_sized(u64 size)
{
	return calloc(1, size);
}

void bpf_obj_drop(void *object)
{
	free(object);
}

long bpf_loop(u32 n, void *callback, void *ctx, u64 flags)
{
	long (*fn)(u64, void *) = (long (*)(u64, void *))callback;

	if (flags)
		return -EINVAL;
	if (n > 1u << 23)
		return -E2BIG;
	for (u32 i = 0; i < n; i++)
		if (fn(i, ctx))
			return (long)i + 1;
	return (long)n;
}

long bpf_strncmp(const char *a, u32 size, const char *b)
{
	return strncmp(a, b, size);
}

/* --- texts ------------------------------------------------------------------------------------ */

/* One conversion, from its % on; gives its end. */
static const char *convert(char *out, u32 size, const char *format, u64 word)
{
	char spec[16] = "%", text[256];
	u32 length = 1;
	bool wide = false;

	for (format++; *format && strchr("-+ #0123456789.", *format); format++)
		if (length < 10)
			spec[length++] = *format;
	for (; *format == 'l' || *format == 'h' || *format == 'z'; format++)
		wide |= *format != 'h';
	switch (*format) {
	case 's':
		spec[length++] = 's';
		bpf_probe_read_kernel_str(text, sizeof(text), (const void *)(unsigned long)word);
		snprintf(out, size, spec, text);
		break;
	case 'c':
		spec[length++] = 'c';
		snprintf(out, size, spec, (int)word);
		break;
	case 'd':
	case 'i':
		memcpy(spec + length, "lld", 3);
		snprintf(out, size, spec, wide ? (long long)word : (long long)(s32)word);
		break;
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		memcpy(spec + length, "ll", 2);
		spec[length + 2] = *format;
		snprintf(out, size, spec, wide ? word : (u64)(u32)word);
		break;
	case 'p':
		/* Addresses differ from run to run; the kernel hides them too. */
		snprintf(out, size, "(ptr)");
		for (; format[1] && strchr("KksSBfF", format[1]); format++)
			;
		break;
	}
	return *format ? format + 1 : format;
}

u32 bpf_format(char *out, u32 size, const char *format, const unsigned long long *words, u32 bytes)
{
	u32 used = 0, next = 0;

	while (*format && used + 1 < size) {
		if (*format != '%') {
			out[used++] = *format++;
		} else if (format[1] == '%') {
			out[used++] = '%';
			format += 2;
		} else {
			out[used] = 0;
			format = convert(out + used, size - used, format,
					 next < bytes / 8 ? words[next] : 0);
			next++;
			used += (u32)strlen(out + used);
		}
	}
	out[used] = 0;
	return used;
}

long bpf_snprintf(char *out, u32 size, const char *fmt, unsigned long long *data, u32 data__sz)
{
	return size ? (long)bpf_format(out, size, fmt, data, data__sz) + 1 : 0;
}

/* The first lines only: a policy may print with each callback. */
long bpf_trace_bstr(const char *fmt, unsigned long long *data, u32 data__sz)
{
	static u32 printed;
	char line[512];
	u32 length = bpf_format(line, sizeof(line), fmt, data, data__sz);

	if (printed++ < 200)
		fprintf(stderr, "bpf_trace_printk: %llu ns: %s%s", sim.now, line,
			length && line[length - 1] == '\n' ? "" : "\n");
	return (long)length;
}

/* --- timers ----------------------------------------------------------------------------------- */

/* A policy's timer lies in a map's value and points to this. */
struct timer {
	struct bpf_timer *owner;
	struct sim_map *map;
	int (*callback)(void *map, void *key, void *value);
	u32 event;
	s32 cpu;
};

static struct timer *timer_of(const struct bpf_timer *owner)
{
	struct timer *timer = (struct timer *)(unsigned long)owner->opaque[0];

	return timer && timer->owner == owner ? timer : NULL;
}

long sim_timer_init(void *address, struct sim_map *map, u64 flags)
{
	struct bpf_timer *owner = address;
	struct timer *timer;

	if (flags != 0 && flags != 1 && flags != 7)
		return -EINVAL;
	if (owner->opaque[0])
		return -EBUSY;
	timer = allocate(sizeof(*timer));
	*timer = (struct timer){ .owner = owner, .map = map };
	owner->opaque[0] = (u64)(unsigned long)timer;
	return 0;
}

long bpf_timer_set_callback(struct bpf_timer *owner, void *callback)
{
	struct timer *timer = timer_of(owner);

	if (!timer)
		return -EINVAL;
	timer->callback = (int (*)(void *, void *, void *))callback;
	return 0;
}

static void timer_fires(u64 address)
{
	struct timer *timer = (struct timer *)(unsigned long)address;
	struct call call;
	const void *key;

	timer->event = 0;
	/* The value may have been deleted, and the scheduler thrown out. */
	if (!sch.loaded || sch.ops == &sch.off || timer_of(timer->owner) != timer)
		return;
	sim.this_cpu = timer->cpu;
	key = map_key_at(timer->map, timer->owner);
	call_begin(&call, "timer", KF_UNLOCKED, NULL, NULL);
	if (!_setjmp(call.jump))
		timer->callback(timer->map->slot, (void *)key, timer->owner);
	else
		call_faulted(&call);
	call_end(&call);
}

/* It fires on the cpu that started it. */
long bpf_timer_start(struct bpf_timer *owner, u64 ns, u64 flags)
{
	struct timer *timer = timer_of(owner);
	u64 at = flags & 1 ? ns : sim.now + ns;

	if (!timer || !timer->callback || flags & ~3ULL)
		return -EINVAL;
	event_cancel(timer->event);
	timer->cpu = this_cpu();
	timer->event = event_arm(at < sim.now ? sim.now : at, timer_fires,
				 (u64)(unsigned long)timer);
	return 0;
}

long bpf_timer_cancel(struct bpf_timer *owner)
{
	struct timer *timer = timer_of(owner);
	long armed;

	if (!timer)
		return -EINVAL;
	armed = timer->event ? 1 : 0;
	event_cancel(timer->event);
	timer->event = 0;
	return armed;
}
