// SPDX-License-Identifier: Apache-2.0
/* Prints the spin rate (iterations per millisecond) that the other programs take as --spin-rate. */
#include "common.h"

int main(void)
{
	wl_name("calibrate");
	printf("{\"program\":\"calibrate\",\"spin_rate\":%llu}\n",
	       (unsigned long long)wl_calibrate());
	return 0;
}
