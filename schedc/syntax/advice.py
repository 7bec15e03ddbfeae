"""What to say of a token that fits nowhere and has no likely meaning.

Input: a `Place`. Output: a diagnostic in the language's terms: what was expected in words, and what
to write. Invariant: exactly one for each place, whatever the text; a special case comes before the
general one, and the general one always has an answer.
"""

from __future__ import annotations

from collections.abc import Callable

from schedc.diagnostics.model import Diagnostic, error
from schedc.source import Span
from schedc.syntax import words
from schedc.syntax.lex import (
    END,
    INT,
    MODULE,
    NAME_SHAPE,
    OPERATOR,
    PERCENT,
    REF,
    SCOPES,
    STRING,
    TIME,
    VERSION,
    WORD,
)  # fmt: skip
from schedc.syntax.place import Place

_FOREIGN = {
    "if": "a statement is made conditional at its end: `task.x = E when COND`; a conditional value "
          "is `table(x | limit: value | else value)`",
    "else": "write a second statement with the opposite `when`, or "
            "`table(x | limit: value | else value)` for a value",
    "elif": "write another statement with its own `when`",
    "for": "there are no loops: a policy speaks of one task at a time",
    "while": "there are no loops: a policy speaks of one task at a time",
    "return": "nothing is returned: `enqueue CLASS to Q` says where a task goes",
    "def": "there are no functions; a named expression is `let NAME = E`",
    "fn": "there are no functions; a named expression is `let NAME = E`",
    "function": "there are no functions; a named expression is `let NAME = E`",
    "var": "a variable is declared `state task.NAME : TYPE`, a constant `let NAME = E`",
    "const": "a constant is declared `let NAME = E`, a setting `tune NAME = V in LO..HI`",
    "int": "a variable is declared `state task.NAME : TYPE`",
    "import": "another policy is taken with `extends stdlib/fair@1`",
    "include": "another policy is taken with `extends stdlib/fair@1`",
}  # fmt: skip

_SHAPES = {
    "policy": "policy NAME 1.0.0", "extends": "extends stdlib/fair@1",
    "goal": "goal latency, fairness",
    "assume": "assume runnable <= 64 per cpu` or `assume weight in 50..200",
    "promise": "promise wait <= 20s", "tune": "tune NAME = 8ms in 4ms..20ms \"why\"",
    "let": "let NAME = EXPRESSION", "cpus": 'cpus NAME = "0-3,8"',
    "queue": "queue NAME fifo per llc` or `queue NAME by vtime within -40ms..100ms",
    "state": "state task.NAME : time in 0ms..100ms = 4ms", "class": "class NAME when CONDITION",
    "cap": "cap CLASS at 30% every 100ms", "pack": "pack until 80%",
    "on": "on stop { task.NAME += charge(ran) }", "place": "place { idle prev }",
    "enqueue": "enqueue CLASS to QUEUE key E slice 4ms", "dispatch": "dispatch { take QUEUE }",
    "take": "take QUEUE at most 20% every 40ms", "share": "share A 3, B 1", "lowest": "lowest A, B",
    "steal": "steal QUEUE pick 2", "keep": "keep at most 3 when CONDITION",
    "idle": "idle core in llc` or `idle prev",
}  # fmt: skip

_CLAUSES = {
    "slice": "`enqueue`", "preempt": "`enqueue`", "key": "`enqueue`", "perf": "`enqueue`",
    "when": "`class`, `keep`, or a line of a block", "prefer": "`class`", "confine": "`class`",
    "per": "`queue`", "drift": "`queue`", "within": "`queue … by vtime`",
}

_HEADER = "`policy NAME 1.0.0`, and say in a string what it is for"

_QUANTITY = {TIME, INT, PERCENT, REF}


def describe(place: Place) -> Diagnostic:
    """What is wrong at the place."""
    for attempt in _CASES:
        found = attempt(place)
        if found is not None:
            return found
    return _expected(place)


# --- the beginning of statements ------------------------------------------------------------------


def _header(place: Place) -> Diagnostic | None:
    if place.machine.base != 0 or place.verb:
        return None
    token = place.token
    if token.kind == END:
        return error("E0117", "the source is empty", token.span, help=f"begin with {_HEADER}")
    end = token.end if token.kind == WORD else token.start + 1
    if any(later.fresh and later.text == "policy" for later in place.tokens[place.at :]):
        return error("E0117", "text before the header of the policy", Span(token.start, end),
                     label="a policy begins with `policy`",
                     help="delete it, or put `#` before each of these lines")
    return error("E0117", "the policy has no header", Span(token.start, end),
                 label="a policy begins with `policy`", help=f"begin with {_HEADER}")


def _second_header(place: Place) -> Diagnostic | None:
    if place.token.text != "policy" or not place.token.fresh or not place.complete:
        return None
    return error("E0117", "a second header", place.token.span,
                 help="one source holds one policy: move this one to a file of its own")


def _foreign(place: Place) -> Diagnostic | None:
    token = place.token
    help = _FOREIGN.get(token.text)
    if help is None or token.kind != WORD:
        return None
    return error("E0113", f"there is no `{token.text}`", token.span, help=help)


