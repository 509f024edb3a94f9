"""Labelled solutions as the configurations of the ablation suite judged them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pydantic import model_validator

from evpv_prm.ablations import find
from evpv_prm.data.step_records import JudgedRecord
from evpv_prm.errors import InputError, UserError
from evpv_prm.jsonl import parse_record, read_rows, refuse_repeated
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
            with the same seed; a file without records.
    """
    places: defaultdict[tuple[str, int], dict[str, str]] = defaultdict(dict)
    records: dict[str, list[AblatedRecord]] = {}
    for path in paths:
        rows = list(read_rows(path))
        if not rows:
            raise InputError(path, expected="expected at least one record, found an empty file")
        for line, row in rows:
            record = parse_record(path, line, row, AblatedRecord)
            run = (record.ablation_name, record.ablation_meta.seed)
            refuse_repeated(places[run], record.pid, path, line)
            records.setdefault(record.ablation_name, []).append(record)
    return records
