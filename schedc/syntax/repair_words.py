"""Repairs of words: keywords, names and facts with a slip in them.

Input: a `Place` at a word, or at a `-` within one. Output: a `Repair` or None. Invariant: as in
`repair`, which lists these.
"""

from __future__ import annotations

from schedc.diagnostics.model import error
from schedc.source import Span
from schedc.syntax import words
from schedc.syntax.lex import INT, NAME_SHAPE, REF, SCOPES, WORD, Token
from schedc.syntax.mend import Repair, replaced, short, swap
from schedc.syntax.place import Place


def _chain(place: Place, first: int) -> tuple[str, int]:
    """`My-queue` as one name, from the token `first` on, and the index behind it."""
    tokens = place.tokens
    name, last = tokens[first].text, first + 1
    while tokens[last].text == "-" and tokens[last + 1].kind in (WORD, INT) and (
        tokens[last - 1].end == tokens[last].start
        and tokens[last].end == tokens[last + 1].start
    ):
        name += "_" + tokens[last + 1].text
        last += 2
    return name, last


def hyphen(place: Place) -> Repair | None:
    """`my-queue` where a name stands: the `-` and what follows belong to the name."""
    before = place.previous
    if place.token.text != "-" or before is None or before.terminal not in ("NAME", REF):
        return None
    if place.machine.stack[-1].value is not before:
        return None
    name, last = _chain(place, place.at - 1)
    scope, dot, bare = name.rpartition(".")
    name = scope + dot + words.snake(bare)
    if last == place.at:
        return None
    span = Span(before.start, place.tokens[last - 1].end)
    found = error("E0109", "a name can't contain `-`", span, help=f"write `{name}`",
                  fix=swap(span, name))
    new = Token(before.kind, name, span.start, span.end, before.fresh)
    return Repair(place.at - 1, last, (new,), found, pop=1)


def spelling(place: Place) -> Repair | None:
    """Upper case, a name that is too long, or one that begins with `_`."""
    token = place.token
    if token.kind != WORD or NAME_SHAPE.fullmatch(token.text):
        return None
    lower = token.text.lower()
    if "NAME" not in place.expected and "." not in token.text:
        if not place.machine.fits(Token(WORD, lower, 0, 0)):
            return None
        message = f"keywords are written in lower case, found `{short(token.text)}`"
        found = error("E0105", message, token.span,
                      help=f"write `{lower}`", fix=swap(token.span, lower))
        return replaced(place, lower, WORD, found)
    scope, dot, _ = token.text.rpartition(".")
    if dot and (scope.lower() not in SCOPES or REF not in place.expected):
        return None
    # In an expression a `-` takes a difference.
    whole, last = (token.text, place.at + 1) if dot else _chain(place, place.at)
    name = whole.rpartition(".")[2]
    meant = scope.lower() + dot + words.snake(name)
    span = Span(token.start, place.tokens[last - 1].end)
    if len(name) > 32:
        message = f"a name of {len(name)} characters; the most is 32"
        help = "choose a shorter name"
    elif name.startswith("_"):
        message, help = f"the name `{name}` begins with `_`", f"write `{meant}`"
    else:
        message = f"`{place.source.slice(span)}` is not a name: names are written in lower case"
        help = f"write `{meant}`"
    found = error("E0109", message, span, help=help, fix=swap(span, meant))
    new = Token(REF if dot else WORD, meant, span.start, span.end, token.fresh)
    return Repair(place.at, last, (new,), found)


def near_keyword(place: Place) -> Repair | None:
    """A keyword with a slip in it: `qeueu`, `enqeue`, `slcie`."""
    token = place.token
    if token.kind != WORD or len(token.text) > 40 or place.wants_value:
        return None
    keywords = {text for text in place.expected if text[0].isalpha() and text.islower()}
    if not token.fresh:
        # On the same line a statement goes on; another one hardly begins.
        keywords -= set(words.ITEM_VERBS) | set(words.BLOCK_OF) if place.verb else set()
    if place.block and token.fresh and place.complete:
        keywords |= set(words.ITEM_VERBS)
    meant = words.near(token.text, keywords)
    if meant is None:
        return None
    begins = token.fresh and (place.complete or not place.verb)
    message = f"no statement begins with `{token.text}`" if begins else (
        f"`{token.text}` does not fit here")
    found = error("E0104" if begins else "E0105", message, token.span,
                  help=f"did you mean `{meant}`?", fix=swap(token.span, meant))
    if place.block and meant in words.ITEM_VERBS:
        return None
    return replaced(place, meant, WORD, found)


