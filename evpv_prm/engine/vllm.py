"""vLLM behind the engines' protocol: one model, continuous batching, each reply as it finishes."""

from __future__ import annotations

import gc
import itertools
import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import Any

from evpv_prm.config import Model
from evpv_prm.devices import check_fits, take
from evpv_prm.engine.base import Failure, Reply, Request, Result, Usage
from evpv_prm.engine.choice_tokens import deciding_tokens, first_tokens
from evpv_prm.engine.fingerprint import engine_identity
from evpv_prm.engine.vllm_process import (
    check_compiler,
    core_tied_to_this_process,
    one_line,
    prepare_environment,
)
from evpv_prm.engine.vllm_prompts import PromptRenderer
from evpv_prm.errors import UserError
from evpv_prm.interpreter import permanent_objects, without

logger = logging.getLogger(__name__)

QUEUE_DEPTH = 2
"""Requests handed to vLLM ahead of time, per request in flight: enough to keep it busy, few enough
that a million requests do not sit in memory with their images."""

UNUSED = ("sklearn",)
"""Modules that transformers takes for a way of decoding that is not vLLM's: with pandas and scipy
they are a seventh of what is imported."""

UNUSED_WITHOUT_GPU = ("torch._inductor.lowering",)
"""Modules that vLLM changes for its compiler, which does nothing on a CPU: a tenth."""

TEXTS = 65536
"""Tokens whose texts are remembered."""


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
            prepare_environment(model, on_gpu)
            with without(*UNUSED, *([] if on_gpu else UNUSED_WITHOUT_GPU)):
                from vllm import LLM

        if on_gpu:
            check_compiler(os.environ)
            properties = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
            memory_gb = [gpu.total_memory / 1e9 for gpu in properties]
            check_fits(model, len(memory_gb), min(memory_gb))
        with core_tied_to_this_process() as reason:
            try:
                tokenizer = load_tokenizer(model)
                self._llm = LLM(**_llm_options(model, on_gpu, has_fast_tokenizer=tokenizer.is_fast))
            except (OSError, ValueError, RuntimeError) as error:
                logger.error("loading %s", model.model, exc_info=True)
                told = reason.read_text() if reason.exists() else one_line(error)
                raise UserError(f"model {model.model}: cannot be loaded: {told}") from error
        self._prompts = PromptRenderer(self._llm, tokenizer)
        self._first_tokens = cache(lambda choices: first_tokens(tokenizer, choices))
        self._deciding_tokens = cache(lambda *field: deciding_tokens(tokenizer, *field))
        decode = partial(tokenizer.decode, clean_up_tokenization_spaces=False)
        self._text = partial(decode, skip_special_tokens=True)
        self._token_text = lru_cache(TEXTS)(lambda token: decode([token]))
        self._numbers = itertools.count()

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Result]]:
        """Answer requests; see `Engine.generate`."""
        from vllm.v1.engine.exceptions import EngineDeadError

        waiting = deque(range(len(requests)))
        pending: dict[str, int] = {}
        sent_again: set[int] = set()
        engine = self._llm.llm_engine
        try:
            while waiting or pending:
                while waiting and len(pending) < QUEUE_DEPTH * self._concurrency:
                    index = waiting.popleft()
                    sent = self._send(requests[index])
                    if isinstance(sent, Failure):
                        yield index, sent
                    else:
                        pending[sent] = index
                for output in engine.step() if pending else ():
                    if not output.finished:
                        continue
                    index = pending.pop(output.request_id)
                    result = self._result(requests[index], output)
                    # The core may have lacked a picture that counted as sent.
                    is_lost = isinstance(result, Failure) and result.kind == "engine_error"
                    if is_lost and requests[index].images and index not in sent_again:
                        sent_again.add(index)
                        waiting.appendleft(index)
                        self._prompts.forget(requests[index])
                    else:
                        yield index, result
        except EngineDeadError as error:
            pending.clear()
            raise UserError("vLLM's core has ended; its reason stands above") from error
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

    def _send(self, request: Request) -> str | Failure:
        """Hand a request to vLLM's core; return the name that its output will have."""
        from vllm.exceptions import VLLMValidationError
        from vllm.multimodal.cache import MultiModalCacheMissError

        name = str(next(self._numbers))
        for _ in range(2):
            try:
                self._llm.llm_engine.add_request(
                    name, self._prompts.render(request), self._sampling_params(request)
                )
            except MultiModalCacheMissError:  # a core in this process lacks a picture
                self._llm.llm_engine.abort_request([name])
                self._prompts.forget(request)
            except (ValueError, VLLMValidationError) as error:
                # A prompt beyond the context, for one: its pictures count as sent all the same.
                self._prompts.forget(request)
                return Failure("prompt_refused", str(error).splitlines()[0])
            else:
                return name
        return Failure("engine_error", "a picture did not reach vLLM's core")

    def _sampling_params(self, request: Request) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        sampling = request.sampling
        form: dict[str, Any] = {"max_tokens": sampling.max_tokens}
        scored: list[int] = []
        if first := self._first_tokens_of(request):
            # One of them is the whole reply: no grammar has to be made and followed.
            scored = sorted(first)
            form = {"max_tokens": 1, "allowed_token_ids": scored}
        elif request.choices is not None:
            form["structured_outputs"] = StructuredOutputsParams(choice=list(request.choices))
        elif request.json_schema is not None:
            form["structured_outputs"] = StructuredOutputsParams(json=dict(request.json_schema))
            scored = self._deciding_tokens_of(request)
        if sampling.top_logprobs and scored:
            # The likeliest of all tokens are costly to find where the vocabulary is large.
            form["logprob_token_ids"] = scored
        elif sampling.top_logprobs:
            form["logprobs"] = sampling.top_logprobs
        return SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=sampling.seed,
            repetition_penalty=sampling.repetition_penalty,
            presence_penalty=sampling.presence_penalty,
            frequency_penalty=sampling.frequency_penalty,
            output_kind=RequestOutputKind.FINAL_ONLY,
            # vLLM turns each token into text as it comes, and each that it could have been.
            detokenize=False,
            skip_clone=True,  # nobody else has them
            **form,
        )

    def _first_tokens_of(self, request: Request) -> Mapping[int, str] | None:
        """Return the tokens that say which of its choices a reply is; None: there are none such."""
        return self._first_tokens(tuple(request.choices)) if request.choices else None

    def _deciding_tokens_of(self, request: Request) -> list[int]:
        """Return the tokens that tell apart the values of the field that `logprobs_from` names."""
        name = (request.logprobs_from or "").strip('"')
        values = (request.json_schema or {}).get("properties", {}).get(name, {}).get("enum", ())
        found: list[int] = self._deciding_tokens(name, tuple(values))
        return found

    def _result(self, request: Request, output: Any) -> Result:
        completion = output.outputs[0]
        usage = Usage(
            prompt=len(output.prompt_token_ids or ()),
            cached=output.num_cached_tokens or 0,
            completion=len(completion.token_ids),
        )
        text, end = self._text(completion.token_ids), completion.finish_reason
        if end == "length" and (first := self._first_tokens_of(request)):
            text, end = first[completion.token_ids[0]], "stop"
        if end == "length":
            return Failure("truncated", f"after {usage.completion} tokens", text)
        if end != "stop":
            return Failure(f"engine_{end}", "vLLM gave the request up; see the log", text)
        logprobs = None
        if request.sampling.top_logprobs and completion.logprobs:
            logprobs = [self._by_text(position) for position in completion.logprobs]
        return Reply(text, logprobs, usage)

    def _by_text(self, position: Mapping[int, Any]) -> dict[str, float]:
        """Return the log-probabilities at one place of a reply by the tokens' texts.

        The token that was taken stands first. Of several tokens with one text, it or the likeliest
        counts.
        """
        found: dict[str, float] = {}
        for token, entry in position.items():
            found.setdefault(self._token_text(token), entry.logprob)
        return found


