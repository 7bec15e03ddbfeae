// SPDX-License-Identifier: Apache-2.0
/* One task of a plan: made, run phase by phase, ended. */
#include "board.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Between looks at whether the run is over, and for gaps: a look costs some 4 us of emulated time. */
#define CHUNK (100 * NSEC_PER_USEC)
#define STACK_SIZE (64 * 1024)

struct doer *new_doer(uint32_t group, const struct plan_place *place, uint32_t cpu,
		      struct doer *forker)
{
	mutex_lock(&board->mutex);
	struct doer *d = board->free, *all;

	if (d) {
		board->free = d->next;
		all = d->all;
		memset(d, 0, sizeof *d);
		d->all = all;
	} else {
		d = board_alloc(1, sizeof *d);
		d->all = board->doers;
		board->doers = d;
	}
	d->group = &plan.groups[group];
	d->number = group;
	d->place = *place;
	d->cpu = cpu;
	d->forker = forker;
	d->process = d->group->process;
	mutex_unlock(&board->mutex);
	atomic_fetch_add(&board->alive, 1);
	if (measure_is_job(d->group->role))
		atomic_fetch_add(&board->jobs, 1);
	return d;
}

static void release_doer(struct doer *d)
{
	mutex_lock(&board->mutex);
	d->next = board->free;
	board->free = d;
	mutex_unlock(&board->mutex);
}

