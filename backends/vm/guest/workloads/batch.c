// SPDX-License-Identifier: Apache-2.0
/*
 * Many short jobs and a few long ones, released at once. Each job is a process that owes a fixed
 * amount of work. Measures, from the release on, in nanoseconds: when each job completed, the last
 * of all (makespan), the mean completion, the last short one.
 *
 * The long jobs' place among the forks is part of the input (--long-at): first come, first served
 * would otherwise decide the result by the order in which the program happens to fork.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "common.h"

static struct {
	long shorts, longs, short_us, long_us, spread, long_at, names;
	long deadline_ms, seed, spin_rate;
} opt = { .shorts = 39, .longs = 1, .short_us = 50000, .long_us = 330000, .spread = 10,
	  .long_at = -1, .names = 1, .deadline_ms = 120000, .seed = 1 };

static const struct wl_option options[] = {
	{ "shorts", &opt.shorts, 0, 4096, "short jobs" },
	{ "longs", &opt.longs, 0, 4096, "long jobs" },
	{ "short-us", &opt.short_us, 1, 1000000000, "work of a short job" },
	{ "long-us", &opt.long_us, 1, 1000000000, "work of a long job" },
	{ "spread", &opt.spread, 0, 100, "percent by which the work varies" },
	{ "long-at", &opt.long_at, -1, 4096, "place of the first long job; -1: drawn by the seed" },
	{ "names", &opt.names, 0, 1, "1: comm is short or long; 0: all are job" },
	{ "deadline-ms", &opt.deadline_ms, 1, 3600000, "jobs that take longer are killed" },
	{ "seed", &opt.seed, 0, LONG_MAX, "seed of all random numbers" },
	{ "spin-rate", &opt.spin_rate, 0, LONG_MAX, "iterations per millisecond; 0 measures it" },
	{ NULL, NULL, 0, 0, NULL },
};

struct job {
	uint64_t work, done, cpu;	/* done: clock at completion, 0 if it never came */
	bool is_long;
	pid_t pid;
};

/* Shared with the children. */
static struct board {
	_Atomic uint32_t go, ready;
	uint64_t released;
	struct job job[];
} *board;

static long jobs;

static void child(struct job *job)
{
	wl_name(!opt.names ? "job" : job->is_long ? "long" : "short");
	atomic_fetch_add(&board->ready, 1);
	while (atomic_load(&board->go) == 0)
		wl_futex_wait(&board->go, 0);
	wl_spin(wl_iterations(job->work, (uint64_t)opt.spin_rate));
	job->cpu = wl_cpu();
	job->done = wl_now();
	_exit(0);
}

static void plan(void)
{
	uint64_t random = wl_stream((uint64_t)opt.seed, 0);
	long at = opt.long_at;

	if (at < 0)
		at = (long)(wl_random(&random) % (uint64_t)(opt.shorts + 1));
	if (at > opt.shorts)
		at = opt.shorts;
	for (long i = 0; i < jobs; i++) {
		struct job *job = &board->job[i];

		job->is_long = i >= at && i < at + opt.longs;
		uint64_t us = (uint64_t)(job->is_long ? opt.long_us : opt.short_us);
		job->work = wl_spread(&random, us * NSEC_PER_USEC, (unsigned)opt.spread);
	}
}

/* Waits for all children; kills those that are left at the deadline. */
static void reap(void)
{
	uint64_t deadline = board->released + (uint64_t)opt.deadline_ms * NSEC_PER_MSEC;
	long left = jobs;

	while (left > 0) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid > 0) {
			left--;
		} else if (pid < 0) {
			if (errno != EINTR)
				wl_die("waitpid");
		} else if (wl_now() >= deadline) {
			for (long i = 0; i < jobs; i++)
				if (!board->job[i].done)
					kill(board->job[i].pid, SIGKILL);
			deadline = UINT64_MAX;
		} else {
			wl_sleep(2 * NSEC_PER_MSEC);
		}
	}
}

static void report(void)
{
	uint64_t makespan = 0, last_short = 0, sum = 0;
	long done = 0;
	const char *comma = "";

	printf("{\"program\":\"batch\",\"seed\":%ld,\"spin_rate\":%ld,\"jobs\":[", opt.seed,
	       opt.spin_rate);
	for (long i = 0; i < jobs; i++) {
		const struct job *job = &board->job[i];
		uint64_t took = job->done ? job->done - board->released : 0;

		printf("%s{\"kind\":\"%s\",\"done_ns\":", comma, job->is_long ? "long" : "short");
		if (job->done)
			printf("%llu", (unsigned long long)took);
		else
			fputs("null", stdout);
		printf(",\"cpu_ns\":%llu}", (unsigned long long)job->cpu);
		comma = ",";
		if (!job->done)
			continue;
		done++;
		sum += took;
		if (took > makespan)
			makespan = took;
		if (!job->is_long && took > last_short)
			last_short = took;
	}
	printf("],\"unfinished\":%ld,\"makespan_ns\":%llu,\"mean_completion_ns\":%llu,"
	       "\"last_short_ns\":%llu}\n",
	       jobs - done, (unsigned long long)makespan,
	       (unsigned long long)(done ? sum / (uint64_t)done : 0),
	       (unsigned long long)last_short);
}

int main(int argc, char **argv)
{
	wl_parse(argc, argv, options);
	jobs = opt.shorts + opt.longs;
	if (!opt.spin_rate)
		opt.spin_rate = (long)wl_calibrate();
	board = mmap(NULL, sizeof *board + (size_t)jobs * sizeof board->job[0],
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		wl_die("mmap");
	plan();
	for (long i = 0; i < jobs; i++) {
		struct job *job = &board->job[i];

		pid_t pid = fork();

		if (pid < 0)
			wl_die("fork");
		if (pid == 0)
			child(job);
		/* Only here: the child shares this memory and would write its 0. */
		job->pid = pid;
	}
	while (atomic_load(&board->ready) < (uint32_t)jobs)
		wl_sleep(NSEC_PER_MSEC);
	board->released = wl_now();
	atomic_store(&board->go, 1);
	wl_futex_wake(&board->go, INT_MAX);
	reap();
	report();
	return 0;
}
