/* SPDX-License-Identifier: GPL-2.0 */
#include "user_exit_info.bpf.h"
