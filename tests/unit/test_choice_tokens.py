"""The tokens that tell a reply's values apart, with tokenizers of each kind."""

from __future__ import annotations

import pytest

from evpv_prm.engine.choice_tokens import deciding_tokens, first_tokens


class LongestFirst:
    """Takes the longest token that fits; with `space_first`, a space before the text, as
    sentencepiece does."""

    unk_token_id = 0

    def __init__(self, *pieces: str, space_first: bool = False) -> None:
        self.pieces = {piece: number for number, piece in enumerate(pieces, start=1)}
        self._space_first = space_first

    def convert_tokens_to_ids(self, piece: str) -> int:
        return self.pieces.get(piece, self.unk_token_id)

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        assert not add_special_tokens
        rest, ids = ("▁" if self._space_first else "") + text, []
        while rest:
            piece = max((p for p in self.pieces if rest.startswith(p)), key=len)
            ids.append(self.pieces[piece])
            rest = rest[len(piece) :]
        return ids


def test_a_verdict_of_two_tokens_begins_with_its_sign() -> None:
    assert first_tokens(LongestFirst("1", "-", "0"), ("1", "-1")) == {1: "1", 2: "-1"}


def test_a_verdict_that_is_one_token_can_begin_with_it_or_with_its_sign() -> None:
    assert first_tokens(LongestFirst("1", "-", "-1"), ("1", "-1")) == {1: "1", 2: "-1", 3: "-1"}


def test_a_space_that_a_tokenizer_puts_first_begins_no_choice() -> None:
    tokenizer = LongestFirst("▁", "▁1", "1", "-", space_first=True)
    assert tokenizer.encode("1", add_special_tokens=False) == [2]
    assert first_tokens(tokenizer, ("1", "-1")) == {3: "1", 4: "-1"}


@pytest.mark.parametrize(
    ("pieces", "choices"),
    [(["1", "0"], ("1", "10")), (["y", "e", "s"], ("yes", "year")), (["1"], ("1", "-1"))],
)
def test_without_a_token_that_tells_there_is_none(pieces: list[str], choices: tuple[str]) -> None:
    assert first_tokens(LongestFirst(*pieces), choices) is None


@pytest.mark.parametrize("space_first", [False, True])
def test_a_fields_values_are_told_apart_behind_its_name_and_alone(space_first: bool) -> None:
    pieces = ["▁", '{"', "verdict", '":', '":-', "1", "-", "}"]
    tokenizer = LongestFirst(*pieces, space_first=space_first)
    decided = deciding_tokens(tokenizer, "verdict", (1, -1))
    assert decided == sorted(tokenizer.pieces[piece] for piece in ['":', '":-', "1", "-"])
