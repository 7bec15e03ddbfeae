/* SPDX-License-Identifier: Apache-2.0 */
/* What happened, record by record, for schedc/sim/trace.py. Part of sim.h. */
#ifndef TRACE_H
#define TRACE_H

/*
 * The file is binary, little-endian, 32 bytes a record, so a cut one is read up to its last whole
 * record. Header: "schedtr1", u32 32, u32 nr_cpus, u32 hz, u32 0, u64 seed. Record: u64 time,
 * u8 kind, u8 n, s16 cpu (-1: none), u32 a, u64 b, u64 c. A text has a number from 1 and comes in
 * records of TRACE_TEXT with a = number, n = how many of the 16 bytes at b count, before it is
 * used. At the end TRACE_END with the end's time and b = number of records before it.
 */
enum trace_kind {
	TRACE_TASK = 1,	/* a: pid, b: group, c: text of comm */
	TRACE_RUN,	/* cpu, a: pid */
	TRACE_IDLE,	/* cpu */
	TRACE_WAKE,	/* cpu: where it goes, a: pid, b: waker's pid or 0 */
	TRACE_SLEEP,	/* cpu, a: pid; when it leaves the cpu */
	TRACE_EXIT,	/* cpu, a: pid */
	TRACE_QUEUE,	/* a: pid, b: DSQ id, c: key or ~0 */
	TRACE_MOVE,	/* a: pid, b: DSQ id, cpu: to whose local queue */
	TRACE_KICK,	/* cpu, a: flags */
	TRACE_ERROR,	/* c: text */
	TRACE_GROUP,	/* b: group, c: text of its name */
	TRACE_END = 254,
	TRACE_TEXT = 255,
};

void trace_write(enum trace_kind kind, s32 cpu, u64 a, u64 b, u64 c, const char *text);
void trace_open(void);
void trace_close(void);

/* With a text, c is its number and the argument is ignored. */
static inline void trace(enum trace_kind kind, s32 cpu, u64 a, u64 b, u64 c, const char *text)
{
	if (__builtin_expect(sim.tracing, 0))
		trace_write(kind, cpu, a, b, c, text);
}

#endif
