"""A tokenizer in Python over a sentencepiece model; copied into the model, and imported there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor
from transformers import PreTrainedTokenizer


class InternLM2Tokenizer(PreTrainedTokenizer):
    """A slow tokenizer: it has no fast twin."""

    vocab_files_names = {"vocab_file": "./tokenizer.model"}  # noqa: RUF012
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012

    def __init__(self, vocab_file: str, **kwargs: Any) -> None:
        self.vocab_file = vocab_file
        self.sp_model = SentencePieceProcessor(model_file=vocab_file)
        super().__init__(**kwargs)

    @property
    def vocab_size(self) -> int:
        """Return the number of entries without the added tokens."""
        return int(self.sp_model.get_piece_size())

    def get_vocab(self) -> dict[str, int]:
        """Return the ids of all entries."""
        pieces = {self.sp_model.id_to_piece(index): index for index in range(self.vocab_size)}
        return pieces | self.added_tokens_encoder

    def build_inputs_with_special_tokens(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """Begin with the token that all texts begin with."""
        return [self.bos_token_id, *token_ids_0, *(token_ids_1 or [])]

    def _tokenize(self, text: str, **kwargs: Any) -> list[str]:
        pieces: list[str] = self.sp_model.encode(text, out_type=str)
        return pieces

    def _convert_token_to_id(self, token: str) -> int:
        return int(self.sp_model.piece_to_id(token))

    def _convert_id_to_token(self, index: int) -> str:
        return str(self.sp_model.id_to_piece(index))

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Return the text of tokens, added ones among them."""
        text, pieces = "", []
        for token in tokens:
            if token in self.added_tokens_encoder:
                text += self.sp_model.decode(pieces) + token
                pieces = []
            else:
                pieces.append(token)
        return text + str(self.sp_model.decode(pieces))

    def save_vocabulary(
        self, save_directory: str, filename_prefix: str | None = None
    ) -> tuple[str]:
        """Copy the sentencepiece model."""
        path = Path(save_directory) / f"{filename_prefix or ''}tokenizer.model"
        shutil.copy(self.vocab_file, path)
        return (str(path),)
