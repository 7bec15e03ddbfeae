// SPDX-License-Identifier: Apache-2.0
/*
 * Messengers wake workers. Measures, in nanoseconds:
 *   wakeup   from just before the messenger's wake call until the worker runs;
 *   request  from the moment a request exists until its work is done;
 * and the number of requests done per second, and of cpu time that the background hogs got.
 *
 * Closed loop (--gap-us 0): a worker asks its messenger for work, is woken, works, thinks (sleeps)
 * and asks again. A request exists from the messenger's wake call on.
 * Open loop (--gap-us G): requests arrive at each messenger as a Poisson process, G apart in the
 * mean, whether or not anybody is free. A request exists from its intended arrival on, so that a stalled
 * messenger or a full queue shows in the latency instead of thinning out the samples.
 *
 * A request or wake-up still open when the time is up counts with the time it has waited so far
 * ("censored"): a worker that is never run must not vanish from the percentiles.
 */
#include <math.h>
#include <sys/resource.h>

#include "common.h"

#define BACKLOG 65536u /* power of two */

static struct {
	long messengers, workers, think_us, work_us, spread, gap_us, hogs, hog_nice;
	long duration_ms, warmup_ms, seed, spin_rate;
} opt = { .messengers = 2, .workers = 4, .think_us = 1000, .work_us = 500, .spread = 50,
	  .duration_ms = 3000, .warmup_ms = 300, .seed = 1 };

static const struct wl_option options[] = {
	{ "messengers", &opt.messengers, 1, 256, "messenger threads" },
	{ "workers", &opt.workers, 1, 1024, "workers of each messenger" },
	{ "think-us", &opt.think_us, 0, 10000000, "sleep between requests (closed loop)" },
	{ "work-us", &opt.work_us, 0, 10000000, "cpu time of a request" },
	{ "spread", &opt.spread, 0, 100, "percent by which think and work times vary" },
	{ "gap-us", &opt.gap_us, 0, 10000000, "mean time between arrivals; 0: a closed loop" },
	{ "hogs", &opt.hogs, 0, 4096, "background threads that spin" },
	{ "hog-nice", &opt.hog_nice, -20, 19, "their nice value" },
	{ "duration-ms", &opt.duration_ms, 1, 3600000, "measured time" },
	{ "warmup-ms", &opt.warmup_ms, 0, 3600000, "time before it, not measured" },
	{ "seed", &opt.seed, 0, LONG_MAX, "seed of all random numbers" },
	{ "spin-rate", &opt.spin_rate, 0, LONG_MAX, "iterations per millisecond; 0 measures it" },
	{ NULL, NULL, 0, 0, NULL },
};

struct messenger;

struct worker {
	_Atomic uint32_t word;		/* 1: woken */
	_Atomic uint64_t woken_at;	/* of a wake-up not yet answered, else 0 */
	_Atomic uint64_t request_at;	/* of the request in hand, else 0 */
	struct worker *next;
	struct messenger *messenger;
	struct histogram wakeup, request;
	uint64_t done, random;
	pthread_t thread;
};

struct messenger {
	_Atomic uint32_t word;		/* 1: a worker asks */
	_Atomic(struct worker *) asking;
	pthread_mutex_t lock;		/* open loop: guards idle, head, tail */
	struct worker *idle;
	uint32_t head, tail;
	uint64_t *backlog, dropped, random;
	struct worker *workers;
	pthread_t thread;
};

struct hog {
	_Atomic uint64_t spun;
	pthread_t thread;
};

static _Atomic bool stop;
static uint64_t window_start, window_end;

static bool in_window(uint64_t now)
{
	return now >= window_start && now < window_end;
}

static void wake(struct worker *w, uint64_t request_at)
{
	uint64_t now = wl_now();

	atomic_store(&w->request_at, request_at ? request_at : now);
	atomic_store(&w->woken_at, now);
	atomic_store(&w->word, 1);
	wl_futex_wake(&w->word, 1);
}

static void wait_for_wake(struct worker *w)
{
	while (atomic_load(&w->word) == 0)
		wl_futex_wait(&w->word, 0);
	uint64_t now = wl_now();

	atomic_store(&w->word, 0);
	/* Whoever clears woken_at counts it: the worker here, or main() when the time is up. */
	uint64_t woken_at = atomic_exchange(&w->woken_at, 0);
	if (woken_at && in_window(now))
		hist_add(&w->wakeup, now - woken_at);
}

