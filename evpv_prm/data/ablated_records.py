"""Labelled solutions as the configurations of the ablation suite judged them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import model_validator

from evpv_prm.ablations import find
from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.errors import UserError
from evpv_prm.jsonl import read_shards
from evpv_prm.records import Record


class AblationMeta(Record):
    """How a record came about, beside the settings that the configuration changes.

    `seed` is that of all sampling; `imputed_steps` are the indices (from 0) of the steps whose
    verdict stands for a reply without one.
    """

    seed: int
    imputed_steps: list[int]


class AblatedRecord(JudgedRecord):
    """A labelled solution as one configuration judged it."""

    ablation_name: str
    ablation_meta: AblationMeta

    @model_validator(mode="after")
    def _name_is_known(self) -> Self:
        try:
            find(self.ablation_name)
        except UserError as error:
            raise ValueError(str(error)) from error
        return self


def read_ablated_records(paths: Iterable[Path]) -> dict[str, list[AblatedRecord]]:
    """Read files of judged solutions; return the records of each configuration, in order.

    Raises:
        InputError: the first unreadable line or field; a configuration's record that appears twice
            with the same seed; files without any record.
    """
    records: dict[str, list[AblatedRecord]] = {}
    for _, _, record in read_shards(paths, AblatedRecord, _run):
        records.setdefault(record.ablation_name, []).append(record)
    return records


def _run(record: AblatedRecord) -> tuple[str, int]:
    return record.ablation_name, record.ablation_meta.seed
