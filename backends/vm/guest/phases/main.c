// SPDX-License-Identifier: Apache-2.0
/*
 * wl-phases [--spin-rate N] [--every MS] < PLAN: runs the plan on its stdin once and prints
 * what it measured, one JSON object, by the rules of backends/phases/measure.h; with --every also
 * a line for each interval while it runs (interval.c).
 */
#include "board.h"
#include "interval.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define ARENA ((size_t)1 << 33)		/* addresses; memory is used as it is touched */
#define MAX_PLAN ((size_t)1 << 26)
#define RING 16384u

struct plan plan;
struct board *board;
uint64_t spin_rate;

static struct arena {
	_Atomic size_t used;
} *arena;

void *board_alloc(size_t count, size_t size)
{
	size_t bytes = (count * size + 63) / 64 * 64;
	size_t at = atomic_fetch_add(&arena->used, bytes);

	if (at + bytes > ARENA) {
		fputs("wl-phases: too many tasks\n", stderr);
		_exit(2);
	}
	return (char *)arena + at;
}

static void read_plan(void)
{
	static char error[256];
	char *text = wl_alloc(MAX_PLAN, 1);
	size_t length = fread(text, 1, MAX_PLAN, stdin);

	if (plan_parse(&plan, text, length, error, sizeof error)) {
		fprintf(stderr, "wl-phases: %s\n", error);
		exit(2);
	}
	free(text);
}

static void make_channels(void)
{
	board->channels = board_alloc(plan.nr_channels, sizeof *board->channels);
	for (uint32_t i = 0; i < plan.nr_line_channels; i++) {
		const struct plan_channel *line = &plan.channels[i];

		for (uint32_t j = 0; j < line->count; j++) {
			struct channel *c = &board->channels[line->base + j];

			c->capacity = line->capacity;
			c->keep = line->keep;
			c->room = c->capacity && c->capacity < RING ? c->capacity : RING;
			c->posts = board_alloc(c->room, sizeof *c->posts);
			c->mark = measure_of_channel(&plan, i);
		}
	}
}

static void make_board(void)
{
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		wl_die("mmap");
	arena->used = 64;
	board = board_alloc(1, sizeof *board);
	board->measures.group_cpu = board_alloc(plan.nr_groups, sizeof(uint64_t));
	board->locks = board_alloc(plan.nr_locks, sizeof *board->locks);
	board->barriers = board_alloc(plan.nr_barriers, sizeof *board->barriers);
	for (uint32_t i = 0; i < plan.nr_barriers; i++)
		board->barriers[i].parties = plan.barriers[i];
	make_channels();
	for (uint32_t g = 0; g < plan.nr_groups; g++)
		if (plan.groups[g].cgroup[0])
			make_cgroup(plan.groups[g].cgroup, plan.groups[g].cgroup_weight);
}

static void start_tasks(void)
{
	for (uint32_t i = 0; i < plan.nr_tasks; i++) {
		const struct plan_task *task = &plan.tasks[i];
		struct plan_place place = plan_place(&plan, task);
		struct doer *d = new_doer(task->group, &place, task->cpu, NULL);

		d->stream = draw_stream(plan.seed, task->group, task->instance);
		start_doer(d);
	}
	while (atomic_load(&board->ready) < plan.nr_tasks)
		wl_sleep(NSEC_PER_MSEC);
	board->began = wl_now();
	board->window_start = board->began + plan.warmup;
	board->window_end = plan.duration ? board->window_start + plan.duration : UINT64_MAX;
	/* From here on they want to run, whether they get to or not. */
	for (struct doer *d = board->doers; d; d = d->all)
		atomic_store(&d->seen, board->began);
	atomic_store(&board->go, 1);
	wl_futex_wake(&board->go, INT_MAX);
}

/* Until the time, or until nothing more will happen. */
static void wait_until(uint64_t when)
{
	while (!atomic_load(&board->finished)) {
		uint64_t now = wl_now();

		if (now >= when)
			return;
		struct timespec left = { .tv_sec = (time_t)((when - now) / NSEC_PER_SEC),
					 .tv_nsec = (long)((when - now) % NSEC_PER_SEC) };
		syscall(SYS_futex, &board->finished, FUTEX_WAIT, 0, &left, NULL, 0);
	}
}

