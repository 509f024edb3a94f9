"""The engine for any OpenAI-compatible endpoint, and for the envelope dialect, over HTTP."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from math import ceil
from queue import SimpleQueue
from threading import Event, Lock
from typing import Any

import orjson
import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    wait_exponential_jitter,
)
from urllib3.exceptions import ReadTimeoutError

from evpv_prm.config import Model
from evpv_prm.engine.base import Failure, Request, Result
from evpv_prm.engine.chat_completions import (
    UnreadableImageError,
    parse_completion,
    request_body,
)
from evpv_prm.engine.envelope import envelope_body, parse_envelope
from evpv_prm.engine.fingerprint import engine_identity
from evpv_prm.errors import UserError

logger = logging.getLogger(__name__)

LONGEST_BACKOFF_S = 60.0
CONNECT_TIMEOUT_S = 10.0
TRANSIENT = frozenset({408, 429})
"""Statuses, beside 5xx, that another attempt may mend."""
HOPELESS = frozenset({401, 402, 403, 404, 405})
"""Statuses that every other request would get as well."""


class _AttemptError(Exception):
    """An attempt that another one may mend. `retry_after` is the server's wish in seconds."""

    def __init__(self, kind: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(kind, detail)
        self.failure = Failure(kind, detail)
        self.retry_after = retry_after


class _Key(AuthBase):
    """Sends the key, if any; as `auth` it also keeps requests from taking one out of ~/.netrc."""

    def __init__(self, key: str | None, dialect: str) -> None:
        self._key = key
        self._dialect = dialect

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key and self._dialect == "envelope":
            prepared.headers["token"] = self._key
        elif self._key:
            prepared.headers["Authorization"] = f"Bearer {self._key}"
        return prepared

    def hide(self, text: str) -> str:
        """Return a text of the server without the key, should it repeat it."""
        return text.replace(self._key, "***") if self._key else text


def _read_key(variable: str | None) -> str | None:
    """Return the key from the environment.

    Raises:
        UserError: it is missing, or no header can carry it.
    """
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(f"environment variable {variable}: expected the API key, found nothing")
    if not (key.isascii() and key.isprintable()):
        raise UserError(f"environment variable {variable}: expected printable ASCII characters")
    return key


class ApiEngine:
    """Sends each request to `BASE_URL/chat/completions`, several at once.

    In the envelope dialect the address is `BASE_URL` itself.

    Connection errors, timeouts and the statuses 408, 429 and 5xx are tried again after a growing,
    jittered wait that is no shorter than the server's Retry-After. What still fails is a `Failure`
    of its request: "http_STATUS", "timeout", "connection", "invalid_reply", "truncated", "refused",
    "missing_logprobs" or "unreadable_image".
    """

    def __init__(self, model: Model, *, sleep: Callable[[float], None] | None = None) -> None:
        """Read the key and prepare the connections; nothing is sent yet.

        `sleep` waits between attempts; by default, until `generate` is abandoned.

        Raises:
            UserError: the key is missing.
        """
        self._model = model
        self._options = options = model.api
        self._is_envelope = options.dialect == "envelope"
        self._url = f"{model.base_url}{'' if self._is_envelope else '/chat/completions'}"
        self._auth = _Key(_read_key(model.api_key_env), options.dialect)
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=model.concurrency)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        # They wait for a connection, so that none idles until a reply has been handed over. Few: a
        # kill loses what is in flight, and as many more if the replies are not handed over in time.
        self._ahead = ceil(model.concurrency / 4)
        self._pool = ThreadPoolExecutor(model.concurrency, thread_name_prefix="api")
        self._abandoned = Event()
        self._lock = Lock()
        self._has_answered = False
        self._unanswered = 0
        self._retrying = Retrying(
            sleep=sleep_using_event(self._abandoned) if sleep is None else sleep,
            stop=stop_after_attempt(options.attempts),
            wait=self._wait,
            retry=retry_if_exception(self._is_mendable),
            reraise=True,
        )
        self._backoff = wait_exponential_jitter(
            multiplier=options.backoff_s, jitter=options.backoff_s, max=LONGEST_BACKOFF_S
        )

    @property
    def identity(self) -> Mapping[str, Any]:
        """Address, model and declared options; not how fast or patiently it is asked."""
        return engine_identity(self._model)

    def generate(self, requests: Sequence[Request]) -> Iterator[tuple[int, Result]]:
        """Yield (index, result) as each finishes; images are loaded as their request is sent.

        Raises:
            UserError: the key, address or model is refused, or nobody answers at the address. What
                is in flight then is handed over first, as it may have been paid for.
            KeyboardInterrupt: likewise; a second one ends the run without what is in flight.
        """
        self._abandoned.clear()
        waiting = iter(enumerate(requests))
        running: dict[Future[Result], int] = {}
        finished: SimpleQueue[Future[Result]] = SimpleQueue()

        def finish(future: Future[Result]) -> None:
            finished.put(future)
            if not future.cancelled() and future.exception():
                self._abandoned.set()  # at once: this thread is about to take the next request

        try:
            while True:
                room = self._model.concurrency + self._ahead - len(running)
                for index, request in islice(waiting, room):
                    future = self._pool.submit(self._answer, request)
                    running[future] = index
                    future.add_done_callback(finish)
                if not running:
                    return
                try:
                    future = finished.get()
                    result = future.result()
                except (UserError, KeyboardInterrupt) as error:
                    stopped = error
                    break
                yield running.pop(future), result
            running = self._abandon(running)
            if isinstance(stopped, KeyboardInterrupt):
                logger.info("stopping: %d requests are in flight", len(running))
            for future in as_completed(running):
                # Any other is the error that ends the run, or a request that was not sent.
                if future.exception() is None:
                    yield running[future], future.result()
            raise stopped
        finally:
            wait(self._abandon(running))

    def _abandon(self, running: dict[Future[Result], int]) -> dict[Future[Result], int]:
        """End the waits between attempts, cancel what is not sent yet, and return the rest."""
        self._abandoned.set()
        return {future: index for future, index in running.items() if not future.cancel()}

    def close(self) -> None:
        """Wait for the calls in flight, send no more, and close the connections."""
        self._abandoned.set()
        self._pool.shutdown(cancel_futures=True)
        self._session.close()

    def _answer(self, request: Request) -> Result:
        options = self._options
        try:
            body = self._body(request)
        except UnreadableImageError as error:
            return Failure("unreadable_image", str(error))
        try:
            response = self._retrying(self._post, orjson.dumps(body), request.stage)
        except _AttemptError as error:
            if error.failure.kind == "connection":
                self._count_unanswered(error.failure.detail)
            return error.failure
        if response.status_code == 200 and self._is_envelope:
            return parse_envelope(response.content)
        if response.status_code == 200:
            return parse_completion(response.content, request, logprobs=options.logprobs)
        return Failure(f"http_{response.status_code}", self._message(response))

    def _body(self, request: Request) -> dict[str, Any]:
        model, options = self._model.model, self._options
        if self._is_envelope:
            return envelope_body(request, model=model, extra_body=options.extra_body)
        return request_body(
            request,
            model=model,
            structured_outputs=options.structured_outputs,
            logprobs=options.logprobs,
            extra_body=options.extra_body,
        )

    def _post(self, body: bytes, stage: str) -> requests.Response:
        """Make one attempt and return an answer that is final for this request.

        Raises:
            _AttemptError: there was no answer, or one that invites another attempt.
            UserError: the answer concerns every request, or the run has been abandoned.
        """
        if self._abandoned.is_set():
            raise UserError(f"{self._url}: abandoned")
        timeout_s = self._options.timeout_s
        try:
            response = self._session.post(
                self._url,
                data=body,
                headers={"Content-Type": "application/json", "X-EVPV-Stage": stage},
                auth=self._auth,
                timeout=(min(timeout_s, CONNECT_TIMEOUT_S), timeout_s),
                allow_redirects=False,
            )
        except requests.RequestException as error:
            kind = "timeout" if _is_read_timeout(error) else "connection"
            raise _AttemptError(kind, _root_cause(error)) from error
        with self._lock:
            self._has_answered = True
            self._unanswered = 0
        status = response.status_code
        if status in TRANSIENT or status >= 500:
            retry_after = _seconds(response.headers.get("Retry-After"))
            raise _AttemptError(f"http_{status}", self._message(response), retry_after)
        if status in HOPELESS or 300 <= status < 400:
            raise UserError(f"{self._url}: HTTP {status}{self._explanation(response)}")
        return response

    def _explanation(self, response: requests.Response) -> str:
        status, model = response.status_code, self._model
        if status == 401:  # servers repeat parts of the key here
            source = f" from {model.api_key_env}" if model.api_key_env else " (none is sent)"
            return f": the API key{source} is refused"
        if 300 <= status < 400:
            return f": redirects to {response.headers.get('Location')}; expected the final base_url"
        return f" for model {model.model}: {self._message(response)}"

    def _message(self, response: requests.Response) -> str:
        """Return the beginning of an error's text on one line, without the key."""
        return self._auth.hide(" ".join(response.text.split()))[:300]

    def _count_unanswered(self, detail: str) -> None:
        """Give up an address at which nobody answers, instead of failing request by request.

        Raises:
            UserError: nobody has ever answered, or nobody any more: as many requests as two full
                rounds in a row got no connection.
        """
        with self._lock:
            self._unanswered += 1
            limit = 2 * self._model.concurrency if self._has_answered else 1
            if self._unanswered >= limit:
                raise UserError(f"{self._model.base_url}: nobody answers: {detail}")

    def _is_mendable(self, error: BaseException) -> bool:
        return (
            isinstance(error, _AttemptError) and (error.retry_after or 0) <= self._options.timeout_s
        )

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, _AttemptError) else None
        return max(self._backoff(state), asked or 0)


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _is_read_timeout(error: requests.RequestException) -> bool:
    """Tell silence from a lost connection; within a body requests calls both ConnectionError."""
    return isinstance(error, requests.ReadTimeout) or any(
        isinstance(cause, ReadTimeoutError) for cause in error.args
    )


def _root_cause(error: BaseException) -> str:
    """Return what the operating system or HTTP layer said, without addresses of objects."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
