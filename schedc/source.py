"""Source text and spans.

Input: the bytes of a file (any bytes whatever). Output: a `Source`, which is text with a line
table, and diagnostics for bytes that can't be text. Invariant: every `Span` is a half-open range
of offsets into `Source.text` (code points, not bytes), and `0 <= start <= end <= len(text)` for
the source it came from; a span past the end is clamped when it is shown, never an exception.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schedc.diagnostics.model import Diagnostic

MAX_BYTES = 64 * 1024
"""Largest source that is read, in bytes; see `docs/errors/E0103.md`."""

# Beyond this many, the same complaint about bytes only hides the first one.
_MAX_BYTE_DIAGNOSTICS = 5


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range `[start, end)` of offsets into the text of a source.

    `file` is empty for the source that is being compiled. It names another one only where a
    policy was extended and the place lies in its base.
    """

    start: int
    end: int
    file: str = ""

    def to(self, other: Span) -> Span:
        """The smallest span that covers both."""
        return Span(min(self.start, other.start), max(self.end, other.end), self.file)


@dataclass(frozen=True, slots=True)
class Source:
    """A named text. `raw` is what was read; `text` has LF line ends and no byte-order mark."""

    name: str
    text: str
    raw: bytes = b""
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Only LF ends a line, as in every other tool that counts lines: `str.splitlines` would
        # also break at U+2028 and form feeds, and the numbers would differ from the editor's.
        starts = [0]
        at = self.text.find("\n")
        while at != -1:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        object.__setattr__(self, "_starts", tuple(starts))

    @staticmethod
    def from_text(name: str, text: str) -> Source:
        """A source made of text that is known to be good, as in tests and templates."""
        return Source(name, text, text.encode("utf-8", "surrogatepass"))

    @staticmethod
    def from_bytes(name: str, data: bytes) -> tuple[Source, tuple[Diagnostic, ...]]:
        """Decode `data`; what can't be text is replaced by U+FFFD and reported, never raised."""
        from schedc.diagnostics.model import error

        if len(data) > MAX_BYTES:
            shown = data[:4096].decode("utf-8", "replace").replace("\r\n", "\n")
            source = Source(name, shown, data)
            found = error(
                "E0103",
                f"the source is larger than the limit of {MAX_BYTES} bytes",
                None,
                help="split the policy, or remove generated comments",
            )
            return source, (found,)
        text, bad = _decode(data)
        diagnostics = [
            error("E0101", "the source is not valid UTF-8", span, label=label,
                  help="save the file as UTF-8; a policy needs only ASCII")
            for span, label in bad[:_MAX_BYTE_DIAGNOSTICS]
        ]
        source = Source(name, text, data)
        diagnostics += _control_characters(text)
        return source, tuple(diagnostics)

    @property
    def line_count(self) -> int:
        """Lines of the text; a final newline doesn't begin another line."""
        last_is_empty = len(self._starts) > 1 and self._starts[-1] == len(self.text)
        return len(self._starts) - last_is_empty

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1; columns are code points."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def offset(self, line: int, column: int = 1) -> int:
        """The offset of a line and column, both counted from 1 and clamped to the text."""
        line = max(1, min(line, len(self._starts)))
        start, end = self._line_bounds(line)
        return max(start, min(start + column - 1, end))

    def line_text(self, line: int) -> str:
        """The text of a line, counted from 1, without its newline."""
        start, end = self._line_bounds(line)
        return self.text[start:end]

    def _line_bounds(self, line: int) -> tuple[int, int]:
        start = self._starts[line - 1]
        end = self._starts[line] - 1 if line < len(self._starts) else len(self.text)
        return start, end

    def slice(self, span: Span) -> str:
        """The text that a span covers."""
        return self.text[span.start : span.end]


def _decode(data: bytes) -> tuple[str, list[tuple[Span, str]]]:
    """The text of `data`, and each run of bytes that isn't UTF-8 with a label for it."""
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    data = data.replace(b"\r\n", b"\n")
    pieces: list[str] = []
    bad: list[tuple[Span, str]] = []
    at = length = 0
    while at < len(data):
        try:
            pieces.append(data[at:].decode("utf-8"))
            break
        except UnicodeDecodeError as failure:
            good = data[at : at + failure.start].decode("utf-8")
            length += len(good) + 1
            pieces += [good, "\ufffd"]
            byte = data[at + failure.start]
            bad.append((Span(length - 1, length), f"byte 0x{byte:02x} begins no character"))
            at += failure.end
            if len(bad) > _MAX_BYTE_DIAGNOSTICS:
                # Decoding restarts at each bad byte, which is quadratic: finish in one go.
                pieces.append(data[at:].decode("utf-8", "replace"))
                break
    return "".join(pieces), bad


def _control_characters(text: str) -> list[Diagnostic]:
    """One diagnostic for each of the first few characters that no policy needs."""
    from schedc.diagnostics.model import error

    found = []
    for at, char in enumerate(text):
        if (char < " " and char not in "\n\t") or char == "\x7f":
            what = "a NUL byte" if char == "\0" else f"the control character U+{ord(char):04X}"
            found.append(
                error("E0102", f"the source contains {what}", Span(at, at + 1),
                      label="not allowed anywhere, not even in a comment",
                      help="delete this character")
            )
            if len(found) == _MAX_BYTE_DIAGNOSTICS:
                break
    return found