def load_tokenizer(model: Model) -> Any:
    """Return a model's tokenizer: one beside vLLM's, which keeps the settings of its last call."""
    from vllm.tokenizers import get_tokenizer

    return get_tokenizer(
        model.model, revision=model.revision, trust_remote_code=model.vllm.trust_remote_code
    )


def _llm_options(model: Model, on_gpu: bool, *, has_fast_tokenizer: bool) -> dict[str, Any]:
    """Return the arguments of vLLM's `LLM` for a model."""
    options = model.vllm
    return {
        "model": model.model,
        "revision": model.revision,
        "dtype": options.dtype,
        "max_model_len": options.max_model_len,
        "max_num_seqs": model.concurrency,
        "max_num_batched_tokens": options.max_num_batched_tokens
        or (None if on_gpu else options.max_model_len),
        # A prompt computed in parts makes vLLM rewind the request's random generator, which a CPU's
        # generator cannot do.
        "enable_chunked_prefill": None if on_gpu else False,
        "tensor_parallel_size": options.tensor_parallel_size,
        "gpu_memory_utilization": options.gpu_memory_utilization,
        "enable_prefix_caching": options.enable_prefix_caching,
        "enforce_eager": options.enforce_eager,
        "trust_remote_code": options.trust_remote_code,
        "limit_mm_per_prompt": {"image": options.max_images},
        "mm_processor_kwargs": dict(options.mm_processor_kwargs),
        "structured_outputs_config": {
            # xgrammar lets control characters into strings of bounded length, which JSON forbids;
            # but guidance takes no tokenizer that is written in Python, such as InternLM2's.
            "backend": "guidance" if has_fast_tokenizer else "xgrammar",
            # A weak model would fill its budget with white space between tokens.
            "disable_any_whitespace": True,
        },
        # Without it, chat templates written for text move all images to the front.
        "interleave_mm_strings": True,
        # The CPU's default block is longer than most prompts, so that none is ever shared.
        "block_size": None if on_gpu else 32,
    }
