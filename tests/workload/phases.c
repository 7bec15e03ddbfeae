// SPDX-License-Identifier: Apache-2.0
/*
 * For the tests: `draw SEED N DIST…` prints N draws; `fuzz` reads plans, each after its length on a
 * line of its own, and prints what the parser says of each (from memory of just that size, so that a
 * sanitizer sees a read beyond it).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "plan_phases.h"
#include "plan_words.h"

static int draws(int argc, char **argv)
{
	char error[200] = "", line[4096] = "";
	struct words w = { .error = error, .size = sizeof error };
	struct phase phase = { 0 };
	uint64_t stream = draw_stream(strtoull(argv[2], NULL, 10), 3, 5);

	for (int i = 4; i < argc; i++) {
		strcat(line, i > 4 ? " " : "");
		strcat(line, argv[i]);
	}
	w.at = line;
	w.end = line + strlen(line);
	if (!plan_read_phase(&w, (struct word){ "run", 3 }, &phase) || words_failed(&w)) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	for (long n = strtol(argv[3], NULL, 10); n > 0; n--)
		printf("%llu\n", (unsigned long long)draw(&phase.time, &stream));
	free(phase.time.values);
	free(phase.time.cumulative);
	return 0;
}

static int fuzz(void)
{
	unsigned long length;

	/* One character after the number, which is the newline: the text may begin with more. */
	while (scanf("%lu", &length) == 1 && getchar() == '\n') {
		char error[200], *text = malloc(length ? length : 1);
		struct plan plan;

		if (!text || fread(text, 1, length, stdin) != length)
			return 1;
		int result = plan_parse(&plan, text, length, error, sizeof error);

		printf("%d %u %s\n", result, plan.nr_tasks, error);
		plan_free(&plan);
		free(text);
	}
	return 0;
}

int main(int argc, char **argv)
{
	return argc > 4 && !strcmp(argv[1], "draw") ? draws(argc, argv) : fuzz();
}
