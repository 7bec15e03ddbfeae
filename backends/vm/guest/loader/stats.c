// SPDX-License-Identifier: Apache-2.0
//
// Numbers that a scheduler and the kernel kept: per program, per class, per queue; why it ended.

#define _GNU_SOURCE
#include "loader.h"

#include <stdlib.h>
#include <string.h>

#define CLASS_WORDS 40	// 8 counters and 32 buckets
#define CLASS_WAIT_MAX 6

void programs_read(struct bpf_object *object, struct program *programs, int count)
{
	struct bpf_program *program;
	int i = 0;

	bpf_object__for_each_program(program, object) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(program);

		if (i >= count)
			return;
		if (fd >= 0 && !bpf_prog_get_info_by_fd(fd, &info, &size)) {
			programs[i].insns = info.verified_insns;
			programs[i].run_cnt = info.run_cnt;
			programs[i].run_time_ns = info.run_time_ns;
		}
		i++;
	}
}

static void numbers_json(struct text *json, const uint64_t *words, size_t count)
{
	text_add(json, "[");
	for (size_t i = 0; i < count; i++)
		text_add(json, "%s%llu", i ? ", " : "", (unsigned long long)words[i]);
	text_add(json, "]");
}

// Sums one entry over all cpus; the word at `maximum` is the largest instead.
static bool sum_entry(int fd, uint32_t key, size_t words, int maximum, uint64_t *total)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = cpus > 0 ? calloc(cpus, words * sizeof(uint64_t)) : NULL;

	if (!values)
		return false;
	memset(total, 0, words * sizeof(uint64_t));
	if (bpf_map_lookup_elem(fd, &key, values)) {
		free(values);
		return false;
	}
	for (int cpu = 0; cpu < cpus; cpu++) {
		for (size_t i = 0; i < words; i++) {
			uint64_t value = values[cpu * words + i];

			if ((int)i != maximum)
				total[i] += value;
			else if (value > total[i])
				total[i] = value;
		}
	}
	free(values);
	return true;
}

static void class_json(struct text *json, const uint64_t *w)
{
	static const char *const names[] = {
		"enqueued", "direct", "run", "preempted", "ran_ns", "wait_ns", "wait_max_ns",
	};

	text_add(json, "{");
	for (size_t i = 0; i < 7; i++)
		text_add(json, "\"%s\": %llu, ", names[i], (unsigned long long)w[i]);
	text_add(json, "\"wait_hist\": ");
	numbers_json(json, w + 8, 32);
	text_add(json, "}");
}

static void queue_json(struct text *json, const uint64_t *w)
{
	static const char *const names[] = { "inserted", "taken", "stolen", "skipped" };

	text_add(json, "{");
	for (size_t i = 0; i < 4; i++)
		text_add(json, "%s\"%s\": %llu", i ? ", " : "", names[i], (unsigned long long)w[i]);
	text_add(json, "}");
}

static void map_json(struct bpf_object *object, const char *name, size_t words, int maximum,
		     void (*entry)(struct text *, const uint64_t *), struct text *json)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	uint64_t total[CLASS_WORDS];
	bool first = true;

	text_add(json, "[");
	// A map of another shape than agreed is left out rather than misread.
	if (map && bpf_map__fd(map) >= 0 && bpf_map__value_size(map) == words * sizeof(uint64_t)) {
		for (uint32_t key = 0; key < bpf_map__max_entries(map); key++) {
			if (!sum_entry(bpf_map__fd(map), key, words, maximum, total))
				continue;
			text_add(json, "%s", first ? "" : ", ");
			entry(json, total);
			first = false;
		}
	}
	text_add(json, "]");
}

void counters_json(struct bpf_object *object, struct text *json)
{
	text_add(json, "\"classes\": ");
	map_json(object, "class_stats", CLASS_WORDS, CLASS_WAIT_MAX, class_json, json);
	text_add(json, ", \"queues\": ");
	map_json(object, "queue_stats", 4, -1, queue_json, json);
}

bool exit_read(struct bpf_object *object, struct exit_record *record)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, "exit_info");
	uint32_t key = 0;

	memset(record, 0, sizeof(*record));
	if (!map || bpf_map__fd(map) < 0 || bpf_map__value_size(map) != sizeof(*record))
		return false;
	if (bpf_map_lookup_elem(bpf_map__fd(map), &key, record))
		return false;
	record->reason[sizeof(record->reason) - 1] = 0;
	record->msg[sizeof(record->msg) - 1] = 0;
	return record->done != 0;
}
