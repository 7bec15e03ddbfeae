"""A small service beside batch work, for `transcript.py` to be profiled: eight threads that answer
something every few milliseconds, and six that never rest. Prints a line when it runs."""

import hashlib
import threading
import time
from pathlib import Path

SMALL, LARGE = bytes(300_000), bytes(4_000_000)


def name(text: str) -> None:
    Path("/proc/thread-self/comm").write_text(text)


def answer() -> None:
    name("service")
    while True:
        time.sleep(0.004)
        hashlib.sha256(SMALL).digest()


def grind() -> None:
    name("batch")
    while True:
        hashlib.sha256(LARGE).digest()


for work in [answer] * 8 + [grind] * 6:
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
print("running", flush=True)
time.sleep(3600)
