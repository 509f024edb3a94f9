"""An engine that answers from a function: the models of the fast tests."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from evpv_prm.engine.base import Request, Result
from evpv_prm.errors import UserError

Answer: TypeAlias = Callable[[Request], Result]


@dataclass
class ScriptedEngine:
    """Answers with `answer(request)`, in the requests' order or one shuffled by `order_seed`.

    It keeps the requests that it answered in `answered` and, after `dies_after` of them in all,
    raises `error` instead.
    """

    answer: Answer
    identity: Mapping[str, Any] = field(default_factory=lambda: {"engine": "scripted"})
    order_seed: int | None = None
    dies_after: int | None = None
    error: BaseException = field(default_factory=lambda: UserError("the script ends here"))
    answered: list[Request] = field(default_factory=list)
    closed: bool = False

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Result]]:
        order = list(range(len(requests)))
        if self.order_seed is not None:
            random.Random(self.order_seed).shuffle(order)
        for index in order:
            if len(self.answered) == self.dies_after:
                raise self.error
            self.answered.append(requests[index])
            yield index, self.answer(requests[index])

    def close(self) -> None:
        self.closed = True
