"""Places: from the offsets of a span to file, line and column, for every renderer alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schedc.source import Source, Span


@dataclass(frozen=True, slots=True)
class Sources:
    """The text that is compiled, and the ones that it extends by the name in `Span.file`."""

    default: Source | None = None
    others: Mapping[str, Source] = field(default_factory=dict)

    def of(self, span: Span) -> Source | None:
        return self.others.get(span.file) if span.file else self.default


@dataclass(frozen=True, slots=True)
class Place:
    """A span in lines and columns, counted from 1; the end column is one past the last."""

    source: Source
    line: int
    column: int
    end_line: int
    end_column: int

    @property
    def file(self) -> str:
        return self.source.name


def locate(span: Span | None, sources: Sources) -> Place | None:
    """Where a span is, or None if it has no place or its text isn't known here."""
    source = sources.of(span) if span is not None else None
    if span is None or source is None:
        return None
    line, column = source.position(span.start)
    end_line, end_column = source.position(max(span.start, span.end))
    return Place(source, line, column, end_line, end_column)
