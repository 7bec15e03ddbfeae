// SPDX-License-Identifier: Apache-2.0
/*
 * Hogs pinned to every cpu beside victims that may run anywhere. A policy that serves pinned tasks
 * first starves the victims here. Measures the longest time that a victim, and that any hog,
 * wanted a cpu and had none, and the share of cpu time that each got.
 *
 * A victim either spins all the time, or (--sleep-us) works for --work-us and sleeps in turn, as a
 * heartbeat does; then a wait also is how late it runs after its timer.
 */
#include "common.h"

static struct {
	long hogs_per_cpu, victims, sleep_us, work_us, duration_ms, seed, spin_rate;
} opt = { .hogs_per_cpu = 2, .victims = 1, .work_us = 1000, .duration_ms = 5000, .seed = 1 };

static const struct wl_option options[] = {
	{ "hogs-per-cpu", &opt.hogs_per_cpu, 0, 64, "threads pinned to each cpu" },
	{ "victims", &opt.victims, 1, 256, "threads that are not pinned" },
	{ "sleep-us", &opt.sleep_us, 0, 10000000, "a victim's sleep; 0: it spins all the time" },
	{ "work-us", &opt.work_us, 1, 10000000, "a sleeping victim's work between sleeps" },
	{ "duration-ms", &opt.duration_ms, 1, 3600000, "measured time" },
	{ "seed", &opt.seed, 0, LONG_MAX, "seed of the victims' sleeps" },
	{ "spin-rate", &opt.spin_rate, 0, LONG_MAX, "iterations per millisecond; 0 measures it" },
	{ NULL, NULL, 0, 0, NULL },
};

#define CHUNK (20 * NSEC_PER_USEC)

struct task {
	struct wl_gaps gaps;
	uint64_t random;
	int cpu;	/* -1: a victim */
	pthread_t thread;
};

static _Atomic bool stop;

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof set, &set))
		wl_die("sched_setaffinity");
}

static void spin_all_the_time(struct task *t)
{
	uint64_t chunk = wl_iterations(CHUNK, (uint64_t)opt.spin_rate);

	while (!atomic_load(&stop)) {
		wl_spin(chunk);
		wl_gaps_look(&t->gaps);
	}
}

static void beat(struct task *t)
{
	uint64_t chunk = wl_iterations(CHUNK, (uint64_t)opt.spin_rate);
	uint64_t chunks = (uint64_t)opt.work_us * NSEC_PER_USEC / CHUNK + 1;

	while (!atomic_load(&stop)) {
		uint64_t nap = wl_spread(&t->random, (uint64_t)opt.sleep_us * NSEC_PER_USEC, 50);
		uint64_t due = wl_now() + nap;

		atomic_store(&t->gaps.seen, due);
		wl_sleep_until(due);
		/* The nap is not a wait; being late after it is. */
		t->gaps.last_wall = due;
		t->gaps.last_cpu = wl_cpu();
		wl_gaps_look(&t->gaps);
		for (uint64_t i = 0; i < chunks && !atomic_load(&stop); i++) {
			wl_spin(chunk);
			wl_gaps_look(&t->gaps);
		}
	}
}

static void *body(void *arg)
{
	struct task *t = arg;

	if (t->cpu >= 0)
		pin(t->cpu);
	wl_name(t->cpu >= 0 ? "hog" : "victim");
	wl_gaps_start(&t->gaps);
	if (t->cpu < 0 && opt.sleep_us)
		beat(t);
	else
		spin_all_the_time(t);
	return NULL;
}

static void report(struct task *tasks, long count, uint64_t began, uint64_t end)
{
	static struct histogram waits;
	uint64_t victim = 0, hog = 0, victim_cpu = 0, least = UINT64_MAX, most = 0;

	for (long i = 0; i < count; i++) {
		const struct task *t = &tasks[i];
		bool started = atomic_load(&t->gaps.seen) != 0;
		uint64_t longest = started ? wl_gaps_longest(&t->gaps, end) : end - began;

		if (t->cpu < 0) {
			victim = longest > victim ? longest : victim;
			victim_cpu += t->gaps.cpu;
			hist_merge(&waits, &t->gaps.waits);
		} else {
			hog = longest > hog ? longest : hog;
			least = t->gaps.cpu < least ? t->gaps.cpu : least;
			most = t->gaps.cpu > most ? t->gaps.cpu : most;
		}
	}
	double window = (double)(end - began);

	printf("{\"program\":\"pinned\",\"seed\":%ld,\"spin_rate\":%ld,\"window_ns\":%llu,"
	       "\"victim_longest_ns\":%llu,\"hog_longest_ns\":%llu,\"victim_share\":%.5f,"
	       "\"hog_share_min\":%.5f,\"hog_share_max\":%.5f,\"histograms\":{",
	       opt.seed, opt.spin_rate, (unsigned long long)(end - began),
	       (unsigned long long)victim, (unsigned long long)hog, (double)victim_cpu / window,
	       most ? (double)least / window : 0.0, (double)most / window);
	hist_json(stdout, "victim_wait", &waits);
	puts("}}");
}

int main(int argc, char **argv)
{
	cpu_set_t allowed;
	long count = 0;

	wl_parse(argc, argv, options);
	if (!opt.spin_rate)
		opt.spin_rate = (long)wl_calibrate();
	if (sched_getaffinity(0, sizeof allowed, &allowed))
		wl_die("sched_getaffinity");
	struct task *tasks = wl_alloc((size_t)(CPU_COUNT(&allowed) * opt.hogs_per_cpu +
					       opt.victims), sizeof *tasks);
	uint64_t began = wl_now();

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		for (long i = 0; CPU_ISSET((size_t)cpu, &allowed) && i < opt.hogs_per_cpu; i++)
			tasks[count++].cpu = cpu;
	for (long i = 0; i < opt.victims; i++, count++) {
		tasks[count].cpu = -1;
		tasks[count].random = wl_stream((uint64_t)opt.seed, (uint64_t)i);
	}
	for (long i = 0; i < count; i++)
		wl_thread(&tasks[i].thread, body, &tasks[i]);
	wl_sleep_until(began + (uint64_t)opt.duration_ms * NSEC_PER_MSEC);
	uint64_t end = wl_now();

	atomic_store(&stop, true);
	for (long i = 0; i < count; i++)
		pthread_join(tasks[i].thread, NULL);
	report(tasks, count, began, end);
	return 0;
}
