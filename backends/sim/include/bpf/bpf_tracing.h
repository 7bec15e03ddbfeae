/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SIM_BPF_TRACING
#define SIM_BPF_TRACING

#include "../bpf.h"

#endif
