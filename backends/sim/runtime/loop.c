/* SPDX-License-Identifier: Apache-2.0 */
/* The main loop: event after event, until the driver is done or the time is up. */
#include "core.h"

/* A cpu that looks for another task so often within one event will do so forever. */
#define MAX_ROUNDS 100000u

struct sim sim;

static void end_event(void)
{
	u32 rounds = 0;

	if (sim.this_cpu >= 0) {
		struct rq *rq = cpu_rq(sim.this_cpu);

		while (rq->need_resched && rq->curr && !sim.manual && !postpone_resched(rq)) {
			if (++rounds > MAX_ROUNDS)
				fail("cpu %d looks for another task forever at %llu ns", rq->cpu,
				     sim.now);
			schedule(rq);
		}
		if (sim.charge && rq->curr)
			charge_overhead(rq->curr, sim.charge);
	}
	sim.charge = 0;
	check_invariants();
}

static void driver_start(u64 unused)
{
	(void)unused;
	sim.driver->start();
}

/* More events than this at one instant, and nothing ever will pass. */
static u64 most_at_once(void)
{
	return 10000000 + 1000ULL * sim.nr_tasks;
}

void core_run(void)
{
	u64 at, argument, at_once = 0;
	event_fn fn;

	event_arm(0, driver_start, 0);
	while (!sim.finished && events_next() <= sim.options.until &&
	       event_pop(&at, &fn, &argument)) {
		at_once = at == sim.now ? at_once + 1 : 0;
		if (at_once > most_at_once())
			fail("%llu events at %llu ns, and time doesn't pass", at_once, at);
#ifdef SIM_DEBUG
		check(at >= sim.now, "an event of %llu ns comes late", at);
#endif
		sim.now = at;
		sim.this_cpu = NO_CPU;
		fn(argument);
		end_event();
		if (sim.nr_tasks && !sim.nr_alive && !sim.nr_driver_timers && !sim.manual)
			sim.finished = true;
	}
	if (!sim.finished && sim.options.until != TIME_MAX && sim.now < sim.options.until)
		sim.now = sim.options.until;
	for (u32 cpu = 0; cpu < sim.machine.nr_cpus; cpu++)
		account(cpu_rq((s32)cpu));
}
