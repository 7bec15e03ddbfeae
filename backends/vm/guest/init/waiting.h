// SPDX-License-Identifier: Apache-2.0
//
// A loader that is started at boot and waits for its arguments (see ../loader/await.c): starting
// one, and reading what it reads, is half of the time that a check takes in an emulated machine.
#pragma once

#include <sys/types.h>

// Starts it; returns when it is ready, so that a machine saved after this holds a ready one.
void waiting_loader_start(void);

// Lets it rehearse what it is going to do, until it is handed a command.
void waiting_loader_rehearse(void);

// Hands it a job's command (words ended by zero bytes, in the file `path`) and returns its process;
// 0 if there is none or the command isn't the loader's. It is good for one job.
pid_t waiting_loader_take(const char *path);
