"""Spoil right queries at random and ask both judges: what the binder rejects the server rejects.

`make test-judgement`, with ROUNDS= and SEED=. Prints every text the local server accepts although
Microsoft's binder rejects it, and every text that makes the server fail; exits 1 if there is any.
The other way round the server may be stricter: the binder does not look into literals, at `==` of
two types, or at the arguments of a user's function. Those are counted by the server's code.
"""

from __future__ import annotations

import collections
import random
import re
import sys
from collections.abc import Iterator

import kql_lint

from .database import SCHEMA, running_server
from .right_queries import RIGHT

TOKEN = re.compile(
    r"""h?@?'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | [A-Za-z_$]\w*(?:-[a-z]+)* | \d+\.\d+ | \d+\w*
    | [=!<>]= | [=!]~ | \.\. | \s+ | .""",
    re.VERBOSE | re.DOTALL,
)
MORE_WORDS = "data at n id ok span g i m score and or not has contains in between strlen bin"
MORE_SIGNS = "== != <= >= =~ !~ < > + - * / %"
# As many texts as one process of the binder judges well within its time.
AT_ONCE = 1000


def kind(token: str) -> str:
    """What a token may be replaced by: another one of its kind."""
    if token[0] in "'\"":
        return "text"
    if token[0].isdigit():
        return "number"
    return "word" if re.match(r"[A-Za-z_$]", token) else "sign"


def tokens_by_kind() -> dict[str, list[str]]:
    found: dict[str, set[str]] = collections.defaultdict(set)
    found["word"].update(MORE_WORDS.split())
    found["sign"].update(MORE_SIGNS.split())
    for right in RIGHT:
        for token in TOKEN.findall(right.text):
            if not token.isspace():
                found[kind(token)].add(token)
    return {name: sorted(tokens) for name, tokens in found.items()}


def spoilt(rng: random.Random) -> Iterator[str]:
    """Yield texts with one token left out, doubled, moved or replaced; none twice."""
    pool = tokens_by_kind()
    seen = {right.text for right in RIGHT}
    while True:
        tokens = TOKEN.findall(rng.choice(RIGHT).text)
        places = [place for place, token in enumerate(tokens) if not token.isspace()]
        place = rng.choice(places)
        token = tokens[place]
        match rng.choices(["leave out", "double", "swap", "replace", "misplace"], [1, 1, 1, 8, 1]):
            case ["leave out"]:
                tokens[place] = ""
            case ["double"]:
                tokens[place] = f"{token} {token}"
            case ["swap"]:
                other = rng.choice(places)
                tokens[place], tokens[other] = tokens[other], token
            case ["replace"]:
                tokens[place] = rng.choice(pool[kind(token)])
            case _:
                tokens[place] = rng.choice(pool[rng.choice(["text", "number", "word"])])
        text = "".join(tokens)
        if text not in seen:
            seen.add(text)
            yield text


def rejected(texts: list[str]) -> dict[int, str]:
    """What the binder first says against each text it rejects, by the text's number."""
    found: dict[int, str] = {}
    for start in range(0, len(texts), AT_ONCE):
        named = [(str(start + at), text) for at, text in enumerate(texts[start : start + AT_ONCE])]
        for diagnostic in kql_lint.lint(named, SCHEMA):
            if diagnostic.severity == "Error":
                found.setdefault(int(diagnostic.name), f"{diagnostic.code} {diagnostic.message}")
    return found


def main(rounds: int, seed: int) -> int:
    """Judge that many texts; return the exit code."""
    stream = spoilt(random.Random(seed))
    texts = [next(stream) for _ in range(rounds)]
    against = rejected(texts)
    counts: collections.Counter[str] = collections.Counter()
    stricter: collections.Counter[str] = collections.Counter()
    with running_server() as server:
        for number, text in enumerate(texts):
            status, body = server.post(text)
            verdict = against.get(number)
            if status not in (200, 400):
                counts["the server failed"] += 1
                print(f"failed with {status}: {text}\n  {body}")
            elif status == 400 and verdict is None:
                counts["rejected by the server alone"] += 1
                error = body["error"]
                stricter[error.get("innererror", error)["code"]] += 1
            elif status == 200 and verdict is not None:
                counts["rejected by the binder alone"] += 1
                print(f"accepted: {text}\n  {verdict}")
            else:
                counts["accepted by both" if status == 200 else "rejected by both"] += 1
    print(f"{rounds} texts, seed {seed}: {dict(counts)}; by the server alone: {dict(stricter)}")
    return 1 if counts["the server failed"] or counts["rejected by the binder alone"] else 0


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), int(sys.argv[2])))
