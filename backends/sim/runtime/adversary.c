/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver of campaigns: what the actors of adversary.h do.
 *
 * Lookahead: when a victim begins to wait, the process forks. Each child plays on with other random
 * numbers until the wait is over and says how long it was; the parent goes the worst way. So the
 * scheduler's whole state is looked into, whatever it is, and the run is as repeatable as others:
 * the way is chosen by what the children say, which depends on the seed alone.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "adversary.h"

#define MOST_OF_A_FUTURE 20000	/* events */
#define RETURN_NS 2000000000ULL	/* an ambusher comes then, if there is no victim */
#define DRAWN (TIME_MAX >> 2)	/* a sleep of this length: each is drawn */

enum cookie { COOKIE_WAKE, COOKIE_HUNT, COOKIE_HORIZON };

#define COOKIE(kind, actor) ((u64)(actor) << 2 | (kind))

struct adversary adversary;

/* In a child: where to say how long the victim waited. */
static struct {
	bool child;
	int pipe;
	struct actor *hunted;
	u64 events;
} future;

static u64 below(u64 limit)
{
	return limit ? draw_bits(&adversary.stream) % limit : 0;
}

static bool chance(u64 of_1000)
{
	return below(1000) < of_1000;
}

__attribute__((noreturn))
static void future_over(u64 waited)
{
	ssize_t done = write(future.pipe, &waited, sizeof(waited));

	_exit(done == sizeof(waited) ? 0 : 1);
}

static void stop_in_time(void)
{
	const struct task *p = future.child ? future.hunted->task : NULL;

	if (p && (sim.events > future.events || sim.verdict.kind))
		future_over(p->state == TASK_QUEUED ? sim.now - p->runnable_at : 0);
	if (sim.events >= adversary.limit || sim.verdict.kind)
		sim.finished = true;
}

/* --- what actors do -------------------------------------------------------------------------------- */

static u64 whole_stint(const struct task *p)
{
	u64 slice = p->k.scx.slice;

	return slice > NSEC_SEC ? NSEC_SEC : slice + sim.machine.tick_ns;
}

static u64 burst_of(const struct actor *actor)
{
	u64 burst = actor->burst;

	if (actor->how == HOW_RANDOM)
		burst = chance(adversary.full) ? 0 : adversary.bursts[below(adversary.nr_bursts)];
	return burst ? burst : whole_stint(actor->task);
}

static u64 sleep_of(const struct actor *actor)
{
	if (actor->how == HOW_RANDOM || actor->sleep == DRAWN)
		return adversary.sleeps[below(adversary.nr_sleeps)];
	return actor->sleep;
}

static void fork_actor(struct actor *actor, struct task *parent)
{
	const struct profile *profile = &adversary.profiles[actor->profile];
	struct task_params params = profile->params;

	params.allowed = &profile->allowed;
	params.parent = parent;
	params.cpu = actor->cpu;
	params.group = actor->profile;
	params.driver = actor;
	actor->task = new_task(&params);
	actor->fresh = true;
	actor->queue = 0;
	actor->since = TIME_MAX;
	start_task(actor->task);
}

static void hunt_before(u64 at)
{
	if (!adversary.ambush)
		return;
	at = at > sim.now + adversary.ambush ? at - adversary.ambush : sim.now;
	driver_timer(at, COOKIE(COOKIE_HUNT, adversary.nr_actors));
}

static enum next go_to_sleep(struct actor *actor)
{
	u64 until = sim.now + sleep_of(actor);

	actor->fresh = true;
	if (actor->how == HOW_AMBUSH)
		until = sim.now + RETURN_NS;
	if (actor->how == HOW_VICTIM)
		hunt_before(until);
	sleep_until(actor->task, until);
	return NEXT_SLEEP;
}

static void change_name(struct actor *actor)
{
	const struct profile *other = &adversary.profiles[below(adversary.nr_profiles)];

	set_comm(actor->task, other->params.comm);
}

static enum next end_burst(struct actor *actor)
{
	struct task *p = actor->task;
	enum how how = actor->how;

	if (how == HOW_RANDOM) {
		u64 all = adversary.ends[0] + adversary.ends[1] + adversary.ends[2];
		u64 place = below(all);

		how = place < adversary.ends[0] ? HOW_SLEEPS :
		      place < adversary.ends[0] + adversary.ends[1] ? HOW_EXITS : HOW_YIELDS;
		if (chance(adversary.nices))
			set_user_nice(p, (s32)below(40) - 20);
	}
	switch (how) {
	case HOW_EXITS:
		fork_actor(actor, p);
		return NEXT_EXIT;
	case HOW_RENAMES:
		change_name(actor);
		/* fall through */
	case HOW_YIELDS:
		p->work_left = burst_of(actor);
		return NEXT_YIELD;
	default:
		return go_to_sleep(actor);
	}
}

