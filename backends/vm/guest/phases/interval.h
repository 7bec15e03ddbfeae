/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WL_INTERVAL_H
#define WL_INTERVAL_H

/* The window has begun: the first interval does too. */
void interval_begin(void);
/* Print the interval that ends now; the next one begins. */
void interval_end(void);

#endif
