"""Text, lines and columns; and that no bytes whatever raise."""

from hypothesis import given, strategies as st

from schedc.source import MAX_BYTES, Source, Span


def test_position_and_offset_agree() -> None:
    source = Source.from_text("a", "ab\n\tcd\n\nx")
    assert source.position(0) == (1, 1)
    assert source.position(2) == (1, 3)
    assert source.position(3) == (2, 1)
    assert source.position(8) == (4, 1)
    assert source.line_count == 4
    assert source.line_text(2) == "\tcd"


def test_only_lf_ends_a_line() -> None:
    source, found = Source.from_bytes("a", "a\u2028b\r\nc\x0cd".encode())
    assert source.line_count == 2
    assert source.text == "a\u2028b\nc\x0cd"
    assert [one.code for one in found] == ["E0102"]


def test_byte_order_mark_is_dropped() -> None:
    source, found = Source.from_bytes("a", b"\xef\xbb\xbfpolicy x")
    assert (source.text, found) == ("policy x", ())


def test_invalid_utf8_is_located() -> None:
    source, found = Source.from_bytes("a", b"ab\n\xffc\xe2\x82")
    assert source.text == "ab\n\ufffdc\ufffd"
    assert [(one.code, source.position(one.span.start)) for one in found if one.span] == [
        ("E0101", (2, 1)),
        ("E0101", (2, 3)),
    ]
    assert "0xff" in found[0].label


def test_complaints_about_bytes_are_few() -> None:
    source, found = Source.from_bytes("a", b"\xff" * 60_000)
    assert len(found) == 5
    assert len(source.text) == 60_000


def test_too_large() -> None:
    assert Source.from_bytes("a", b"#" * MAX_BYTES)[1] == ()
    _, found = Source.from_bytes("a", b"#" * (MAX_BYTES + 1))
    assert [one.code for one in found] == ["E0103"]


@given(st.binary(max_size=300))
def test_any_bytes_make_a_source(data: bytes) -> None:
    source, found = Source.from_bytes("a", data)
    assert "\r\n" not in source.text
    for one in found:
        assert one.span is not None
        assert 0 <= one.span.start < one.span.end <= len(source.text)


@given(st.text(max_size=80), st.integers(0, 80))
def test_offset_inverts_position(text: str, at: int) -> None:
    source = Source.from_text("a", text)
    at = min(at, len(text))
    assert source.offset(*source.position(at)) == at


def test_span_to() -> None:
    assert Span(5, 7).to(Span(1, 6)) == Span(1, 7)