uint64_t doer_cpu(const struct doer *d)
{
	/* The kernel's numbers of clocks: of a process, and of a thread of one's own process. */
	clockid_t clock = (clockid_t)(~(uint32_t)d->tid << 3 | (d->process ? 2 : 6));
	struct timespec ts;

	if (!d->tid || clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* --- gaps: time in which a task wanted the cpu and hadn't got it ---------------------------------- */

static bool watched(const struct doer *d)
{
	return d->group->role == ROLE_VICTIM || d->group->role == ROLE_HOG;
}

static void gap_look(struct doer *d)
{
	uint64_t wall = wl_now(), cpu = wl_cpu();
	uint64_t elapsed = wall - d->last_wall, own = cpu - d->last_cpu;

	if (elapsed > own && in_window(wall))
		measure_wait(&board->measures, d->group->role, elapsed - own);
	d->last_wall = wall;
	d->last_cpu = cpu;
	atomic_store(&d->seen, wall);
}

/*
 * After so much work. Asking for one's own cpu time makes the kernel account for it, and so ends a
 * slice that is over before the tick does: ask only if there was a gap.
 */
static void gap_look_after(struct doer *d, uint64_t work)
{
	uint64_t wall = wl_now();
	uint64_t elapsed = wall - d->last_wall;

	if (elapsed >= work + WAIT_MIN) {
		gap_look(d);
		return;
	}
	d->last_wall = wall;
	d->last_cpu += elapsed;
	atomic_store(&d->seen, wall);
}

void gap_after(struct doer *d, uint64_t due)
{
	if (!watched(d))
		return;
	uint64_t now = wl_now();

	d->last_wall = due && due < now ? due : now;
	d->last_cpu = wl_cpu();
	gap_look(d);
}

/* --- phases -------------------------------------------------------------------------------------- */

static void park(void)
{
	static _Atomic uint32_t never;

	for (;;)
		wl_futex_wait(&never, 0);
}

static void do_run(struct doer *d, uint64_t ns)
{
	bool look = watched(d);
	uint64_t chunk = wl_iterations(CHUNK, spin_rate);
	uint64_t left = ns == PLAN_FOREVER ? UINT64_MAX : wl_iterations(ns, spin_rate);

	while (left) {
		uint64_t now = left < chunk ? left : chunk;

		wl_spin(now);
		left -= now;
		if (look)
			gap_look_after(d, CHUNK);
		if (atomic_load(&board->stop))
			park();
	}
}

static void do_sleep(struct doer *d, const struct phase *phase)
{
	uint64_t time = draw(&phase->time, &d->stream);
	uint64_t due = wl_now() + time;

	if (phase->kind != PHASE_SLEEP) {
		uint64_t now = due - time;

		due = d->schedule += time;
		if (phase->kind == PHASE_INTERVAL && due < now)
			due = d->schedule = now;
		atomic_store(&d->stamp, due);
	} else if (!time) {
		return;
	}
	if (phase->measured)
		atomic_store(&d->waking_at, due);
	atomic_store(&d->seen, due);
	/* The kernel puts a task to sleep for an instant even when the moment is past. */
	if (due > wl_now())
		wl_sleep_until(due);
	uint64_t now = wl_now();
	uint64_t at = atomic_exchange(&d->waking_at, 0);

	if (at && now >= at && in_window(now))
		measure_wakeup(&board->measures, now - at);
	gap_after(d, due);
}

static void do_fork(struct doer *d, const struct phase *phase)
{
	for (uint64_t i = 0; i < phase->count; i++) {
		struct plan_place place = plan_forked(&d->place, phase->target);
		struct doer *child = new_doer(phase->target, &place, PLAN_NONE, d);

		child->stream = draw_bits(&d->stream);
		if (child->process)
			d->processes++;
		else
			atomic_fetch_add(&d->threads, 1);
		start_doer(child);
	}
	/* Who never joins has its dead collected here. */
	while (d->processes && waitpid(-1, NULL, WNOHANG | __WNOTHREAD) > 0)
		d->processes--;
}

static void do_join(struct doer *d)
{
	atomic_store(&d->seen, 0);
	while (d->processes) {
		if (waitpid(-1, NULL, __WNOTHREAD) > 0)
			d->processes--;
		else if (errno != EINTR)
			d->processes = 0;
	}
	for (uint32_t left; (left = atomic_load(&d->threads)) != 0;)
		wl_futex_wait(&d->threads, left);
	gap_after(d, 0);
}

static void do_mark(struct doer *d, const struct phase *phase)
{
	uint64_t now = wl_now(), stamp = atomic_exchange(&d->stamp, 0);

	if (stamp && in_window(now))
		measure_mark(&board->measures, phase, now > stamp ? now - stamp : 0);
}

/* False: the task is done. */
static bool do_phase(struct doer *d, const struct phase *phase)
{
	switch (phase->kind) {
	case PHASE_RUN:
		do_run(d, draw(&phase->time, &d->stream));
		break;
	case PHASE_SLEEP:
	case PHASE_PERIOD:
	case PHASE_INTERVAL:
		do_sleep(d, phase);
		break;
	case PHASE_WAIT:
		do_wait(d, phase);
		break;
	case PHASE_WAKE:
		do_wake(d, phase);
		break;
	case PHASE_FORK:
		do_fork(d, phase);
		break;
	case PHASE_JOIN:
		do_join(d);
		break;
	case PHASE_EXIT:
		return false;
	case PHASE_BARRIER:
		do_barrier(d, phase);
		break;
	case PHASE_LOCK:
		mutex_lock(&board->locks[phase->target]);
		break;
	case PHASE_UNLOCK:
		mutex_unlock(&board->locks[phase->target]);
		break;
	case PHASE_STAMP:
		atomic_store(&d->stamp, wl_now());
		break;
	case PHASE_MARK:
		do_mark(d, phase);
		break;
	case PHASE_COUNT:
		if (in_window(wl_now()))
			measure_count(&board->measures, phase->counter);
		break;
	case PHASE_YIELD:
		sched_yield();
		break;
	}
	return true;
}

static void go_through(struct doer *d)
{
	const struct plan_group *group = d->group;

	if (plan_only_works(group))
		do_run(d, PLAN_FOREVER);
	for (uint64_t loop = 0; loop < group->loops; loop++)
		for (uint32_t i = 0; i < group->nr_phases; i++) {
			if (atomic_load(&board->stop))
				park();
			if (!do_phase(d, &group->phases[i]))
				return;
		}
}

/* --- life ---------------------------------------------------------------------------------------- */

static void settle(struct doer *d)
{
	const struct plan_group *group = d->group;
	cpu_set_t set;

	if (group->cgroup[0] && d->process)
		join_cgroup(group->cgroup);
	if (group->nice && setpriority(PRIO_PROCESS, (id_t)d->tid, group->nice))
		wl_die("the nice value could not be set");
	if (!group->own_cpu && !group->some_cpus)
		return;
	CPU_ZERO(&set);
	for (uint32_t cpu = 0; cpu < PLAN_MAX_CPUS; cpu++)
		if (group->own_cpu ? cpu == d->cpu : group->cpus[cpu / 64] >> (cpu % 64) & 1)
			CPU_SET(cpu, &set);
	/* Cpus that this machine hasn't got: any will do, as in the simulator. */
	sched_setaffinity(0, sizeof set, &set);
}

static void end(struct doer *d)
{
	uint64_t now = wl_now();
	struct measures *m = &board->measures;
	enum role role = d->group->role;

	if (in_window(now)) {
		if (d->forker)
			measure_life(m, now - d->born);
		__atomic_fetch_add(&m->group_cpu[d->number], doer_cpu(d) - d->cpu_before,
				   __ATOMIC_RELAXED);
	}
	atomic_store(&d->alive, false);
	atomic_store(&d->ended, true);
	leave_barriers(d);
	if (measure_is_job(role)) {
		uint64_t released = atomic_load(&board->released);

		measure_job(m, role, now - (released ? released : board->began));
	}
	uint64_t left = atomic_fetch_sub(&board->alive, 1) - 1;
	bool jobs_done = board->jobs && __atomic_load_n(&m->done, __ATOMIC_SEQ_CST) == board->jobs;

	if (!left || (jobs_done && !plan.duration)) {
		atomic_store(&board->finished, 1);
		wl_futex_wake(&board->finished, 1);
	}
	/* Its threads would die with the process. */
	for (uint32_t threads; d->process && (threads = atomic_load(&d->threads)) != 0;)
		wl_futex_wait(&d->threads, threads);
	if (!d->process && d->forker && atomic_fetch_sub(&d->forker->threads, 1) == 1)
		wl_futex_wake(&d->forker->threads, INT_MAX);
	/* One with threads left would be written to by them. */
	if (!atomic_load(&d->threads))
		release_doer(d);
}

static void *body(void *argument)
{
	struct doer *d = argument;

	d->tid = (pid_t)syscall(SYS_gettid);
	settle(d);
	atomic_store(&d->alive, true);
	if (!d->forker) {
		atomic_fetch_add(&board->ready, 1);
		while (atomic_load(&board->go) == 0)
			wl_futex_wait(&board->go, 0);
	}
	d->schedule = d->forker ? wl_now() : board->began;
	if (d->group->delay) {
		d->schedule += d->group->delay;
		wl_sleep_until(d->schedule);
	}
	d->last_wall = d->group->delay ? d->schedule : d->forker ? d->born : board->began;
	d->last_cpu = wl_cpu();
	atomic_store(&d->seen, d->last_wall);
	go_through(d);
	end(d);
	return NULL;
}

void start_doer(struct doer *d)
{
	char mine[16] = "";
	pthread_attr_t attributes;
	pthread_t thread;
	int error = 0;

	/* A new task has its maker's name from its first moment: policies look at it then. */
	prctl(PR_GET_NAME, mine, 0, 0, 0);
	wl_name(d->group->comm);
	d->born = wl_now();
	if (d->process) {
		pid_t pid = fork();

		if (pid == 0) {
			body(d);
			_exit(0);
		}
		error = pid < 0 ? errno : 0;
	} else {
		pthread_attr_init(&attributes);
		pthread_attr_setstacksize(&attributes, STACK_SIZE);
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		error = pthread_create(&thread, &attributes, body, d);
		pthread_attr_destroy(&attributes);
	}
	wl_name(mine);
	if (error) {
		errno = error;
		wl_die("a task could not be started");
	}
}
