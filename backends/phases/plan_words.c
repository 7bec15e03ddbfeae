// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan_words.h"

void words_fail(struct words *w, const char *format, ...)
{
	va_list arguments;
	int used;

	if (words_failed(w))
		return;
	used = snprintf(w->error, w->size, "plan, line %u: ", w->line);
	if (used < 0 || (size_t)used >= w->size)
		return;
	va_start(arguments, format);
	vsnprintf(w->error + used, w->size - (size_t)used, format, arguments);
	va_end(arguments);
}

bool words_failed(const struct words *w)
{
	return w->error[0] != 0;
}

struct word words_next(struct words *w)
{
	struct word word = { .text = w->at };

	while (w->at < w->end && *w->at != ' ')
		w->at++;
	word.length = (size_t)(w->at - word.text);
	if (w->at < w->end)
		w->at++;
	return word;
}

bool word_is(struct word word, const char *text)
{
	return strlen(text) == word.length && !memcmp(word.text, text, word.length);
}

static uint64_t number(struct words *w, struct word word, const char *what, uint64_t low,
		       uint64_t high)
{
	uint64_t value = 0;
	bool good = word.length > 0 && word.length <= 20;

	for (size_t i = 0; good && i < word.length; i++) {
		uint64_t digit = (uint64_t)(unsigned char)word.text[i] - '0';

		good = digit <= 9 && value <= (UINT64_MAX - digit) / 10;
		if (good)
			value = value * 10 + digit;
	}
	if (good && value >= low && value <= high)
		return value;
	words_fail(w, "%s must be a number in %llu..%llu", what, (unsigned long long)low,
		   (unsigned long long)high);
	return low;
}

uint64_t words_number(struct words *w, const char *what, uint64_t low, uint64_t high)
{
	return number(w, words_next(w), what, low, high);
}

uint64_t words_optional(struct words *w, const char *what, uint64_t high, uint64_t none)
{
	struct word word = words_next(w);

	return word_is(word, "-") ? none : number(w, word, what, 0, high);
}

unsigned words_choice(struct words *w, const char *what, const char *const *names, unsigned count)
{
	struct word word = words_next(w);

	for (unsigned i = 0; i < count; i++)
		if (word_is(word, names[i]))
			return i;
	words_fail(w, "no %s is called that", what);
	return 0;
}

void words_copy(struct words *w, const char *what, char *into, size_t size)
{
	struct word word = words_next(w);

	if (word.length == 0 || word.length >= size) {
		words_fail(w, "%s must have 1 to %zu characters", what, size - 1);
		return;
	}
	memcpy(into, word.text, word.length);
	into[word.length] = 0;
}

void *words_grow(struct words *w, void *array, uint32_t *count, size_t element)
{
	/* Room is doubled at each power of two; below it is there already. */
	if ((*count & (*count - 1)) == 0) {
		size_t room = *count ? (size_t)*count * 2 : 1;
		void *larger = realloc(array, room * element);

		if (!larger) {
			words_fail(w, "no memory");
			return NULL;
		}
		array = larger;
	}
	memset((char *)array + (size_t)*count * element, 0, element);
	++*count;
	return array;
}