static enum next adversary_work_done(struct task *p)
{
	struct actor *actor = actor_of(p);

	stop_in_time();
	if (!actor->fresh)
		return end_burst(actor);
	actor->fresh = false;
	p->work_left = burst_of(actor);
	return NEXT_WORK;
}

/* --- hunting a victim ------------------------------------------------------------------------------ */

static void call_ambushers(void)
{
	for (u32 i = 0; i < adversary.nr_actors; i++)
		if (adversary.actors[i].how == HOW_AMBUSH)
			driver_timer(sim.now, COOKIE(COOKIE_WAKE, i));
}

static u64 seed_of(u64 way)
{
	uint64_t seed = adversary.stream ^ way * 0x9e3779b97f4a7c15ULL;

	draw_bits(&seed);
	return seed;
}

/* How long the victim waits if things go this way; 0 if that can't be known. */
static u64 look(struct actor *victim)
{
	u64 waited = 0;
	int ends[2];
	pid_t child;

	if (pipe(ends))
		return 0;
	child = fork();
	if (!child) {
		close(ends[0]);
		future.child = true;
		future.pipe = ends[1];
		future.hunted = victim;
		future.events = sim.events + MOST_OF_A_FUTURE;
		return TIME_MAX;
	}
	close(ends[1]);
	if (child < 0 || read(ends[0], &waited, sizeof(waited)) != sizeof(waited))
		waited = 0;
	close(ends[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return waited;
}

/* It ends before the run does: a future prints nothing. */
static void begin_future(u64 way)
{
	u64 until = sim.now + adversary.horizon;

	adversary.stream = seed_of(way);
	adversary.limit = TIME_MAX;
	driver_timer(until < sim.options.until ? until : sim.options.until,
		     COOKIE(COOKIE_HORIZON, 0));
}

static void look_ahead(struct actor *victim)
{
	u64 worst = 0, chosen = 0;

	adversary.looks--;
	fflush(NULL);
	for (u64 way = 0; way < adversary.ways; way++) {
		u64 waited = look(victim);

		if (future.child) {
			begin_future(way);
			return;
		}
		if (waited > worst) {
			worst = waited;
			chosen = way;
		}
	}
	adversary.stream = seed_of(chosen);
}

static void hunt(u64 number)
{
	struct actor *victim = number < adversary.nr_actors ? &adversary.actors[number] : NULL;

	call_ambushers();
	if (victim && adversary.looks && !future.child && victim->task->state == TASK_QUEUED)
		look_ahead(victim);
}

static void adversary_timer(u64 cookie)
{
	struct task *p;

	stop_in_time();
	switch (cookie & 3) {
	case COOKIE_WAKE:
		p = adversary.actors[cookie >> 2].task;
		sim.this_cpu = p->cpu;
		wake_task(p, NULL, false);
		break;
	case COOKIE_HUNT:
		hunt(cookie >> 2);
		break;
	case COOKIE_HORIZON:
		p = future.hunted->task;
		future_over(p->state == TASK_QUEUED ? sim.now - p->runnable_at : 0);
	}
}

static void adversary_queued(struct task *p, u64 dsq)
{
	struct actor *actor = actor_of(p);
	bool hunted = actor->how == HOW_VICTIM && actor->since != p->runnable_at;

	stop_in_time();
	watch_queued(p, dsq);
	if (hunted && actor->queue)
		driver_timer(sim.now, COOKIE(COOKIE_HUNT, actor - adversary.actors));
}

static void adversary_waited(struct task *p, u64 waited)
{
	if (sim.verdict.kind && sim.now > sim.verdict.at)
		return;
	if (future.child && future.hunted == actor_of(p))
		future_over(waited);
	watch_waited(p, waited);
}

/* --- the driver ------------------------------------------------------------------------------------ */

static void adversary_start(void)
{
	adversary_read(sim.options.adversary);
	adversary.stream = draw_stream(sim.options.seed, 0, 0);
	for (u32 i = 0; i < adversary.nr_actors; i++)
		adversary.actors[i].since = TIME_MAX;
	for (u32 i = 0; i < adversary.nr_actors; i++)
		fork_actor(&adversary.actors[i], NULL);
}

const struct driver adversary_driver = {
	.name = "adversary",
	.start = adversary_start,
	.work_done = adversary_work_done,
	.timer = adversary_timer,
	.waited = adversary_waited,
	.queued = adversary_queued,
	.report = watch_report,
};
