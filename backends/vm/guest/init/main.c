// SPDX-License-Identifier: Apache-2.0
//
// The guest's first process: sets the machine up, then runs jobs that arrive on a virtio port.
//
// Protocol (org.schedc.job, one port, both ways):
//   guest: "READY\n"
//   host:  "REHEARSE\n", if it will be a while until there is a job
//   host:  "JOB <bytes> <timeout ms>\n" and that many bytes of tar, unpacked into /job
//   guest: "DONE <status> <timed out> <ns> <sched_ext state> <bytes>\n" and that many bytes of tar,
//          with out/ and console (what the job printed)
// The job is /job/run.sh; or, where there is none, the command in /job/command, each word of it
// ended by a zero byte: that way no shell has to be started.
// and so on, until the host closes the port: then the machine powers off.
//
// A job that was put into the initramfs (/job is there at boot) is run once, unasked; that
// way no byte comes from outside, and under an instruction clock every run is the same.

#define _GNU_SOURCE
#include "tar.h"
#include "waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT "/dev/vport0p1"
#define RESULT "/run/result.tar"

static int port = -1;

static void note(const char *what)
{
	fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
}

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

static void mount_all(void)
{
	static const struct { const char *type, *where, *options; } table[] = {
		{ "proc", "/proc", "" },
		{ "sysfs", "/sys", "" },
		{ "devtmpfs", "/dev", "" },
		{ "cgroup2", "/sys/fs/cgroup", "" },
		{ "bpf", "/sys/fs/bpf", "" },
		{ "tracefs", "/sys/kernel/tracing", "" },
		{ "tmpfs", "/dev/shm", "mode=1777" },
		{ "tmpfs", "/tmp", "mode=1777" },
		{ "tmpfs", "/run", "mode=0755" },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		mkdir(table[i].where, 0755);
		if (mount(table[i].type, table[i].where, table[i].type, 0, table[i].options))
			note(table[i].where);
	}
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		note(path);
	if (fd >= 0)
		close(fd);
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		note("lo");
	if (fd >= 0)
		close(fd);
}

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// The port appears while drivers are still being probed.
static void open_port(void)
{
	for (int tries = 0; tries < 500; tries++) {
		port = open(PORT, O_RDWR | O_CLOEXEC);
		if (port >= 0)
			return;
		usleep(10 * 1000);
	}
	note(PORT);
	power_off();
}

static void send_all(const char *data, size_t size)
{
	while (size > 0) {
		ssize_t done = write(port, data, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			power_off();
		data += done;
		size -= done;
	}
}

// Reads exactly `size` bytes. While the host isn't connected a read gives 0: after a second of that
// it is gone for good.
static void receive_all(char *data, size_t size)
{
	int closed = 0;

	while (size > 0) {
		ssize_t done = read(port, data, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 || (done == 0 && ++closed > 100))
			power_off();
		if (done == 0) {
			usleep(10 * 1000);
			continue;
		}
		closed = 0;
		data += done;
		size -= done;
	}
}

// Runs a command of init's own; returns its exit status.
static int run(char *const command[])
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		execv(command[0], command);
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return 127;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void receive_line(char *line, size_t size)
{
	size_t length = 0;

	do {
		receive_all(line + length, 1);
	} while (line[length++] != '\n' && length < size - 1);
	line[length] = 0;
}

static void receive_job(long *timeout_ms)
{
	char line[64], *data;
	size_t size;

	receive_line(line, sizeof(line));
	while (!strcmp(line, "REHEARSE\n")) {
		waiting_loader_rehearse();
		receive_line(line, sizeof(line));
	}
	if (sscanf(line, "JOB %zu %ld", &size, timeout_ms) != 2)
		power_off();
	data = malloc(size ? size : 1);
	if (!data)
		power_off();
	receive_all(data, size);
	mkdir("/job", 0755);
	if (!tar_unpack(data, size, "/job"))
		note("/job");
	free(data);
}

// Replaces this process by the command in /job/command, if there is one.
static void exec_command(void)
{
	char text[4096], *words[64];
	int count = 0, fd = open("/job/command", O_RDONLY | O_CLOEXEC);
	ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (size <= 0)
		return;
	text[size] = 0;
	for (char *p = text; p < text + size && count < 63; p += strlen(p) + 1)
		words[count++] = p;
	words[count] = NULL;
	execvp(words[0], words);
	_exit(127);
}

static pid_t start_job(void)
{
	pid_t child = waiting_loader_take("/job/command");

	if (child > 0)
		return child;
	child = fork();

	if (child == 0) {
		int in = open("/dev/null", O_RDONLY);
		int out = open("/job/console", O_WRONLY | O_CREAT | O_APPEND, 0644);
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setsid();
		if (chdir("/job") || in < 0 || out < 0)
			_exit(126);
		dup2(in, 0);
		dup2(out, 1);
		dup2(out, 2);
		exec_command();
		execl("/bin/sh", "sh", "/job/run.sh", (char *)NULL);
		_exit(127);
	}
	return child;
}

// Waits for the job, or for its time to be up, or for the host to be gone. Reaps orphans meanwhile.
static int wait_for_job(pid_t job, long timeout_ms, int *timed_out)
{
	long long end = now_ns() + timeout_ms * 1000000LL;
	sigset_t child;
	int events;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	events = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	*timed_out = 0;
	for (;;) {
		struct pollfd fds[2] = { { .fd = events, .events = POLLIN }, { .fd = port } };
		struct signalfd_siginfo info;
		int status, left = (int)((end - now_ns()) / 1000000);
		pid_t pid;

		if (left <= 0) {
			*timed_out = 1;
			close(events);
			return 124;
		}
		// A virtio port reports no hang-up by itself while nobody reads: look once a second.
		poll(fds, 2, left < 1000 ? left : 1000);
		if (fds[1].revents & POLLHUP)
			power_off();
		while (read(events, &info, sizeof(info)) > 0)
			;
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid != job)
				continue;
			close(events);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
	}
}

