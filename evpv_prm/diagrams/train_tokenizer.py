"""Write the tiny models' tokenizer: run it before a pretraining, never after.

A piece of text is a word, a digit, a minus sign, other punctuation, or white space; a space belongs
to what follows it. Every piece that the demo's prompts and replies are made of becomes a token of
its own, most important first; the rest of the vocabulary is trained on the same texts, so that new
words fall into few tokens.
"""

from __future__ import annotations

import itertools
import json
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import get_args

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from evpv_prm import cli, prompts
from evpv_prm.config_judge import JudgeForm, JudgeReply
from evpv_prm.diagrams.tokenizer import DESCRIPTION, VOCABULARY_SIZE
from evpv_prm.jsonl import write_text
from evpv_prm.prompts import Prompt
from evpv_prm.prompts.verifier import JUDGE_RULES

_PIECES = (
    r" ?[\p{L}_]+| ?\p{N}| ?-| ?[^\s\p{L}\p{N}_-]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPACE = "Ġ"  # as the byte-level alphabet writes it
SUBWORDS = 128
"""Entries kept free for the parts of words that no text here has."""

CHAINS = ("ABCD", "EFGH", "KLMN", "PQRS", "WXYZ")
LABELS = (
    *(f"{colour} bar" for colour in ("red", "green", "blue", "orange", "purple")),
    *(f"segment {chain[n : n + 2]}" for chain in CHAINS for n in range(3)),
    "circle", "square", "triangle", "star", "cross",
    *(f"leg {chain[n : n + 2]}" for chain in CHAINS for n in range(2)),
    *(f"cell {letter}" for letter in "KLMNPR"),
)  # fmt: skip
QUESTIONS = (
    "What is the sum of the red bar and the blue bar?",
    "What is the difference of the circle and the star?",
    "What is the product of segment AB and segment CD?",
    "What is the sum of all values?",
    "What is twice the square?",
    "What is the area of the triangle?",
    "Which is larger?\nChoices:\n(A) the red bar\n(B) the blue bar",
    "What is the sum of the red bar in <image 1> and the circle in <image 2>?",
)
STEPS = (
    "7 + 4 = 11.", "7 - 4 = 3.", "7 * 4 = 28.", "30 / 2 = 15.", "7 > 4, so the red bar is larger.",
    "So the answer is 7.", "Let us look at the picture.",
)  # fmt: skip
CAPTIONS = (
    "A bar chart.", "A line with four points.", "Three shapes.", "A right triangle.",
    "A table with one row.", "Two pictures.", "A picture of three bars with their values.",
    "A diagram that shows segments between points.",
    "In image 1: A table. In image 2: A bar chart.",
)  # fmt: skip
OTHERS = (
    # What a conversation is made of.
    "system\nYou are a helpful assistant.", "user\n", "assistant\n", "\n",
    # Replies and prompts of the form that quotes evidence before a verdict.
    '{"evidence":"There is nothing to check.","verdict":-1}', '{"evidence":"7 + 4 = 11.",'
    '"verdict":1}', '{"checks":[{"statement":"...","evidence":"...","holds":true},{"holds":false}],'
    '"verdict":"1"}', '{"evidence": "...", "verdict": 1 or -1}', '{"verdict":"-1"}',
    "First quote the evidence: the true fact or the right result. Then give the verdict.",
    "First write what is true: what the picture shows, or what the step should say.",
    '{"reasoning":"Step 1: The red bar shows 7.\\nStep 2: 7 + 4 = 11.","final":"11"}',
    '{"caption":"A bar chart.","key_facts":["The red bar shows 7.","The blue bar shows 4."],'
    '"uncertain":[]}', '{"caption":"","key_facts":[],"uncertain":["The red bar shows 7."]}',
    '{"errors_and_hallucinations":[{"faulty_statement":"The red bar shows 7.",'
    '"correction_or_reason":"The red bar shows 4.","severity":"High"},{"faulty_statement":"A",'
    '"severity":"Low"}],"omissions":[],"p_score":0.5}', '"omissions":["The red bar shows 7."]',
    '{"errors_and_hallucinations":[],"omissions":[],"p_score":1.0}',
    '{"visual_dependencies":["The red bar shows 7.",null,"The blue bar shows 4."]}', "[null,null]",
    "The red bar does not show 7. It shows 4. The red bar shows no value.", "(empty)",
    "The red bar has the value 7. The value of the blue bar is 4, not 7. The picture shows it.",
    "correct incorrect", "yes no", "none", "one two three four five six seven eight nine",
    "left middle right", "top bottom", "smaller", "greater", "equal", "same", "first second third",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = cli.parser(__doc__, "diagrams.train_tokenizer")
    parser.add_argument("--output", type=Path, default=DESCRIPTION, metavar="FILE")
    arguments = parser.parse_args(argv)
    write_text(arguments.output, train() + "\n")
    return 0


def train() -> str:
    """Return the description of the tokenizer, in the format of the library `tokenizers`."""
    tokenizer = _untrained(models.BPE())
    pieces = list(_whole_pieces(tokenizer))
    trainer = trainers.BpeTrainer(
        vocab_size=256 + SUBWORDS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = dict.fromkeys(sorted(model["vocab"], key=model["vocab"].__getitem__))
    for piece in pieces:
        if len(vocabulary) == VOCABULARY_SIZE:
            break
        vocabulary[piece] = None
    ids = {token: number for number, token in enumerate(vocabulary)}
    merges = [tuple(pair) for pair in model["merges"]]
    # A piece that is a token needs no merges that lead to it.
    complete = _untrained(models.BPE(vocab=ids, merges=merges, ignore_merges=True))
    return json.dumps(json.loads(complete.to_str()), separators=(",", ":"), ensure_ascii=False)


def _untrained(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _whole_pieces(tokenizer: Tokenizer) -> Iterator[str]:
    """Yield the pieces that are to be tokens: digits and letters first, then by frequency."""
    counts = Counter(
        piece for text in _texts() for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)
    )
    yield from (f"{_SPACE}{character}" for character in string.digits + string.ascii_uppercase)
    pieces = sorted(counts, key=lambda piece: (-counts[piece], piece))
    yield from pieces
    # A rewording moves words to the beginning of a line, or away from it.
    words = [piece for piece in pieces if piece.removeprefix(_SPACE).isalpha()]
    yield from (w.removeprefix(_SPACE) if w.startswith(_SPACE) else _SPACE + w for w in words)


def _texts() -> Iterator[str]:
    yield from OTHERS
    yield from CAPTIONS
    yield from STEPS
    for label in LABELS:
        yield f"The {label} shows 7. Is the {label} larger than The {label}?"
    for question in QUESTIONS:
        for prompt in _prompts(question):
            for message in prompt.messages:
                yield from (part["text"] for part in message["content"] if "text" in part)
    yield from map(_solution, itertools.combinations(LABELS, 2))


def _solution(labels: Iterable[str]) -> str:
    facts = [f"The {label} shows {value}." for label, value in zip(labels, (7, 4), strict=True)]
    readings = [{"steptext": fact, "visualdependency": fact} for fact in facts]
    process = [*readings, {"steptext": "7 + 4 = 11.", "visualdependency": None}]
    return json.dumps({"reasoningprocess": process, "finalanswer": "11"}, separators=(",", ":"))


def _prompts(question: str) -> Iterator[Prompt]:
    images = 2 if "image" in question else 1
    facts = [f"The {label} shows 7." for label in LABELS[:2]]
    description, checklist = " ".join(facts), "\n".join(f"- {fact}" for fact in facts)
    if images == 2:
        description = " ".join(f"In image {n}: {fact}" for n, fact in enumerate(facts, start=1))
    # The bounds of the replies do not reach the text.
    yield prompts.policy(question, images, max_steps=1, max_step_characters=1)
    yield prompts.describe(question, images, max_characters=1)
    for short in (False, True):
        yield prompts.caption(question, images, max_characters=1, short=short)
    for checks in (None, len(facts)):
        yield prompts.audit(
            description, checklist, images, max_errors=1, max_characters=1, checks=checks
        )
    yield prompts.premises(question, [*facts, *STEPS], images, max_characters=1)
    yield prompts.solve(question, description, images, show_images=True, max_characters=1)
    for rules, form in itertools.product(JUDGE_RULES, get_args(JudgeForm)):
        reply = JudgeReply(judge_form=form)
        yield prompts.judge(question, description, STEPS, images, first=1, rules=rules, reply=reply)


if __name__ == "__main__":
    cli.run_and_exit(main)
