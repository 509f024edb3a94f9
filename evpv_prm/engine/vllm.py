"""vLLM in this process: one model, continuous batching, each reply handed over as it finishes."""

from __future__ import annotations

import gc
import io
import itertools
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import PIL.Image

from evpv_prm.config import Model
from evpv_prm.devices import check_fits, take
from evpv_prm.engine.base import Failure, Image, Reply, Request, Result, Usage
from evpv_prm.engine.fingerprint import engine_identity
from evpv_prm.errors import UserError
from evpv_prm.interpreter import permanent_objects

logger = logging.getLogger(__name__)

QUEUE_DEPTH = 2
"""Requests handed to vLLM ahead of time, per request in flight: enough to keep it busy, few enough
that a million requests do not sit in memory with their images."""


class VllmEngine:
    """The `vllm` backend. Loading the model takes from seconds to minutes.

    Args:
        model: what to serve, and how.
        until_exit: nothing comes after it in this process: `close` leaves what is in the process
            to its end, since taking a model apart takes longer than loading a tiny one.

    Raises:
        UserError: the model cannot be loaded, or asks for more GPUs than there are.
    """

    def __init__(self, model: Model, *, until_exit: bool = False) -> None:
        self.identity = engine_identity(model)
        self._until_exit = until_exit
        self._concurrency = model.concurrency
        take(model.gpus, os.environ)
        # Imported late: loading vLLM takes seconds, and a run whose replies are all stored
        # never needs it.
        with permanent_objects():
            import torch

            on_gpu = torch.cuda.is_available()
            _prepare_environment(model, on_gpu)
            from vllm import LLM
            from vllm.exceptions import VLLMValidationError

        self._refusal = VLLMValidationError
        if on_gpu:
            properties = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
            memory_gb = [gpu.total_memory / 1e9 for gpu in properties]
            check_fits(model, len(memory_gb), min(memory_gb))
        options = model.vllm
        try:
            self._llm = LLM(
                model=model.model,
                revision=model.revision,
                dtype=options.dtype,
                max_model_len=options.max_model_len,
                max_num_seqs=model.concurrency,
                max_num_batched_tokens=options.max_num_batched_tokens
                or (None if on_gpu else options.max_model_len),
                # A prompt computed in parts makes vLLM rewind the request's random generator,
                # which a CPU's generator cannot do.
                enable_chunked_prefill=None if on_gpu else False,
                tensor_parallel_size=options.tensor_parallel_size,
                gpu_memory_utilization=options.gpu_memory_utilization,
                enable_prefix_caching=options.enable_prefix_caching,
                enforce_eager=options.enforce_eager,
                trust_remote_code=options.trust_remote_code,
                limit_mm_per_prompt={"image": options.max_images},
                mm_processor_kwargs=dict(options.mm_processor_kwargs),
                # xgrammar lets control characters into strings of bounded length, which JSON
                # forbids; and a weak model would fill its budget with white space between tokens.
                structured_outputs_config={
                    "backend": "guidance",
                    "disable_any_whitespace": True,
                },
                # Without it, chat templates written for text move all images to the front.
                interleave_mm_strings=True,
                # The CPU's default block is longer than most prompts, so that none is ever shared.
                block_size=None if on_gpu else 32,
                disable_log_stats=False,
            )
        except (OSError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()
            raise UserError(
                f"model {model.model}: cannot be loaded: {reason[0] if reason else error!r}"
            ) from error
        self._tokenizer = self._llm.get_tokenizer()

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Result]]:
        """Answer requests; see `Engine.generate`."""
        waiting = iter(enumerate(requests))
        pending: dict[str, int] = {}
        engine = self._llm.llm_engine
        try:
            while True:
                room = QUEUE_DEPTH * self._concurrency - len(pending)
                for index, request in itertools.islice(waiting, room):
                    try:
                        pending[self._enqueue(request)] = index
                    except (ValueError, self._refusal) as error:  # a prompt beyond the context
                        yield index, Failure("prompt_refused", str(error).splitlines()[0])
                if not pending:
                    return
                for output in engine.step():
                    if output.finished:
                        index = pending.pop(output.request_id)
                        yield index, _result(requests[index], output)
        finally:
            if pending:
                engine.abort_request(list(pending))

    def close(self) -> None:
        """Free the model and its memory; see `until_exit`."""
        from vllm.distributed import destroy_distributed_environment, destroy_model_parallel
        from vllm.v1.engine.core_client import InprocClient

        core = self._llm.llm_engine.engine_core
        if self._until_exit and isinstance(core, InprocClient):
            # What lies outside the process: the file by which processes would find each other.
            destroy_model_parallel()  # type: ignore[no-untyped-call]
            destroy_distributed_environment()  # type: ignore[no-untyped-call]
            return
        core.shutdown()
        del self._llm
        gc.collect()

    def prompt_tokens(self) -> tuple[int, int]:
        """Return the prompt tokens so far, and how many of them the prefix cache spared."""
        counters: dict[str, Any] = {metric.name: metric for metric in self._llm.get_metrics()}
        names = ("vllm:prompt_tokens", "vllm:prefix_cache_hits")
        total, cached = (int(counters[name].value) for name in names)
        return total, cached

    def _enqueue(self, request: Request) -> str:
        (identifier,) = self._llm.enqueue_chat(
            [_chat(request)], self._sampling_params(request), use_tqdm=False
        )
        # vLLM appends random characters to the name under which outputs and aborts know a request.
        return str(identifier).partition("-")[0]

    def _sampling_params(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        sampling = request.sampling
        constraint = None
        if request.choices is not None:
            constraint = StructuredOutputsParams(choice=list(request.choices))
        elif request.json_schema is not None:
            constraint = StructuredOutputsParams(json=dict(request.json_schema))
        scores: dict[str, Any] = {}
        if sampling.top_logprobs and request.choices is not None:
            # The unmasked, untempered probabilities of just the choices' first tokens.
            scores["logprob_token_ids"] = sorted(
                {self._tokenizer.encode(c, add_special_tokens=False)[0] for c in request.choices}
            )
        elif sampling.top_logprobs and (ids := self._deciding_ids(request)):
            # The likeliest of all tokens are costly to find where the vocabulary is large.
            scores["logprob_token_ids"] = ids
        elif sampling.top_logprobs:
            scores["logprobs"] = sampling.top_logprobs
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            max_tokens=sampling.max_tokens,
            seed=sampling.seed,
            repetition_penalty=sampling.repetition_penalty,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            structured_outputs=constraint,
            output_kind=RequestOutputKind.FINAL_ONLY,
            **scores,
        )

    def _deciding_ids(self, request: Request) -> list[int]:
        """Return the tokens that tell apart the values of the field that log-probabilities are for.

        Those are the tokens of one value's JSON that are none of another's at the same place, and
        the first token of each value alone. None where the request has no such field.
        """
        name = (request.logprobs_from or "").strip('"')
        values = (request.json_schema or {}).get("properties", {}).get(name, {}).get("enum", ())
        texts = [json.dumps({name: value}, separators=(",", ":")) for value in values]
        sequences = [self._tokenizer.encode(text, add_special_tokens=False) for text in texts]
        ids = {
            token
            for tokens in itertools.zip_longest(*sequences)
            for token in tokens
            if len(set(tokens)) > 1 and token is not None
        }
        for value in values:
            ids.add(self._tokenizer.encode(json.dumps(value), add_special_tokens=False)[0])
        return sorted(ids)


