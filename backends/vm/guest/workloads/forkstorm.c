// SPDX-License-Identifier: Apache-2.0
/*
 * Processes that fork, exec and exit as fast as they can, beside one victim that always wants the
 * cpu. A policy under which new tasks go before old ones starves the victim here. Measures the
 * victim's longest wait and share, children done per second, and how long a child took from fork
 * to being reaped.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "common.h"

static struct {
	long forkers, burst, child_us, exec_percent, victim, duration_ms, seed, spin_rate;
} opt = { .forkers = 4, .burst = 8, .child_us = 200, .exec_percent = 50, .victim = 1,
	  .duration_ms = 5000, .seed = 1 };

static const struct wl_option options[] = {
	{ "forkers", &opt.forkers, 1, 256, "processes that fork" },
	{ "burst", &opt.burst, 1, 1024, "children that each has alive at once" },
	{ "child-us", &opt.child_us, 0, 10000000, "work of a child" },
	{ "exec-percent", &opt.exec_percent, 0, 100, "share of the children that exec" },
	{ "victim", &opt.victim, 0, 1, "1: with the measured victim" },
	{ "duration-ms", &opt.duration_ms, 1, 3600000, "measured time" },
	{ "seed", &opt.seed, 0, LONG_MAX, "seed of all random numbers" },
	{ "spin-rate", &opt.spin_rate, 0, LONG_MAX, "iterations per millisecond; 0 measures it" },
	{ NULL, NULL, 0, 0, NULL },
};

struct forker {
	struct histogram life;
	uint64_t done;
	pid_t pid;
};

/* Shared with the forkers, which are processes: a thread's fork would copy the victim's lock state
 * and a child could not exec before its parent's threads are gone. */
static struct board {
	uint64_t end;
	struct forker forker[];
} *board;

static struct wl_gaps gaps;
static _Atomic bool stop;

static pid_t spawn(uint64_t *random, uint64_t iterations)
{
	bool exec = wl_random(random) % 100 < (uint64_t)opt.exec_percent;
	char text[32];

	snprintf(text, sizeof text, "%llu", (unsigned long long)iterations);
	pid_t pid = fork();
	if (pid == 0) {
		if (exec) {
			execl("/proc/self/exe", "child", "--child", text, (char *)NULL);
			_exit(127);
		}
		wl_spin(iterations);
		_exit(0);
	}
	return pid;
}

static void forker(struct forker *me, uint64_t random)
{
	struct { pid_t pid; uint64_t born; } *alive = wl_alloc((size_t)opt.burst, sizeof *alive);
	long count = 0;

	wl_name("forker");
	while (wl_now() < board->end || count > 0) {
		while (count < opt.burst && wl_now() < board->end) {
			uint64_t work = wl_spread(&random, (uint64_t)opt.child_us * NSEC_PER_USEC, 50);

			alive[count].born = wl_now();
			pid_t pid = spawn(&random, wl_iterations(work, (uint64_t)opt.spin_rate));
			if (pid < 0)
				break;
			alive[count++].pid = pid;
		}
		int status;
		pid_t gone = count ? waitpid(-1, &status, 0) : 0;

		if (gone <= 0) {
			wl_sleep(NSEC_PER_MSEC);	/* fork failed and nothing is alive */
			continue;
		}
		for (long i = 0; i < count; i++) {
			if (alive[i].pid != gone)
				continue;
			if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
				hist_add(&me->life, wl_now() - alive[i].born);
				me->done++;
			}
			alive[i] = alive[--count];
			break;
		}
	}
	_exit(0);
}

static void *victim(void *unused)
{
	uint64_t chunk = wl_iterations(20 * NSEC_PER_USEC, (uint64_t)opt.spin_rate);

	(void)unused;
	wl_name("victim");
	wl_gaps_start(&gaps);
	while (!atomic_load(&stop)) {
		wl_spin(chunk);
		wl_gaps_look(&gaps);
	}
	return NULL;
}

static void report(uint64_t began, uint64_t end)
{
	static struct histogram life;
	uint64_t done = 0;
	double window = (double)(end - began);

	for (long i = 0; i < opt.forkers; i++) {
		hist_merge(&life, &board->forker[i].life);
		done += board->forker[i].done;
	}
	uint64_t longest = atomic_load(&gaps.seen) ? wl_gaps_longest(&gaps, end) : end - began;

	printf("{\"program\":\"forkstorm\",\"seed\":%ld,\"spin_rate\":%ld,\"window_ns\":%llu,"
	       "\"children\":%llu,\"throughput\":%.3f,",
	       opt.seed, opt.spin_rate, (unsigned long long)(end - began),
	       (unsigned long long)done, (double)done * 1e9 / window);
	if (opt.victim)
		printf("\"victim_longest_ns\":%llu,\"victim_share\":%.5f,",
		       (unsigned long long)longest, (double)gaps.cpu / window);
	fputs("\"histograms\":{", stdout);
	hist_json(stdout, "child_life", &life);
	if (opt.victim) {
		putchar(',');
		hist_json(stdout, "victim_wait", &gaps.waits);
	}
	puts("}}");
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc == 3 && !strcmp(argv[1], "--child")) {
		wl_spin(strtoull(argv[2], NULL, 10));
		return 0;
	}
	wl_parse(argc, argv, options);
	if (!opt.spin_rate)
		opt.spin_rate = (long)wl_calibrate();
	board = mmap(NULL, sizeof *board + (size_t)opt.forkers * sizeof board->forker[0],
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED)
		wl_die("mmap");
	uint64_t began = wl_now();

	board->end = began + (uint64_t)opt.duration_ms * NSEC_PER_MSEC;
	for (long i = 0; i < opt.forkers; i++) {
		struct forker *f = &board->forker[i];

		pid_t pid = fork();

		if (pid < 0)
			wl_die("fork");
		if (pid == 0)
			forker(f, wl_stream((uint64_t)opt.seed, (uint64_t)i));
		/* Only here: the child shares this memory and would write its 0. */
		f->pid = pid;
	}
	if (opt.victim)
		wl_thread(&thread, victim, NULL);
	wl_sleep_until(board->end);
	uint64_t end = wl_now();

	atomic_store(&stop, true);
	if (opt.victim)
		pthread_join(thread, NULL);
	for (long i = 0; i < opt.forkers; i++)
		waitpid(board->forker[i].pid, NULL, 0);
	report(began, end);
	return 0;
}
