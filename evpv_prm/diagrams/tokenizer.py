"""The tiny models' tokenizer: byte-level BPE like Qwen's, trained on the demo's own prompts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

from evpv_prm import prompts
from evpv_prm.diagrams.questions import Problem
from evpv_prm.diagrams.world import TRAIN, make_world

END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"
CONTEXT_LENGTH = 32_768
VOCABULARY_SIZE = 768
TRAINING_QUESTIONS_PER_DATASOURCE = 40

# Qwen's: words, single digits, punctuation and white space never share a token.
_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# The byte 0 in the byte-level alphabet. No text produces a token that begins with it, and no JSON
# string may hold it: a constrained reply of a random model is made of trained tokens alone.
_FILLER_PREFIX = "Ā"


def build_tokenizer(
    special_tokens: Sequence[str], chat_template: str, first_special_id: int | None = None
) -> Qwen2Tokenizer:
    """Train a tokenizer whose special tokens follow the trained ones, or start at a given id.

    The vocabulary is filled up to `first_special_id` with tokens that no text contains.
    """
    trained = _train()
    # `models.BPE` has no way to add entries: they are written into its description.
    description = json.loads(trained.to_str())
    vocabulary = description["model"]["vocab"]
    for number in range(len(vocabulary), first_special_id or 0):
        vocabulary[f"{_FILLER_PREFIX}{number}"] = number
    tokenizer = Tokenizer.from_str(json.dumps(description))
    tokenizer.add_special_tokens(list(special_tokens))
    return Qwen2Tokenizer(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        additional_special_tokens=[token for token in special_tokens if token != END_OF_TEXT],
        model_max_length=CONTEXT_LENGTH,
        chat_template=chat_template,
    )


def _train() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_training_texts(), trainer)
    return tokenizer


def _training_texts() -> Iterator[str]:
    """Yield the prompts of all stages and right replies, for questions that the demo never asks."""
    for exercise in make_world(TRAINING_QUESTIONS_PER_DATASOURCE, -1, TRAIN, difficulty=1.0):
        problem = exercise.problem
        solution = problem.solution
        yield json.dumps(solution, separators=(",", ":"), ensure_ascii=False)
        for messages in _prompts(problem):
            for message in messages:
                yield from (part["text"] for part in message["content"] if "text" in part)


def _prompts(problem: Problem) -> Iterator[Sequence[Any]]:
    facts = [fact.statement for diagram in problem.diagrams for fact in diagram.facts]
    description, checklist = " ".join(facts), "\n".join(f"- {fact}" for fact in facts)
    steps = [step.text for step in problem.steps]
    images = len(problem.diagrams)
    # The bounds of the replies do not reach the text.
    yield prompts.policy(problem.question, images, max_steps=1, max_step_characters=1).messages
    yield prompts.describe(problem.question, images, max_characters=1).messages
    yield prompts.audit(description, checklist, images, max_errors=1, max_characters=1).messages
    yield prompts.judge(problem.question, description, steps, images, first=1).messages
