// SPDX-License-Identifier: Apache-2.0

#define _GNU_SOURCE
#include "tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 512

// A name longer than this is stored in the field `prefix` too.
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
	char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8];
	char prefix[155], pad[12];
};

static bool write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, data, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		data += done;
		size -= done;
	}
	return true;
}

static void make_folders(char *path)
{
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		mkdir(path, 0755);
		*p = '/';
	}
}

bool tar_unpack(const char *data, size_t size, const char *folder)
{
	size_t at = 0;

	while (at + BLOCK <= size && data[at]) {
		const struct header *h = (const struct header *)(data + at);
		size_t length = strtoul(h->size, NULL, 8);
		char path[PATH_MAX];
		bool good;
		int fd;

		at += BLOCK;
		if (length > size - at)
			return false;
		snprintf(path, sizeof(path), "%s/%.155s%s%.100s", folder, h->prefix, *h->prefix ? "/" : "",
			 h->name);
		make_folders(path);
		if (h->type == '0' || h->type == 0) {
			fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
			good = fd >= 0 && write_all(fd, data + at, length);
			if (fd >= 0)
				close(fd);
			if (!good)
				return false;
		}
		at += (length + BLOCK - 1) / BLOCK * BLOCK;
	}
	return true;
}

static bool put_header(int fd, const char *name, const struct stat *info, char type, off_t size)
{
	struct header h = { 0 };
	const unsigned char *bytes = (const unsigned char *)&h;
	size_t length = strlen(name), cut = 0;
	unsigned int sum = 0;

	// Too long for one field: the first part goes into the other, cut at a slash.
	while (length - cut > sizeof(h.name)) {
		const char *slash = strchr(name + cut + 1, '/');

		if (!slash || (size_t)(slash - name) > sizeof(h.prefix))
			return true; // no way to name it: left out
		cut = slash - name;
	}
	memcpy(h.prefix, name, cut);
	memcpy(h.name, name + cut + !!cut, length - cut - !!cut);
	snprintf(h.mode, sizeof(h.mode), "%07o", (unsigned int)(info->st_mode & 0777));
	snprintf(h.uid, sizeof(h.uid), "%07o", 0);
	snprintf(h.gid, sizeof(h.gid), "%07o", 0);
	snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)size);
	snprintf(h.mtime, sizeof(h.mtime), "%011o", 0);
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	h.type = type;
	memset(h.checksum, ' ', sizeof(h.checksum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += bytes[i];
	snprintf(h.checksum, sizeof(h.checksum), "%06o", sum);
	return write_all(fd, (const char *)&h, sizeof(h));
}

static bool add_file(int fd, int in, const char *name, const struct stat *info)
{
	static const char zeros[BLOCK];
	char buffer[65536];
	off_t left = info->st_size;

	if (!put_header(fd, name, info, '0', info->st_size))
		return false;
	while (left > 0) {
		size_t want = left < (off_t)sizeof(buffer) ? (size_t)left : sizeof(buffer);
		ssize_t got = read(in, buffer, want);

		// A file that shrank meanwhile: its size is promised, so fill up.
		if (got <= 0) {
			memset(buffer, 0, want);
			got = want;
		}
		if (!write_all(fd, buffer, got))
			return false;
		left -= got;
	}
	return write_all(fd, zeros, (BLOCK - info->st_size % BLOCK) % BLOCK);
}

static bool add_folder(int fd, const char *path, const char *name)
{
	struct dirent **entries;
	bool good = true;
	int count = scandir(path, &entries, NULL, alphasort); // sorted: the same every time

	for (int i = 0; i < count; i++) {
		const char *entry = entries[i]->d_name;
		char inner[PATH_MAX], inner_name[PATH_MAX];

		if (strcmp(entry, ".") && strcmp(entry, "..") &&
		    snprintf(inner, sizeof(inner), "%s/%s", path, entry) < PATH_MAX &&
		    snprintf(inner_name, sizeof(inner_name), "%s/%s", name, entry) < PATH_MAX)
			good = good && tar_add(fd, inner, inner_name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return good;
}

bool tar_add(int fd, const char *path, const char *name)
{
	struct stat info;
	bool good = true;
	int in;

	if (lstat(path, &info))
		return true;
	if (S_ISDIR(info.st_mode))
		return put_header(fd, name, &info, '5', 0) && add_folder(fd, path, name);
	if (!S_ISREG(info.st_mode))
		return true;
	in = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (in >= 0) {
		good = add_file(fd, in, name, &info);
		close(in);
	}
	return good;
}

bool tar_end(int fd)
{
	static const char zeros[2 * BLOCK];

	return write_all(fd, zeros, sizeof(zeros));
}
