// SPDX-License-Identifier: Apache-2.0
//
// The report: everything that was found out, as one JSON object.

#define _GNU_SOURCE
#include "loader.h"

#include <errno.h>
#include <string.h>

static void field(struct text *json, const char *name, const char *data)
{
	text_add(json, ",\n \"%s\": ", name);
	text_json(json, data ? data : "", data ? strlen(data) : 0);
}

static void report_programs(struct text *json)
{
	text_add(json, ",\n \"programs\": [");
	for (int i = 0; i < run.nr_programs; i++) {
		struct program *p = &run.programs[i];

		text_add(json, "%s\n  {\"name\": ", i ? "," : "");
		text_json(json, p->name, strlen(p->name));
		text_add(json, ", \"insns\": %u, \"run_cnt\": %llu, \"run_time_ns\": %llu", p->insns,
			 (unsigned long long)p->run_cnt, (unsigned long long)p->run_time_ns);
		if (!run.loads && p->log && *p->log) {
			text_add(json, ", \"log\": ");
			text_json(json, p->log, strnlen(p->log, LOG_SIZE));
		}
		text_add(json, "}");
	}
	text_add(json, "]");
}

void make_report(struct text *json)
{
	text_add(json, "{\"outcome\": %d, \"error\": %d", run.outcome, run.error);
	text_add(json, ", \"loads\": %d, \"attaches\": %d, \"stayed\": %d, \"detached\": %d", run.loads,
		 run.attaches, run.stayed, run.detached);
	text_add(json, ",\n \"restarts\": %d, \"enable_seq\": %lld, \"command_status\": %d", run.restarts,
		 run.enable_seq, run.command_status);
	text_add(json, ",\n \"load_ns\": %lld, \"attach_ns\": %lld", run.load_ns, run.attach_ns);
	text_add(json, ", \"attached_ns\": %lld, \"detach_ns\": %lld", run.attached_ns, run.detach_ns);
	field(json, "stage", run.stage);
	field(json, "problem", run.problem.data);
	field(json, "ops", run.ops);
	field(json, "libbpf", run.libbpf.data);
	field(json, "kmsg", run.kmsg.data);
	field(json, "unresolved", run.unresolved.data);
	text_add(json, ",\n \"exit\": ");
	if (run.has_exit) {
		text_add(json, "{\"kind\": %u, \"code\": %lld", run.exit.kind, (long long)run.exit.exit_code);
		field(json, "reason", run.exit.reason);
		field(json, "msg", run.exit.msg);
		text_add(json, "}");
	} else {
		text_add(json, "null");
	}
	report_programs(json);
	text_add(json, ",\n \"events\": %s", run.events.length ? run.events.data : "{}");
	text_add(json, ",\n %s}\n",
		 run.counters.length ? run.counters.data : "\"classes\": [], \"queues\": []");
}

int write_report(void)
{
	struct text json = { 0 }, name = { 0 };
	FILE *file;

	make_report(&json);
	if (!options.report) {
		fputs(json.data, stdout);
		return 0;
	}
	text_add(&name, "%s.new", options.report);
	file = fopen(name.data, "we");
	if (!file || fputs(json.data, file) < 0 || fclose(file) || rename(name.data, options.report)) {
		fprintf(stderr, "schedc-load: %s: %s\n", options.report, strerror(errno));
		return -1;
	}
	return 0;
}
