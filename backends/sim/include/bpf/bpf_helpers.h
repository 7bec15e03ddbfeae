/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SIM_BPF_HELPERS
#define SIM_BPF_HELPERS

#include "../bpf.h"

#endif
