"""The loader's command line: `python3 -I -m schedc.load serve | collect`.

`serve` is the service. It checks the machine, makes itself hard to kill and hard to starve, gives
up every right that loading doesn't need, and serves. `collect` reads the kernel for a profile. When
it can't start it ends with status 2, and its last line on stderr is the error as JSON.
"""

from __future__ import annotations

import json
import os
import sys

from schedc.load.errors import LoadError

USAGE = "usage: python3 -I -m schedc.load serve [--bpf-stats] [--bpftool] | collect"


def main(arguments: list[str]) -> int:
    """Exit status: 0 after an orderly end, 2 if it could not start."""
    if arguments == ["collect"]:
        from schedc.load.collect import main as collect

        return collect()
    options = set(arguments[1:])
    if arguments[:1] != ["serve"] or options - {"--bpf-stats", "--bpftool"}:
        sys.stderr.write(USAGE + "\n")
        return 2
    try:
        serve(bpf_stats="--bpf-stats" in options, bpftool="--bpftool" in options)
    except LoadError as failure:
        sys.stderr.write(f"schedc-load: {failure}\n{json.dumps(failure.as_json())}\n")
        return 2
    return 0


def serve(*, bpf_stats: bool, bpftool: bool) -> None:
    """The service's life."""
    from schedc.load import backend, kernel, privileges
    from schedc.load.places import places
    from schedc.load.serve import Server, say
    from schedc.load.state import State

    where = places()
    os.environ.clear()
    os.chdir("/")
    kernel.check_kernel()
    kernel.check_rights()
    chosen = backend.choose(where, bpftool=bpftool)
    for failed in privileges.stay_alive():
        say(failed)
    counting = chosen.count_runs() if bpf_stats else -1
    messages = kernel.open_messages()
    server = Server(where, State(where), chosen.make, chosen.about, messages)
    privileges.lower_to(privileges.NEEDED, effective=frozenset())
    say(f"ready ({chosen.about['backend']})")
    try:
        server.run()
    finally:
        if counting >= 0:
            os.close(counting)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
