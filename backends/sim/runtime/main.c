/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of schedc-sim; schedc/sim/run.py writes it. Exit status 2: bad input. */
#include <stdlib.h>
#include <string.h>
#include "core.h"
#include "script.h"
#include "work.h"

/* Parts that a small build may lack. */
extern const struct sched_class ext_class __attribute__((weak));
extern const struct sched_class fair_class __attribute__((weak));
extern const struct driver adversary_driver __attribute__((weak));
extern void faults_install(void) __attribute__((weak));

static u64 number(const char *option, const char *text)
{
	char *end;
	u64 value = strtoull(text, &end, 10);

	if (*end || *text < '0' || *text > '9')
		fail("%s: '%s' is no number", option, text);
	return value;
}

static const char *machine_file;

static const struct text_option {
	const char *name;
	const char **value;
} text_options[] = {
	{ "--scheduler", &sim.options.scheduler },
	{ "--plan", &sim.options.plan },
	{ "--script", &sim.options.script },
	{ "--adversary", &sim.options.adversary },
	{ "--machine", &machine_file },
	{ "--settings", &sim.options.settings },
	{ "--trace", &sim.options.trace },
};

/* How many words the option took. */
static int read_option(const char *name, const char *value)
{
	if (!strcmp(name, "--no-counters")) {
		sim.options.counters = false;
		return 1;
	}
	if (!strcmp(name, "--work-conserving")) {
		sim.options.work_conserving = true;
		return 1;
	}
	if (!value)
		fail("%s: not known, or its value is missing", name);
	if (!strcmp(name, "--seed")) {
		sim.options.seed = number(name, value);
		return 2;
	}
	if (!strcmp(name, "--until")) {
		sim.options.until = number(name, value);
		return 2;
	}
	for (size_t i = 0; i < sizeof(text_options) / sizeof(*text_options); i++) {
		if (strcmp(name, text_options[i].name))
			continue;
		*text_options[i].value = value;
		return 2;
	}
	fail("%s: there is no such option", name);
}

static void read_options(int argc, char **argv)
{
	sim.options = (struct options){ .seed = 1, .until = TIME_MAX, .counters = true };
	for (int i = 1; i < argc;)
		i += read_option(argv[i], i + 1 < argc ? argv[i + 1] : NULL);
	if (!sim.options.scheduler)
		fail("--scheduler is missing");
	if (!!sim.options.plan + !!sim.options.script + !!sim.options.adversary != 1)
		fail("one of --plan, --script and --adversary is needed");
}

static const struct sched_class *find_class(void)
{
	if (!strcmp(sim.options.scheduler, "fifo"))
		return &fifo_class;
	if (!strcmp(sim.options.scheduler, "eevdf"))
		return &fair_class;
	return &ext_class;
}

static const struct driver *load_driver(void)
{
	char error[256], *text;
	size_t length;

	if (sim.options.script) {
		script_load(sim.options.script);
		sim.manual = true;
		return &script_driver;
	}
	if (sim.options.adversary)
		return &adversary_driver;
	text = read_whole(sim.options.plan, &length);
	if (work_load(text, length, error, sizeof(error)))
		fail("%s: %s", sim.options.plan, error);
	free(text);
	return &work_driver;
}

int main(int argc, char **argv)
{
	if (faults_install)
		faults_install();
	read_options(argc, argv);
	machine_default();
	if (machine_file)
		machine_read(machine_file);
	machine_settle();
	trace_open();
	sim.driver = load_driver();
	sim.first_class = sim.class = find_class();
	if (!sim.class)
		fail("%s: this build hasn't got that scheduler", sim.options.scheduler);
	if (sim.class->init)
		sim.class->init();
	core_run();
	trace_close();
	result_write(stdout);
	if (!scheduler_is_out() && sim.class->fini)
		sim.class->fini();
	return 0;
}
