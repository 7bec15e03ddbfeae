/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a plan that are phases. */
#ifndef PHASES_PLAN_PHASES_H
#define PHASES_PLAN_PHASES_H

#include "plan.h"
#include "plan_words.h"

/* Reads the rest of a line that began with `verb` into a phase; false if no phase is called so. */
bool plan_read_phase(struct words *w, struct word verb, struct phase *phase);
/* Whether what a phase refers to exists, now that all of the plan is known. */
bool plan_phase_good(const struct plan *plan, const struct phase *phase);

#endif