static void serve(struct worker *w)
{
	uint64_t work = wl_spread(&w->random, (uint64_t)opt.work_us * NSEC_PER_USEC,
				  (unsigned)opt.spread);

	wl_spin(wl_iterations(work, (uint64_t)opt.spin_rate));
	uint64_t now = wl_now();
	uint64_t request_at = atomic_exchange(&w->request_at, 0);

	if (request_at && in_window(now)) {
		hist_add(&w->request, now - request_at);
		w->done++;
	}
}

static void *closed_worker(void *arg)
{
	struct worker *w = arg;
	struct messenger *m = w->messenger;

	wl_name("worker");
	while (!atomic_load(&stop)) {
		w->next = atomic_load(&m->asking);
		while (!atomic_compare_exchange_weak(&m->asking, &w->next, w))
			;
		if (atomic_exchange(&m->word, 1) == 0)
			wl_futex_wake(&m->word, 1);
		wait_for_wake(w);
		if (atomic_load(&stop))
			break;
		serve(w);
		if (opt.think_us)
			wl_sleep(wl_spread(&w->random, (uint64_t)opt.think_us * NSEC_PER_USEC,
					   (unsigned)opt.spread));
	}
	return NULL;
}

static void *closed_messenger(void *arg)
{
	struct messenger *m = arg;

	wl_name("messenger");
	while (!atomic_load(&stop)) {
		while (atomic_load(&m->word) == 0)
			wl_futex_wait(&m->word, 0);
		atomic_store(&m->word, 0);
		struct worker *w = atomic_exchange(&m->asking, NULL);

		while (w && !atomic_load(&stop)) {
			/* Once woken, the worker may ask again and change its own next. */
			struct worker *next = w->next;

			wake(w, 0);
			w = next;
		}
	}
	return NULL;
}

static void *open_worker(void *arg)
{
	struct worker *w = arg;
	struct messenger *m = w->messenger;

	wl_name("worker");
	while (!atomic_load(&stop)) {
		pthread_mutex_lock(&m->lock);
		if (m->head != m->tail) {
			atomic_store(&w->request_at, m->backlog[m->head++ % BACKLOG]);
			pthread_mutex_unlock(&m->lock);
		} else {
			w->next = m->idle;
			m->idle = w;
			pthread_mutex_unlock(&m->lock);
			wait_for_wake(w);
			if (atomic_load(&stop))
				break;
		}
		serve(w);
	}
	return NULL;
}

static void *open_messenger(void *arg)
{
	struct messenger *m = arg;
	double mean = (double)((uint64_t)opt.gap_us * NSEC_PER_USEC);
	double due = (double)wl_now();

	wl_name("messenger");
	for (;;) {
		double uniform = ((double)(wl_random(&m->random) >> 11) + 0.5) / 9007199254740992.0;

		due += -log(uniform) * mean;
		uint64_t arrival = (uint64_t)due;
		if (arrival >= window_end)
			break;
		if (arrival > wl_now())
			wl_sleep_until(arrival);
		pthread_mutex_lock(&m->lock);
		struct worker *w = m->idle;
		if (w)
			m->idle = w->next;
		else if (m->tail - m->head < BACKLOG)
			m->backlog[m->tail++ % BACKLOG] = arrival;
		else
			m->dropped++;
		pthread_mutex_unlock(&m->lock);
		if (w)
			wake(w, arrival);
		if (atomic_load(&stop))
			break;
	}
	return NULL;
}

static void *hog(void *arg)
{
	struct hog *h = arg;
	uint64_t chunk = wl_iterations(100 * NSEC_PER_USEC, (uint64_t)opt.spin_rate);

	wl_name("hog");
	if (opt.hog_nice)
		setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), (int)opt.hog_nice);
	while (!atomic_load(&stop)) {
		wl_spin(chunk);
		if (in_window(wl_now()))
			atomic_fetch_add(&h->spun, chunk);
	}
	return NULL;
}

/* What was still open at the end: main's own, as the workers may be writing theirs. */
static struct histogram open_wakeup, open_request;
static struct worker *workers;
static struct messenger *messengers;
static struct hog *hogs;

