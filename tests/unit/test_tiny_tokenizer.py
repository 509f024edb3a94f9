"""The tiny models' tokenizer: its file, what is one token in it, and the compact ids."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evpv_prm.diagrams import train_tokenizer
from evpv_prm.diagrams.architectures import NAMES, compact_ids, compact_tokenizer
from evpv_prm.diagrams.tokenizer import DESCRIPTION, VOCABULARY_SIZE

TOKENIZER = compact_tokenizer("policy")

KEYS = (
    "evidence", "verdict", "checks", "holds", "errors_and_hallucinations", "faulty_statement",
    "correction_or_reason", "severity", "omissions", "p_score", "image_description", "caption",
    "key_facts", "uncertain", "visual_dependencies", "reasoningprocess", "steptext",
    "visualdependency", "finalanswer", "reasoning", "final",
)  # fmt: skip


def tokens(text: str) -> list[str]:
    return [TOKENIZER.decode(token) for token in TOKENIZER.encode(text)]


def test_the_command_writes_the_vocabulary_anew(tmp_path):
    """Not byte for byte what the package holds: the prompts may have changed since."""
    file = tmp_path / "tokenizer.json"
    assert train_tokenizer.main(["--output", str(file)]) == 0
    first = file.read_bytes()
    assert train_tokenizer.main(["--output", str(file)]) == 0
    assert file.read_bytes() == first
    assert len(first) < 20_000


def test_the_vocabulary_has_the_size_that_the_weights_have():
    assert len(json.loads(DESCRIPTION.read_bytes())["model"]["vocab"]) == VOCABULARY_SIZE


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_a_reply_is_one_token(key):
    assert tokens(f'{{"{key}":"') == ['{"', key, '":"']


@pytest.mark.parametrize("label", train_tokenizer.LABELS)
def test_every_word_of_a_fact_and_every_digit_is_one_token(label):
    words = f"{label} shows 7".split()
    assert tokens(f"The {label} shows 7.") == ["The", *(f" {word}" for word in words), "."]


def test_numbers_signs_and_separators_stay_apart():
    assert tokens("7 + 14 = 21.") == ["7", " +", " 1", "4", " =", " 2", "1", "."]
    assert tokens('"verdict":-1}') == ['"', "verdict", '":', "-", "1", "}"]


@given(st.text())
def test_any_text_survives(text):
    decoded = TOKENIZER.decode(TOKENIZER.encode(text))
    assert decoded == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize("name", NAMES)
def test_compact_and_real_ids_belong_together(name):
    ids = compact_ids(name)
    assert [ids.compact_id(ids.real_id(token)) for token in range(ids.shared_row)] == list(
        range(ids.shared_row)
    )
    shared = [real for real in range(ids.real_rows) if ids.compact_id(real) == ids.shared_row]
    assert len(shared) == ids.unused
    assert ids.rows == ids.shared_row + 1
    assert ids.real_rows % 64 == 0
    for token in (-1, ids.shared_row):
        with pytest.raises(ValueError, match="compact id"):
            ids.real_id(token)


def test_special_tokens_have_the_published_ids_in_the_verifier():
    ids = compact_ids("verifier")
    vocabulary = compact_tokenizer("verifier").get_vocab()
    published = {"<|endoftext|>": 151643, "<|im_end|>": 151645, "<|image_pad|>": 151655}
    assert {token: ids.real_id(vocabulary[token]) for token in published} == published