def _misplaced_line(place: Place) -> Diagnostic | None:
    """A line of a block outside of it, or an item inside of one."""
    token = place.token
    if not place.complete or not (token.fresh or token.text in words.BLOCK_OF or token.kind == REF):
        return None
    block = words.BLOCK_OF.get(token.text)
    if block and block != place.block:
        return error("E0104", f"`{token.text}` stands only in a block of `{block}`", token.span,
                     help=f"move it into `{block} {{ … }}`")
    if token.kind == REF and not place.block:
        scope, _, name = token.text.partition(".")
        if scope in ("tune", "let"):
            return error("E0104", f"no statement begins with `{token.text}`", token.span,
                         help=f"a declaration has no dot: `{scope} {name} = …`")
        return error("E0104", "an assignment outside of an event", token.span,
                     help=f"write `on stop {{ {token.text} = … }}`, with the event that "
                     "it belongs to")
    if token.text in words.ITEM_VERBS and place.block and token.fresh:
        return error("E0104", f"`{token.text}` can't stand inside of `{place.block}`", token.span,
                     help=f"close the block of `{place.block}` with `}}` first")
    return None


def _bad_beginning(place: Place) -> Diagnostic | None:
    """A new line that begins with no verb, after a complete statement."""
    token = place.token
    if not token.fresh or not place.complete or token.kind == END:
        return None
    if token.kind == STRING and not place.block:
        return error("E0104", "a string that belongs to nothing", token.span,
                     help="the description stands right behind `policy NAME 1.0.0`, "
                     "the reason of a `tune` behind its range")
    if token.kind == OPERATOR and token.text == "{":
        return error("E0105", "a `{` that belongs to nothing", token.span,
                     help="only `on`, `place` and `dispatch` have a block")
    if place.block:
        begin = [f"`{word}`" for word in words.BLOCK_VERBS[place.block]] or [
            "a state to assign to, such as `task.used`"]
        return error("E0104", f"no line of `{place.block}` begins with {_shown(place)}", token.span,
                     help=f"a line begins with {words.either(begin)}; `}}` closes the block")
    if token.text in _CLAUSES:
        return error("E0104", f"no statement begins with `{token.text}`", token.span,
                     help=f"it belongs to {_CLAUSES[token.text]}, behind the rest of that "
                     "statement")
    verbs = words.either([f"`{word}`" for word in words.ITEM_VERBS], most=99)
    return error("E0104", f"no statement begins with {_shown(place)}", token.span,
                 help=f"a statement begins with {verbs}")


# --- values ---------------------------------------------------------------------------------------


def _no_fact(place: Place) -> Diagnostic | None:
    token = place.token
    if not place.wants_value or token.kind != WORD or token.text in place.machine.tables.fixed:
        return None
    word = _short(token.text)
    before = place.tokens[max(0, place.at - 2)]
    if place.before == "-" and before.kind == REF and before.end + 1 == token.start == (
        place.tokens[place.at - 1].end
    ):
        whole = f"{before.text}_{word}"
        return error("E0109", "a name can't contain `-`", Span(before.start, token.end),
                     help=f"write `{whole}`, or put spaces around a minus")
    if "." in token.text:
        return error("E0114", f"`{word}` is no reference", token.span,
                     help=f"a reference has one dot, behind {words.either(_quoted(SCOPES), 99)}")
    if place.following.text == "(":
        return error("E0114", f"there is no function `{word}`", token.span,
                     help=f"the functions are {words.either(_quoted(words.FUNCTIONS), 99)}")
    if token.text in place.declared()["class"]:
        return error("E0114", f"there is no fact `{word}`", token.span,
                     help=f"to ask for the class, write `class is {word}` or `waker is {word}`")
    if token.text in place.declared()["queue"]:
        return error("E0114", f"there is no fact `{word}`", token.span,
                     help=f"of a queue there are `length({word})`, `clock({word})` and "
                     f"`head({word})`")
    return error("E0114", f"there is no fact `{word}`", token.span,
                 help=f"what a policy declares is written with its scope, as `tune.{_name(word)}`; "
                 f"the facts are {words.either(_quoted(_facts(place)), 99)}")


def _facts(place: Place) -> tuple[str, ...]:
    values = {text for text in place.expected if text[0].isalpha() and text.islower()}
    return tuple(sorted(values - set(words.FUNCTIONS) - {"not", "true", "false", "class", "waker"}))


def _chained(place: Place) -> Diagnostic | None:
    """`1ms < burst < 4ms`."""
    if place.token.text not in ("<", "<=", ">", ">=", "==", "!=") or "and" not in place.expected:
        return None
    stack = place.machine.stack
    if not any(entry.symbol == "compare_op" for entry in stack[place.machine.base + 1 :]):
        return None
    return error("E0105", "comparisons can't be chained", place.token.span,
                 help="join two of them: `a < x and x < b`")