def loose_scope(place: Place) -> Repair | None:
    """`task used`: the dot is missing."""
    token, name = place.token, place.following
    if REF not in place.expected or token.text not in SCOPES or token.kind != WORD:
        return None
    if token.fresh and token.text in words.ITEM_VERBS:
        return None
    if name.kind != WORD or name.fresh or not NAME_SHAPE.fullmatch(name.text):
        return None
    span = Span(token.start, name.end)
    meant = f"{token.text}.{name.text}"
    found = error("E0105", f"`{token.text}` and `{name.text}` are not joined", span,
                  help=f"write `{meant}`", fix=swap(span, meant))
    new = Token(REF, meant, token.start, name.end, token.fresh)
    return Repair(place.at, place.at + 2, (new,), found)


def unknown_fact(place: Place) -> Repair | None:
    """A bare word in an expression, with a likely meaning; `advice` speaks of the others."""
    return None if place.following.text == "(" else _unknown(place, "fact")


def unknown_function(place: Place) -> Repair | None:
    """A function with a likely meaning; its arguments may still be those of another one."""
    return _unknown(place, "function") if place.following.text == "(" else None


def _unknown(place: Place, what: str) -> Repair | None:
    token = place.token
    if not place.wants_value or token.kind != WORD or token.text in place.machine.tables.fixed:
        return None
    meant = meaning(place)
    if meant is None:
        return None
    message = f"there is no {what} `{short(token.text)}`"
    if "." in token.text:
        message = f"there is no scope `{short(token.text.partition('.')[0])}`"
    found = error("E0114", message, token.span, help=f"did you mean `{meant}`?",
                  fix=swap(token.span, meant))
    return replaced(place, meant, REF if "." in meant else WORD, found)


def meaning(place: Place) -> str | None:
    """What a word that is no fact was probably meant to be."""
    word = place.token.text
    declared = place.declared()
    if "." in word:
        scope, _, name = word.rpartition(".")
        near_scope = words.near(scope, SCOPES)
        return f"{near_scope}.{name}" if near_scope and NAME_SHAPE.fullmatch(name) else None
    if place.following.text == "(":
        meant = words.near(word, words.FUNCTIONS) or words.SYNONYMS.get(word)
        return meant if meant in words.FUNCTIONS else None
    for scope in ("tune", "let"):
        if word in declared[scope]:
            return f"{scope}.{word}"
    states = {ref.partition(".")[2]: ref for ref in sorted(declared["state"], reverse=True)}
    if word in states:
        return states[word]
    if word in declared["class"]:
        return None
    facts = {text for text in place.expected if text[0].isalpha() and text.islower()}
    facts -= set(words.FUNCTIONS) | {"not"}
    meant = words.near(word, facts) or words.SYNONYMS.get(word)
    if meant in facts:
        return meant
    dotted = {ref: f"{scope}.{ref}" for scope in ("tune", "let") for ref in declared[scope]}
    close = words.near(word, (dotted | states).keys())
    return (dotted | states)[close] if close else None


def scope_missing(place: Place) -> Repair | None:
    """`state used : time`: whose state it is has to be said."""
    token = place.token
    if place.before != "state" or token.kind != WORD or not NAME_SHAPE.fullmatch(token.text):
        return None
    meant = f"task.{token.text}"
    found = error("E0109", f"the state `{token.text}` has no scope", token.span,
                  help=f"write `{meant}`, or instead of `task` another of "
                  f"{words.either([f'`{scope}`' for scope in SCOPES[1:-2]], 99)}",
                  fix=swap(token.span, meant))
    return replaced(place, meant, REF, found)
