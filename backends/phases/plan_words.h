/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a plan's line, taken one after another; the first mistake is kept and ends it. */
#ifndef PHASES_PLAN_WORDS_H
#define PHASES_PLAN_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct words {
	const char *at, *end;	/* what is left of the line */
	unsigned line;
	char *error;		/* "" as long as all is well */
	size_t size;
};

struct word {
	const char *text;
	size_t length;
};

__attribute__((format(printf, 2, 3)))
void words_fail(struct words *w, const char *format, ...);
bool words_failed(const struct words *w);

struct word words_next(struct words *w);	/* length 0: the line is at its end */
bool word_is(struct word word, const char *text);
/* A whole number in low..high; 0 after a mistake. */
uint64_t words_number(struct words *w, const char *what, uint64_t low, uint64_t high);
/* The same, or "-": `none`. */
uint64_t words_optional(struct words *w, const char *what, uint64_t high, uint64_t none);
/* One of names[0..count): its number. */
unsigned words_choice(struct words *w, const char *what, const char *const *names, unsigned count);
/* Into a buffer, with a 0 at its end; a mistake if it doesn't fit. */
void words_copy(struct words *w, const char *what, char *into, size_t size);

/* An array with room for one more, as numbers grow: the new element, zeroed; NULL: no memory. */
void *words_grow(struct words *w, void *array, uint32_t *count, size_t element);

#endif
