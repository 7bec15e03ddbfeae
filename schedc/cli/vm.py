"""`schedc vm`: kernels, and what one of them says about a policy.

Each subcommand imports what it needs when it runs: listing them must not load the machine's code.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from schedc.cli.console import Console
from schedc.cli.failure import Exit, Failure, exit_code
from schedc.cli.frame import Entry, LazyGroup
from schedc.cli.options import cc_option, format_option
from schedc.diagnostics.model import error

if TYPE_CHECKING:
    from schedc.diagnostics.model import Diagnostic
    from schedc.vm.kernels import Kernel, Listed
    from schedc.vm.store import Progress, Store

COMMANDS = {
    "kernels": Entry("schedc.cli.vm:kernels", "List kernels: cached, and on the mirror."),
    "fetch": Entry("schedc.cli.vm:fetch", "Fetch QEMU and kernels into the cache."),
    "check": Entry("schedc.cli.vm:check", "Say what a kernel thinks of a policy."),
    "run": Entry("schedc.cli.vm_run:run", "Measure a workload under a policy."),
    "workloads": Entry("schedc.cli.vm_workloads:workloads", "List the workloads of `vm run`."),
}

kernel_option = click.option(
    "--kernel", "specs", metavar="K", multiple=True, envvar="SCHEDC_KERNEL",
    help="A series (6.18, 7), a release, latest, or the path of a kernel; may be repeated.  "
    "[default: latest]",
)


@click.group(cls=LazyGroup, entries=COMMANDS)
def vm() -> None:
    """Try a policy on a real kernel, in a virtual machine.

    Nothing needs root, and nothing is installed: QEMU (where the system's is too old) and kernels
    are fetched into the cache through the machine's own apt.
    """


@click.command()
@click.option("--refresh", is_flag=True, help="Ask the mirror what it has now.")
@click.option("--all", "everything", is_flag=True,
              help="Every release, not only the newest of each series.")
@click.option("--json", "as_json", is_flag=True, help="A JSON list on stdout.")
@format_option
def kernels(refresh: bool, everything: bool, as_json: bool) -> Exit:
    """List the kernels that can be used."""
    from schedc.vm.kernels import Kernels
    from schedc.vm.store import Store

    with _machine_errors(), _progress() as progress:
        known = Kernels(Store.default())
        if refresh or not known.listed():
            known.refresh(progress)
        listed = known.listed()
    shown = listed if everything else _newest_of_series(listed)
    if as_json:
        click.echo(json.dumps([_listed_json(k) for k in shown], indent=1))
        return Exit.fine
    for kernel in shown:
        where = "cached" if kernel.cached else "on the mirror"
        click.echo(f"{_series(kernel):6} {kernel.release:34} {where}")
    return Exit.fine


@click.command()
@kernel_option
@click.option("--tools/--no-tools", default=True, show_default=True,
              help="Also what `vm run` needs: stress-ng, rt-tests, sysbench.")
@click.option("--python", is_flag=True,
              help="Also guests with Python and with systemd, which tests of the loader need.")
@click.option("--bcc", is_flag=True,
              help="Also guests with bcc, for the kernels whose headers the mirror has.")
@format_option
def fetch(specs: tuple[str, ...], tools: bool, python: bool, bcc: bool) -> Exit:
    """Fetch everything that the virtual machine needs, and the newest kernel of each series given.

    Afterwards `vm check` and `vm run` need no network. Safe to interrupt: it goes on where it
    stopped.
    """
    from schedc.vm import qemu
    from schedc.vm.image import image
    from schedc.vm.kernels import Kernels
    from schedc.vm.store import Store

    store = Store.default()
    with _machine_errors(), _progress() as progress:
        found = qemu.find(store, progress)
        got = [Kernels(store).fetch(spec, progress) for spec in specs or ("latest",)]
        image(store, "small", progress)
        if tools:
            image(store, "tools", progress)
        if python:
            image(store, "python", progress)
            image(store, "systemd", progress)
        without = [] if not bcc else [k.release for k in got if not _with_bcc(store, k, progress)]
    version = ".".join(map(str, found.version))
    click.echo(f"qemu {version} ({'system' if found.origin.startswith('/') else 'cache'})")
    for kernel in got:
        click.echo(f"kernel {kernel.release}")
    for release in without:
        click.echo(f"no bcc for {release}: the mirror has no headers of it any more")
    return Exit.fine


def _with_bcc(store: Store, kernel: Kernel, progress: Progress) -> bool:
    """Fetch what a guest with bcc needs on this kernel; False if its headers can't be had."""
    from schedc.vm.apt import Apt
    from schedc.vm.image import image
    from schedc.vm.packages import cached, headers

    wanted = headers(kernel.release)
    known = Apt(store).names("linux-headers-")
    if not cached(store, wanted) and not set(wanted.alone) <= set(known):
        return False
    image(store, "bcc", progress, kernel)
    return True


@click.command()
@click.argument("policy", metavar="POLICY", type=click.Path())
@kernel_option
@click.option("--set", "tunes", metavar="TUNE=VALUE", multiple=True,
              help="Set a tunable of the policy.")
@cc_option
@click.option("--hold", metavar="SECONDS", type=click.FloatRange(0.01, 3600.0), default=0.06,
              show_default=True, help="How long it must stay.")
@click.option("--cold", is_flag=True, help="Boot the machine rather than restore a saved one.")
@click.option("--json", "as_json", is_flag=True, help="A JSON line on stdout for each kernel.")
@format_option
def check(
    policy: str,
    specs: tuple[str, ...],
    tunes: tuple[str, ...],
    cc: str | None,
    hold: float,
    cold: bool,
    as_json: bool,
) -> Exit:
    """Load POLICY on a kernel and say whether it loads, attaches, stays and detaches.

    POLICY is a policy file, the name of one of the library's, or a compiled object. Exit code 4 if
    a kernel refuses it or throws it out.
    """
    from schedc.cli.meanwhile import loading
    from schedc.vm.check import check_in, check_machine
    from schedc.vm.kernels import Kernels
    from schedc.vm.show import diagnostics_of, verdict_json, verdict_text
    from schedc.vm.store import Store

    store = Store.default()
    # A saved machine is soon there; else, what is wrong with the policy comes first.
    soon = not cold and any((store.root / "machines").glob("*"))
    compiled = loading(policy, tunes, cc, at_once=soon)
    found: list[Diagnostic] = []
    for spec in specs or ("latest",):
        with _machine_errors(), _progress() as progress:
            kernel = Kernels(store).resolve(spec, progress)
            with check_machine(
                kernel, store=store, progress=progress, saved=not cold, meanwhile=compiled.begin
            ) as machine:
                loaded = compiled.result()
                progress(f"loading on {kernel.release}", None)
                verdict = check_in(
                    machine, loaded.policy.object, settings=loaded.policy.settings,
                    c_text=loaded.text, hold_s=hold,
                )  # fmt: skip
                faults = machine.faults
        wrong = diagnostics_of(verdict, loaded.source)
        if as_json:
            found_out = {**verdict_json(verdict), "emulator_faults": faults}
            click.echo(json.dumps({"policy": loaded.policy.name, **found_out}))
        else:
            click.echo(verdict_text(verdict, details=False))
        found += wrong
    Console.current().report([(found, loaded.source)])
    return exit_code(found)


# --- what they share


@contextmanager
def _machine_errors() -> Iterator[None]:
    """A failure of the machine ends the command with its diagnostic."""
    from schedc.vm.errors import VmError

    try:
        yield
    except VmError as e:
        raise Failure(error(e.code, e.message, None, notes=e.notes, help=e.help)) from e


@contextmanager
def _progress() -> Iterator[Progress]:
    """A progress bar on stderr if that is a terminal; else a line for each step that takes long."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console as RichConsole
    from rich.progress import (
        BarColumn,
        Progress as Bar,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    stderr = RichConsole(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Bar(*columns, console=stderr, transient=True) as bar:
        task = bar.add_task("", total=None)

        def show(what: str, fraction: float | None, /) -> None:
            bar.update(task, description=what, total=None if fraction is None else 1.0,
                       completed=fraction or 0.0)  # fmt: skip

        yield show


def _lines() -> Callable[[str, float | None], None]:
    """Progress for logs: what is fetched, once each; short steps go unsaid."""
    said: set[str] = set()

    def show(what: str, fraction: float | None, /) -> None:
        told = ("saved for next time", "waiting", "beginning again")
        slow = fraction is not None or any(words in what for words in told)
        if slow and what not in said:
            said.add(what)
            click.echo(f"schedc: {what}", err=True)

    return show


def _newest_of_series(listed: tuple[Listed, ...]) -> tuple[Listed, ...]:
    """The newest of each series (they come newest first), and whatever is cached."""
    seen: set[str] = set()
    kept = []
    for kernel in listed:
        if _series(kernel) not in seen or kernel.cached:
            kept.append(kernel)
        seen.add(_series(kernel))
    return tuple(kept)


def _series(kernel: Listed | Kernel) -> str:
    from schedc.vm.kernels import version_of

    return ".".join(map(str, version_of(kernel.release)[:2]))


def _listed_json(kernel: Listed) -> dict[str, object]:
    return {
        "release": kernel.release,
        "series": _series(kernel),
        "package": kernel.package,
        "cached": str(kernel.cached) if kernel.cached else None,
    }
