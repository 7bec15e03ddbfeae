// SPDX-License-Identifier: Apache-2.0
//
// schedc-load: what its parts share.
#pragma once

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

// Exit statuses; each names the first thing that went wrong.
enum outcome {
	FINE = 0,
	USAGE = 2,
	BAD_OBJECT = 10,	// not an object that libbpf can open
	REFUSED = 11,		// the kernel's verifier said no
	NOT_LOADED = 12,	// loading failed for another reason
	NOT_ATTACHED = 13,	// loaded, but never became the scheduler
	EJECTED = 14,		// the kernel threw it out (stall, error)
	NOT_RESTORED = 15,	// the default scheduler did not come back
	COMMAND_FAILED = 16,	// all well, but the command's status was not 0
	LEFT = 17,		// ended by itself, in order (hotplug, sysrq, its own exit)
	AGAIN = 100,		// refused, and to be refused once more with a trace; never reported
};

#define MAX_PROGRAMS 64
#define LOG_SIZE (1 << 20)

// Laid out as the generated C's `exit_info`.
struct exit_record {
	int64_t exit_code;
	uint32_t kind;
	uint32_t done;
	char reason[128];
	char msg[1024];
};

struct program {
	const char *name;
	char *log;
	uint32_t insns;
	uint64_t run_cnt, run_time_ns;
};

// Growing text; used for reports and messages.
struct text {
	char *data;
	size_t length, size;
};

struct options {
	const char *object, *settings, *report;
	char **command;
	double hold, budget;
	bool bpf_stats, reattach, exercise;
};

struct run {
	enum outcome outcome;
	const char *stage;		// how far it came
	struct text problem;		// what we say about it
	struct text libbpf;		// what libbpf said
	struct text kmsg;		// what the kernel said
	struct text unresolved;		// settings that matched nothing
	struct text events, counters;
	struct program programs[MAX_PROGRAMS];
	int nr_programs;
	int traced;			// the program whose verification is traced; -1 for none
	bool loads, attaches, stayed, detached;
	struct exit_record exit;
	bool has_exit;
	int error, restarts, command_status;
	long long enable_seq, load_ns, attach_ns, attached_ns, detach_ns;
	char ops[128];
};

extern struct options options;
extern struct run run;

void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_bytes(struct text *t, const char *data, size_t length);
void text_json(struct text *t, const char *data, size_t length);

// main.c
void collect(struct bpf_object *object);
enum outcome fail(enum outcome outcome, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// load.c
struct bpf_object *open_object(void);
enum outcome load(struct bpf_object *object);

// settings.c
bool settings_read(const char *path, char **text, struct text *problem);
bool settings_apply(struct bpf_object *object, const char *text, struct text *problem,
		    struct text *unresolved);

// ops.c
bool flags_mask(struct bpf_object *object, struct text *problem);
const char *ops_name(struct bpf_object *object);
struct bpf_map *ops_map(struct bpf_object *object);

// kernel.c
bool read_line(const char *path, char *line, size_t size);
long long read_number(const char *path);
bool wait_for_state(const char *wanted, int timeout_ms);
int kmsg_open(void);
void kmsg_collect(int fd, struct text *into);
void events_read(struct text *json);
long long now_ns(void);

// stats.c
void programs_read(struct bpf_object *object, struct program *programs, int count);
void counters_json(struct bpf_object *object, struct text *json);
bool exit_read(struct bpf_object *object, struct exit_record *record);

// report.c
void make_report(struct text *json);
int write_report(void);

// child.c
pid_t start_command(void);
void stop_command(pid_t child);
bool command_ended(pid_t child);
void start_exercise(void);
void stop_exercise(void);
void reap_exercise(void);

// await.c
bool await_arguments(const char *object, int *argc, char ***argv);

// rehearse.c: true if it went well. It ends at once when there is input, if it `may_end`.
bool rehearse(const char *path, bool may_end);