def _class_scope(place: Place) -> Diagnostic | None:
    if place.before in ("class", "cgroup") and place.token.kind == WORD and "is" in place.expected:
        return error("E0105", f"expected `is` after `{place.before}`", place.token.span,
                     help=f"write `{place.before} is {_name(place.token.text)}`, or "
                     f"`{place.before}.{_name(place.token.text)}` for a state of the class")
    return None


def _condition(place: Place) -> Diagnostic | None:
    """`comm` and its kin without a string."""
    if place.before not in ("comm", "exe", "cgroup") or place.expected != {STRING}:
        return None
    examples = {"comm": '"nginx"', "exe": '"/usr/bin/nginx"', "cgroup": '"/system.slice"'}
    example = examples[place.before]
    return error("E0105", f"`{place.before}` is compared with a string, found {_shown(place)}",
                 _where(place), help=f"write `{place.before} {example}`")


# --- names and numbers ----------------------------------------------------------------------------


def _name_wanted(place: Place) -> Diagnostic | None:
    """A number, string or sign where a name has to be."""
    token = place.token
    if "NAME" not in place.expected or place.ends_too_soon or token.kind == END:
        return None
    what = words.wanted({"NAME"}, place.before, False, place.block)[0]
    if token.kind == REF:
        name = token.text.partition(".")[2]
        return error("E0109", f"expected {what} after `{place.before}`, found `{token.text}`",
                     token.span, help=f"a name has no scope here: write `{name}`")
    if token.kind == WORD:
        return error("E0109", f"`{_short(token.text)}` is not a name", token.span,
                     help="a name has lower-case letters, digits and `_`, begins with a letter, "
                     "and has at most 32 characters")
    if token.kind == INT and place.following.kind == WORD and place.following.start == token.end:
        return error("E0109", "a name begins with a letter", token.span,
                     help="put a letter before it")
    return None


def _bound(place: Place) -> Diagnostic | None:
    token = place.token
    numbers = {TIME, INT, PERCENT}
    if token.kind != REF or not numbers <= place.expected:
        return None
    if place.before == "-":
        return error("E0105", "a reference can't be negated here", token.span,
                     help="write a number, such as `-40ms`")
    return error("E0105", "a bound of a range has to be a number", token.span,
                 help="write it out, such as `0ms..40ms`: the proof covers the whole range")


def _unit_missing(place: Place) -> Diagnostic | None:
    token = place.token
    if token.kind == INT and TIME in place.expected and INT not in place.expected:
        return error("E0108", "a time without its unit", token.span,
                     help=f"write `{token.text}ms`, or `us`, `s`, `ns` as meant")
    if token.kind in (INT, PERCENT, TIME) and not place.expected & _QUANTITY and (
        VERSION in place.expected
    ):
        return error("E0108", "a version has three numbers", token.span, help="write `1.0.0`")
    kinds = {TIME: "a time", INT: "a whole number", PERCENT: "a share"}
    wanted = [kind for kind in kinds if kind in place.expected]
    if token.kind in kinds and len(wanted) == 1 and token.kind not in place.expected:
        digits = token.text.rstrip("%nsum")
        meant = {TIME: digits + "ms", INT: digits, PERCENT: digits + "%"}[wanted[0]]
        return error("E0108", f"expected {kinds[wanted[0]]}, found `{token.text}`", token.span,
                     help=f"write `{meant}`")
    return None


def _module(place: Place) -> Diagnostic | None:
    if MODULE not in place.expected:
        return None
    return error("E0105", f"expected a module after `extends`, found {_shown(place)}",
                 _where(place),
                 help="write the module and its major version: `extends stdlib/fair@1`")


# --- the general case -----------------------------------------------------------------------------


def _expected(place: Place) -> Diagnostic:
    """What could stand here, in words."""
    phrases = words.wanted(place.expected, place.before, place.complete, place.block, place.verb)
    shape = _SHAPES.get(place.verb)
    help = f"the form is `{shape}`" if shape else None
    after = f" after `{_short(place.before)}`" if place.verb and place.before else ""
    if place.ends_too_soon:
        what = "the source" if place.token.kind == END else "the line"
        return error("E0115", f"{what} ends too soon: expected {words.either(phrases)}{after}",
                     place.end_of_previous, help=help)
    return error("E0105", f"expected {words.either(phrases)}{after}, found {_shown(place)}",
                 _where(place), help=help)


def _shown(place: Place) -> str:
    token = place.token
    return "the end of the source" if token.kind == END else f"`{_short(token.text)}`"


def _where(place: Place) -> Span:
    return place.end_of_previous if place.token.kind == END else place.token.span


def _name(word: str) -> str:
    return word if NAME_SHAPE.fullmatch(word) else "NAME"


def _quoted(texts: tuple[str, ...]) -> list[str]:
    return [f"`{text}`" for text in texts]


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"


_CASES: tuple[Callable[[Place], Diagnostic | None], ...] = (
    _header, _second_header, _foreign, _misplaced_line, _bad_beginning, _no_fact, _chained,
    _class_scope, _condition, _name_wanted, _bound, _unit_missing, _module,
)  # fmt: skip