static void start(void)
{
	uint64_t now = wl_now();

	messengers = wl_alloc((size_t)opt.messengers, sizeof *messengers);
	workers = wl_alloc((size_t)(opt.messengers * opt.workers), sizeof *workers);
	hogs = wl_alloc((size_t)opt.hogs, sizeof *hogs);
	window_start = now + (uint64_t)opt.warmup_ms * NSEC_PER_MSEC;
	window_end = window_start + (uint64_t)opt.duration_ms * NSEC_PER_MSEC;
	for (long i = 0; i < opt.hogs; i++)
		wl_thread(&hogs[i].thread, hog, &hogs[i]);
	for (long i = 0; i < opt.messengers; i++) {
		struct messenger *m = &messengers[i];

		m->random = wl_stream((uint64_t)opt.seed, (uint64_t)i);
		m->workers = &workers[i * opt.workers];
		pthread_mutex_init(&m->lock, NULL);
		if (opt.gap_us)
			m->backlog = wl_alloc(BACKLOG, sizeof *m->backlog);
		for (long j = 0; j < opt.workers; j++) {
			struct worker *w = &m->workers[j];

			w->messenger = m;
			w->random = wl_stream((uint64_t)opt.seed,
					      (uint64_t)(1000 + i * opt.workers + j));
			wl_thread(&w->thread, opt.gap_us ? open_worker : closed_worker, w);
		}
		wl_thread(&m->thread, opt.gap_us ? open_messenger : closed_messenger, m);
	}
}

/* Counts what is still open at the end of the window; returns how many requests that were. */
static uint64_t censor(void)
{
	uint64_t censored = 0;

	for (long i = 0; i < opt.messengers * opt.workers; i++) {
		struct worker *w = &workers[i];
		uint64_t woken_at = atomic_exchange(&w->woken_at, 0);
		uint64_t request_at = atomic_exchange(&w->request_at, 0);

		if (woken_at && woken_at < window_end)
			hist_add(&open_wakeup, window_end - woken_at);
		if (request_at && request_at < window_end) {
			hist_add(&open_request, window_end - request_at);
			censored++;
		}
	}
	for (long i = 0; opt.gap_us && i < opt.messengers; i++) {
		struct messenger *m = &messengers[i];

		pthread_mutex_lock(&m->lock);
		for (uint32_t at = m->head; at != m->tail; at++, censored++)
			hist_add(&open_request, window_end - m->backlog[at % BACKLOG]);
		m->head = m->tail;
		pthread_mutex_unlock(&m->lock);
	}
	return censored;
}

static void finish(void)
{
	atomic_store(&stop, true);
	for (long i = 0; i < opt.messengers * opt.workers; i++) {
		atomic_store(&workers[i].word, 1);
		wl_futex_wake(&workers[i].word, INT_MAX);
	}
	for (long i = 0; i < opt.messengers; i++) {
		atomic_store(&messengers[i].word, 1);
		wl_futex_wake(&messengers[i].word, INT_MAX);
		pthread_join(messengers[i].thread, NULL);
	}
	/* A messenger may have cleared a worker's word after the first round: wake them again. */
	for (long i = 0; i < opt.messengers * opt.workers; i++) {
		atomic_store(&workers[i].word, 1);
		wl_futex_wake(&workers[i].word, INT_MAX);
		pthread_join(workers[i].thread, NULL);
	}
	for (long i = 0; i < opt.hogs; i++)
		pthread_join(hogs[i].thread, NULL);
}

static void report(uint64_t censored)
{
	struct histogram *wakeup = &open_wakeup, *request = &open_request;
	uint64_t done = 0, dropped = 0, spun = 0;
	double seconds = (double)opt.duration_ms / 1000.0;

	for (long i = 0; i < opt.messengers * opt.workers; i++) {
		hist_merge(wakeup, &workers[i].wakeup);
		hist_merge(request, &workers[i].request);
		done += workers[i].done;
	}
	for (long i = 0; i < opt.messengers; i++)
		dropped += messengers[i].dropped;
	for (long i = 0; i < opt.hogs; i++)
		spun += atomic_load(&hogs[i].spun);
	printf("{\"program\":\"wakeup\",\"seed\":%ld,\"spin_rate\":%ld,\"window_ns\":%llu,",
	       opt.seed, opt.spin_rate, (unsigned long long)(window_end - window_start));
	printf("\"requests\":%llu,\"censored\":%llu,\"dropped\":%llu,", (unsigned long long)done,
	       (unsigned long long)censored, (unsigned long long)dropped);
	printf("\"throughput\":%.3f,\"background_cpus\":%.4f,\"histograms\":{",
	       (double)done / seconds,
	       (double)spun / (double)opt.spin_rate / 1000.0 / seconds);
	hist_json(stdout, "wakeup", wakeup);
	putchar(',');
	hist_json(stdout, "request", request);
	puts("}}");
}

int main(int argc, char **argv)
{
	wl_parse(argc, argv, options);
	if (!opt.spin_rate)
		opt.spin_rate = (long)wl_calibrate();
	start();
	wl_sleep_until(window_end);
	uint64_t censored = censor();

	finish();
	report(censored);
	return 0;
}
