// SPDX-License-Identifier: Apache-2.0
//
// Just enough tar (ustar) for jobs: done here since starting a program costs an emulated machine
// some hundredths of a second, each time.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// Unpacks regular files below `folder`; false if the archive is damaged or a file can't be written.
bool tar_unpack(const char *data, size_t size, const char *folder);

// Appends a file, or a folder with everything in it, to the archive that is being written to `fd`,
// under the name `name`. Only regular files and folders are taken.
bool tar_add(int fd, const char *path, const char *name);

// Ends an archive.
bool tar_end(int fd);
