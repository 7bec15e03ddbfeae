"""In the guest: commands of schedc one after the other, as `steps.py` beside this says.

Each is a fork of one Python that has imported everything, since starting Python takes seconds in
emulation; what a command does and prints is what `schedc` does and prints. Results go to `out/`.
"""

import importlib
import os
import pkgutil
import re
import signal
import subprocess
import time
from pathlib import Path

import schedc.cli.frame
import schedc.cli.root
import schedc.deploy
import schedc.load

STATE = Path("/sys/kernel/sched_ext")
SOCKET = Path("/run/schedc/loader.sock")


def step(name: str, *arguments: str, user: bool = False, **environment: str) -> int:
    """`schedc ARGUMENTS`, as root or as `user`; its exit code."""
    print(name, "at", Path("/proc/uptime").read_text().split()[0], flush=True)
    pid = os.fork()
    if pid == 0:
        os.environ.update(environment)
        for fd, suffix in ((1, "out"), (2, "err")):
            file = os.open(f"out/{name}.{suffix}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(file, fd)
        if user:
            os.initgroups("user", 1000)
            os.setresgid(1000, 1000, 1000)
            os.setresuid(1000, 1000, 1000)
        code = 99
        try:
            code = schedc.cli.run(arguments)
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    Path(f"out/{name}.code").write_text(str(code))
    return code


def now(name: str) -> None:
    """What the kernel says just now."""
    state = (STATE / "state").read_text().strip()
    ops = STATE / "root/ops"
    Path(f"out/{name}.kernel").write_text(f"{state} {ops.read_text() if ops.exists() else ''}")


def loader() -> None:
    """Start one as the service does."""
    subprocess.Popen(["/usr/bin/python3", "-I", "-m", "schedc.load", "serve"],
                     stdin=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    until(SOCKET.exists)


def stop() -> None:
    """End the loader, if one runs."""
    if SOCKET.exists():
        os.kill(int(Path("/run/schedc/loader.lock").read_text()), signal.SIGTERM)
        until(lambda: not SOCKET.exists())


def until(done) -> None:
    end = time.monotonic() + 60
    while not done():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.1)


def load_everything() -> None:
    """All that a command may import: a fork has it then."""
    names = [one.name for package in (schedc.deploy, schedc.load)
             for one in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")]  # fmt: skip
    for name in [*names, *(f"schedc.cli.{one}" for one in ("apply", "load", "plan", "status",
                                                           "top"))]:  # fmt: skip
        if not name.endswith("__main__"):
            importlib.import_module(name)


if __name__ == "__main__":
    load_everything()
    Path("out").chmod(0o777)
    stop()
    for folder in ("/run/schedc", "/var/lib/schedc"):
        subprocess.run(["/bin/rm", "-rf", folder], check=True)
    try:
        exec(Path("steps.py").read_text(), {**globals(), "re": re})
    finally:
        stop()