static void kill_everything(void)
{
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

// The state of sched_ext once a scheduler whose loader is dead has had time to go.
static void scheduler_state(char *state, size_t size)
{
	for (int tries = 0; tries < 300; tries++) {
		FILE *file = fopen("/sys/kernel/sched_ext/state", "re");

		snprintf(state, size, "none");
		if (!file)
			return;
		if (fgets(state, (int)size, file))
			state[strcspn(state, "\n")] = 0;
		fclose(file);
		if (!strcmp(state, "disabled"))
			return;
		usleep(10 * 1000);
	}
}

static void send_result(int status, int timed_out, long long ns, const char *state)
{
	char header[128], buffer[65536];
	struct stat info = { 0 };
	int fd;
	ssize_t got;

	fd = open(RESULT, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || !tar_add(fd, "/job/out", "out") || !tar_add(fd, "/job/console", "console") ||
	    !tar_end(fd) || fstat(fd, &info) || lseek(fd, 0, SEEK_SET))
		note(RESULT);
	snprintf(header, sizeof(header), "DONE %d %d %lld %s %lld\n", status, timed_out, ns, state,
		 (long long)info.st_size);
	send_all(header, strlen(header));
	while (fd >= 0 && (got = read(fd, buffer, sizeof(buffer))) > 0)
		send_all(buffer, got);
	if (fd >= 0)
		close(fd);
	unlink(RESULT);
}

static void do_job(long timeout_ms)
{
	char *const clean[] = { "/bin/busybox", "sh", "-c", "rm -rf /job /tmp/* /dev/shm/*", NULL };
	long long start;
	char state[32];
	int status, timed_out;

	mkdir("/job/out", 0755);
	start = now_ns();
	status = wait_for_job(start_job(), timeout_ms, &timed_out);
	start = now_ns() - start;
	kill_everything();
	scheduler_state(state, sizeof(state));
	send_result(status, timed_out, start, state);
	run(clean);
}

// Timeout of a job in the initramfs, from the kernel command line: schedc_timeout_ms=N. (What has a
// dot in its name is kept from us: the kernel takes it for a parameter of a module.)
static long boot_timeout(void)
{
	const char *text = getenv("schedc_timeout_ms");

	return text ? atol(text) : 3600 * 1000L;
}

int main(void)
{
	sigset_t child;
	long timeout_ms;
	int console;

	mount_all();
	console = open("/dev/console", O_RDWR);
	for (int fd = 0; fd < 3 && console >= 0; fd++)
		dup2(console, fd);
	if (console > 2)
		close(console);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	setenv("HOME", "/", 1);
	setenv("LC_ALL", "C", 1);
	sethostname("guest", 5);
	loopback_up();
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
	open_port();
	if (getenv("schedc_await"))
		waiting_loader_start();
	if (access("/job", F_OK) == 0) {
		do_job(boot_timeout());
		power_off();
	}
	for (;;) {
		send_all("READY\n", 6);
		receive_job(&timeout_ms);
		do_job(timeout_ms);
	}
}