def _prepare_environment(model: Model, on_gpu: bool) -> None:
    """Set what vLLM reads from the environment, unless the user has set it."""
    defaults = {
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": f"{model.vllm.cpu_kv_cache_gib:g}",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if not on_gpu:
        # One process is enough, compiling for a CPU costs more than it saves, and ms-swift's plugin
        # takes as long to load as a tiny model.
        defaults |= {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "TORCHDYNAMO_DISABLE": "1",
            "VLLM_PLUGINS": "",
        }
    if Path(model.model).is_dir():  # nothing has to be fetched
        defaults |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _chat(request: Request) -> list[Any]:
    """Return vLLM's form of the messages, images in place."""
    images = iter(request.images)
    return [
        {
            "role": message["role"],
            "content": [
                _image_part(next(images)) if part["type"] == "image" else part
                for part in message["content"]
            ],
        }
        for message in request.messages
    ]


def _image_part(image: Image) -> dict[str, Any]:
    # The digest as identifier spares vLLM the hashing of the pixels for each of an image's prompts.
    return {"type": "image_pil", "image_pil": _decode(image), "uuid": image.digest}


@lru_cache(maxsize=64)
def _decode(image: Image) -> PIL.Image.Image:
    picture: PIL.Image.Image = PIL.Image.open(io.BytesIO(image.content))
    if picture.has_transparency_data:
        # Black lines on a transparent ground would vanish on the black that RGB falls back to.
        picture = picture.convert("RGBA")
        ground = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(ground, picture)
    return picture.convert("RGB")


def _result(request: Request, output: Any) -> Result:
    completion = output.outputs[0]
    usage = Usage(
        prompt=len(output.prompt_token_ids or ()),
        cached=output.num_cached_tokens or 0,
        completion=len(completion.token_ids),
    )
    if completion.finish_reason == "length":
        return Failure("truncated", f"after {usage.completion} tokens", completion.text)
    logprobs = None
    if request.sampling.top_logprobs and completion.logprobs:
        # The token that was taken stands first. Of several tokens with one text, it or the
        # likeliest counts.
        logprobs = [_by_text(position.values()) for position in completion.logprobs]
    return Reply(completion.text, logprobs, usage)


def _by_text(entries: Iterable[Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for entry in entries:
        found.setdefault(entry.decoded_token, entry.logprob)
    return found