/* The same for the window's end, with a line for each interval. */
static void wait_window(uint64_t end, uint64_t every)
{
	uint64_t next = wl_now() + every;

	if (every)
		interval_begin();
	for (; every && next < end && !atomic_load(&board->finished); next += every) {
		wait_until(next);
		interval_end();
	}
	wait_until(end);
}

/* Cpu times of all tasks, now: before the window, or at its end. */
static void snapshot(bool at_end)
{
	for (struct doer *d = board->doers; d; d = d->all) {
		if (!atomic_load(&d->alive))
			continue;
		uint64_t cpu = doer_cpu(d);

		if (!at_end)
			d->cpu_before = cpu;
		else if (cpu > d->cpu_before)
			__atomic_fetch_add(&board->measures.group_cpu[d->number],
					   cpu - d->cpu_before, __ATOMIC_RELAXED);
	}
}

/* What is open at the end counts with its time so far. */
static void close_doer(struct doer *d, uint64_t end)
{
	struct measures *m = &board->measures;
	const struct phase *mark = measure_open(d->group);
	uint64_t waking = atomic_exchange(&d->waking_at, 0);
	uint64_t stamp = atomic_exchange(&d->stamp, 0);
	uint64_t seen = atomic_load(&d->seen);

	if (waking && waking < end)
		measure_wakeup(m, end - waking);
	if (mark && stamp && stamp < end)
		measure_censored(m, mark, end - stamp);
	if (seen && seen < end)
		measure_wait(m, d->group->role, end - seen);
}

static void close_all(uint64_t end)
{
	for (struct doer *d = board->doers; d; d = d->all)
		if (!atomic_load(&d->ended))
			close_doer(d, end);
	for (uint32_t i = 0; i < plan.nr_channels; i++) {
		struct channel *c = &board->channels[i];

		mutex_lock(&c->mutex);
		for (uint32_t j = 0; c->mark && j < c->count; j++) {
			uint64_t stamp = c->posts[(c->head + j) % c->room].stamp;

			if (stamp < end)
				measure_censored(&board->measures, c->mark, end - stamp);
		}
		mutex_unlock(&c->mutex);
	}
}

static void run(uint64_t every)
{
	struct measures *m = &board->measures;
	uint64_t from = board->began, end;

	if (plan.warmup) {
		wait_until(board->window_start);
		snapshot(false);
		from = wl_now();
	}
	wait_window(plan.duration ? board->window_end : board->began + plan.limit, every);
	snapshot(true);
	uint64_t to = wl_now();

	end = to < board->window_end ? to : board->window_end;
	m->window = end > board->window_start ? end - board->window_start : 0;
	close_all(end);
	atomic_store(&board->stop, true);
	/* Under a hard load this thread was late twice: the times are of a slightly other window. */
	for (uint32_t g = 0; g < plan.nr_groups && to > from; g++)
		m->group_cpu[g] = (uint64_t)((unsigned __int128)m->group_cpu[g] * m->window /
					     (to - from));
}

int main(int argc, char **argv)
{
	long rate = 0, every = 0;
	const struct wl_option options[] = {
		{ "spin-rate", &rate, 0, LONG_MAX, "iterations per millisecond; 0 measures it" },
		{ "every", &every, 0, 3600000, "ms between lines of what was measured; 0: none" },
		{ NULL, NULL, 0, 0, NULL },
	};

	wl_parse(argc, argv, options);
	read_plan();
	spin_rate = rate ? (uint64_t)rate : wl_calibrate();
	/* A group of its own, to end all its processes by; theirs become its children. */
	setpgid(0, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	make_board();
	start_tasks();
	run((uint64_t)every * NSEC_PER_MSEC);
	measures_json(stdout, &plan, &board->measures, board->jobs);
	putchar('\n');
	fflush(stdout);
	signal(SIGTERM, SIG_IGN);
	kill(0, SIGTERM);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	_exit(0);
}
