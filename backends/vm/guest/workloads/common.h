/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the workload programs share: clocks, futexes, seeded random numbers, calibrated spinning
 * and `--name value` options. Each program is one file; everything here is static inline, so a
 * program needs no second object. Output is one JSON object on stdout, complaints go to stderr.
 *
 * Work is counted in loop iterations, not in elapsed time: a thread that was kept off the cpu
 * still owes its work. `--spin-rate` (iterations per millisecond) is measured once per boot with
 * wl-calibrate and handed to both arms of a comparison, so that both owe the same.
 */
#ifndef WL_COMMON_H
#define WL_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../../../phases/histogram.h"

#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_USEC 1000ull

static inline void wl_die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

static inline uint64_t wl_clock(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) != 0)
		wl_die("clock_gettime");
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static inline uint64_t wl_now(void)
{
	return wl_clock(CLOCK_MONOTONIC);
}

static inline uint64_t wl_cpu(void)
{
	return wl_clock(CLOCK_THREAD_CPUTIME_ID);
}

static inline void wl_sleep_until(uint64_t when)
{
	struct timespec ts = { .tv_sec = (time_t)(when / NSEC_PER_SEC),
			       .tv_nsec = (long)(when % NSEC_PER_SEC) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static inline void wl_sleep(uint64_t ns)
{
	wl_sleep_until(wl_now() + ns);
}

static inline void wl_futex_wait(_Atomic uint32_t *word, uint32_t while_equal)
{
	syscall(SYS_futex, word, FUTEX_WAIT, while_equal, NULL, NULL, 0);
}

static inline void wl_futex_wake(_Atomic uint32_t *word, int how_many)
{
	syscall(SYS_futex, word, FUTEX_WAKE, how_many, NULL, NULL, 0);
}

static inline void wl_name(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

/* splitmix64: small, seedable by any number, good enough to draw work and sleep times. */
static inline uint64_t wl_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A stream of its own for thread `index` of a run with this seed. */
static inline uint64_t wl_stream(uint64_t seed, uint64_t index)
{
	uint64_t state = seed * UINT64_C(0x2545f4914f6cdd1d) + index;

	wl_random(&state);
	return state;
}

/* Uniform in [1 - percent, 1 + percent] times `mean`. */
static inline uint64_t wl_spread(uint64_t *state, uint64_t mean, unsigned percent)
{
	if (percent == 0 || mean == 0)
		return mean;
	uint64_t span = (uint64_t)((unsigned __int128)mean * percent / 100);

	return mean - span + wl_random(state) % (2 * span + 1);
}

/* Not inlined, and counted down: the same 11 instructions a turn wherever it is called and whoever
 * compiles it, so that what was calibrated is what is run. */
__attribute__((noinline, unused)) static uint64_t wl_spin(uint64_t iterations)
{
	uint64_t x = 88172645463325252ull;

	for (; iterations; iterations--) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* The barrier keeps the loop from being folded or vectorised. */
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}

/* Iterations per millisecond of cpu time: the fastest of several rounds, as a round can only be
 * slowed (by interrupts, or by the host when the machine is emulated), never sped up. */
static inline uint64_t wl_calibrate(void)
{
	const uint64_t round = 200000;
	uint64_t best = 0;

	wl_spin(round);
	for (int i = 0; i < 9; i++) {
		uint64_t start = wl_cpu();

		wl_spin(round);
		uint64_t spent = wl_cpu() - start;

		if (spent > 0 && round * NSEC_PER_MSEC / spent > best)
			best = round * NSEC_PER_MSEC / spent;
	}
	return best ? best : 1;
}

static inline uint64_t wl_iterations(uint64_t ns, uint64_t rate_per_ms)
{
	return (uint64_t)((unsigned __int128)ns * rate_per_ms / NSEC_PER_MSEC);
}

struct wl_option {
	const char *name;
	long *value;
	long low, high;
	const char *help;
};

static inline void wl_usage(const char *program, const struct wl_option *options, FILE *out)
{
	fprintf(out, "usage: %s [--name value]...\n", program);
	for (; options->name; options++)
		fprintf(out, "  --%-14s %s (%ld..%ld, default %ld)\n", options->name, options->help,
			options->low, options->high, *options->value);
}

static inline void wl_parse(int argc, char **argv, const struct wl_option *options)
{
	for (int i = 1; i < argc; i += 2) {
		const struct wl_option *o = options;
		const char *text = i + 1 < argc ? argv[i + 1] : "";
		char *end;

		if (!strcmp(argv[i], "--help")) {
			wl_usage(argv[0], options, stdout);
			exit(0);
		}
		while (o->name && (strncmp(argv[i], "--", 2) || strcmp(argv[i] + 2, o->name)))
			o++;
		if (!o->name) {
			fprintf(stderr, "%s: unknown option %s\n", argv[0], argv[i]);
			wl_usage(argv[0], options, stderr);
			exit(2);
		}
		errno = 0;
		long value = strtol(text, &end, 10);
		if (errno || end == text || *end || value < o->low || value > o->high) {
			fprintf(stderr, "%s: --%s wants a whole number in %ld..%ld, not '%s'\n",
				argv[0], o->name, o->low, o->high, text);
			exit(2);
		}
		*o->value = value;
	}
}

static inline void wl_thread(pthread_t *thread, void *(*body)(void *), void *arg)
{
	int error = pthread_create(thread, NULL, body, arg);

	if (error) {
		errno = error;
		wl_die("pthread_create");
	}
}

static inline void *wl_alloc(size_t count, size_t size)
{
	void *memory = calloc(count ? count : 1, size);

	if (!memory)
		wl_die("calloc");
	return memory;
}

/*
 * Watching for gaps: a thread that always wants the cpu compares elapsed time with its own cpu
 * time after every short stretch of work; what elapsed without being its own was spent waiting.
 */
struct wl_gaps {
	struct histogram waits;	/* gaps of at least WL_GAP_MIN */
	uint64_t longest, waited, cpu, started;
	_Atomic uint64_t seen;	/* when the thread was last known to run */
	uint64_t last_wall, last_cpu;
};

#define WL_GAP_MIN (50 * NSEC_PER_USEC)

static inline void wl_gaps_start(struct wl_gaps *g)
{
	g->started = g->last_wall = wl_now();
	g->last_cpu = wl_cpu();
	atomic_store(&g->seen, g->last_wall);
}

static inline void wl_gaps_look(struct wl_gaps *g)
{
	uint64_t wall = wl_now(), cpu = wl_cpu();
	uint64_t elapsed = wall - g->last_wall, own = cpu - g->last_cpu;
	uint64_t gap = elapsed > own ? elapsed - own : 0;

	g->cpu += own;
	g->waited += gap;
	if (gap >= WL_GAP_MIN)
		hist_add(&g->waits, gap);
	if (gap > g->longest)
		g->longest = gap;
	g->last_wall = wall;
	g->last_cpu = cpu;
	atomic_store(&g->seen, wall);
}

/* The longest gap, counting one that is still open at `end` (the thread waits to this moment). */
static inline uint64_t wl_gaps_longest(const struct wl_gaps *g, uint64_t end)
{
	uint64_t seen = atomic_load(&g->seen);
	uint64_t open = seen && end > seen ? end - seen : 0;

	return open > g->longest ? open : g->longest;
}

#endif
