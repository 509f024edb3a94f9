"""The validated model of `config.yaml`: one class a section, every field described once.

`config.yaml`, its JSON schema and `docs/configuration.md` are generated from these classes by
`python -m evpv_prm.config_docs`, and the flags of every command by `evpv_prm.options`. The
defaults are the paper's experiment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from evpv_prm.config_data import DataSet, ModelDownload
from evpv_prm.config_intervention import Intervention
from evpv_prm.config_judge import JudgeReply
from evpv_prm.config_stages import StageGains
from evpv_prm.config_step_level import AUDIT_CHECKS, StepLevel
from evpv_prm.config_teacher import TeacherData
from evpv_prm.config_training import Trainings
from evpv_prm.errors import UserError
from evpv_prm.section import Decoding, Fraction, Name, Section

Aggregation = Literal[
    "correctness_rate",
    "weighted_correctness",
    "streak_score",
    "geometric_mean",
    "first_error_position",
]
"""How step scores become one score of a candidate; `evpv_prm.reward` has the formulas."""


REQUEST_FIELDS = frozenset(
    {
        *("model", "messages", "prompt", "params", "max_tokens", "seed", "n", "stream"),
        *("temperature", "top_p"),
        *("presence_penalty", "frequency_penalty", "repetition_penalty"),
        *("logprobs", "top_logprobs", "structured_outputs", "response_format"),
    }
)
"""Fields of an API request that the other options decide, or that its reply is read by."""


class Benchmark(Section):
    """A set of questions with images."""

    questions: str = Field(description="JSONL file of the questions")
    images: str = Field(description="Folder that the records' image paths are relative to")
    datasource: str | None = Field(
        None,
        description="Take only records with this `datasource`; null: the benchmark's name; "
        '"*": all, whatever theirs',
    )
    limit: int | None = Field(None, ge=1, description="Take only the first records; null: all")


class VllmOptions(Section):
    """How vLLM loads and serves a model."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="Precision of weights and activations; auto: the checkpoint's"
    )
    max_model_len: int = Field(20480, ge=16, description="Longest prompt and reply, in tokens")
    tensor_parallel_size: int = Field(1, ge=1, description="GPUs that share one model")
    gpu_memory_utilization: float = Field(
        0.85, gt=0, le=1, description="Fraction of a GPU's memory that vLLM may take"
    )
    max_num_batched_tokens: int | None = Field(
        None, ge=16, description="Tokens computed in one engine step; null: vLLM's default"
    )
    enable_prefix_caching: bool = Field(
        True, description="Compute the common beginning of prompts once"
    )
    enforce_eager: bool = Field(
        False, description="Skip CUDA graphs: starts sooner, answers more slowly"
    )
    trust_remote_code: bool = Field(
        False, description="Run the Python code that a checkpoint brings; InternVL2.5 needs it"
    )
    max_images: int = Field(8, ge=1, description="Images in one prompt")
    mm_processor_kwargs: dict[str, Any] = Field(
        default_factory=dict,
        description="Arguments of the image processor, such as max_pixels (a JSON object)",
    )
    cpu_kv_cache_gib: float = Field(
        1.0, gt=0, description="Memory for the key-value cache when there is no GPU, in GiB"
    )


class ApiOptions(Section):
    """How a server is called: an OpenAI-compatible one, or one with an envelope of its own."""

    dialect: Literal["openai", "envelope"] = Field(
        "openai",
        description="What the server speaks. openai: chat completions; envelope: {model, prompt, "
        "params} to base_url as it stands, the key in the header `token`, the reply's text at "
        "data.message; it takes temperature, top_p and max_tokens alone and needs "
        "structured_outputs none",
    )
    timeout_s: float = Field(
        600,
        gt=0,
        description="Wait without a byte after which an attempt is given up, in seconds; also the "
        "longest Retry-After that is waited for",
    )
    attempts: int = Field(6, ge=1, description="Times that one request is sent at most")
    backoff_s: float = Field(
        1.0,
        gt=0,
        description="Wait before the second attempt, in seconds; it doubles with each, with jitter",
    )
    structured_outputs: Literal["vllm", "openai", "none"] = Field(
        "openai",
        description="How replies are constrained. vllm: a vLLM server's structured_outputs; "
        "openai: JSON schemas by response_format, choices only by the prompt; none: only by the "
        "prompt",
    )
    logprobs: bool = Field(False, description="The server gives log-probabilities")
    extra_body: dict[str, Any] = Field(
        default_factory=dict, description="Further fields of every request (a JSON object)"
    )

    @field_validator("extra_body")
    @classmethod
    def _leaves_own_fields(cls, value: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(REQUEST_FIELDS & value.keys()):
            raise ValueError(f"may not set {', '.join(taken)}")
        return value

    @model_validator(mode="after")
    def _envelope_is_plain(self) -> Self:
        if self.dialect == "envelope" and (self.structured_outputs != "none" or self.logprobs):
            raise ValueError("dialect envelope needs structured_outputs none and no logprobs")
        return self


class Model(Section):
    """A model and the engine that serves it."""

    backend: Literal["vllm", "api"] = Field("vllm", description="vllm: in this process; api: HTTP")
    model: str = Field(min_length=1, description="Checkpoint folder, hub name, or the API's name")
    revision: str | None = Field(None, description="Revision of a hub model; null: its default")
    base_url: str | None = Field(
        None, description="Address of the API up to and without /chat/completions"
    )
    api_key_env: str | None = Field(
        None, description="Environment variable with the API's key; null: none is sent"
    )
    parameters_b: float | None = Field(
        None,
        gt=0,
        description="Billions of parameters, by which jobs ask for memory and time and check that "
        "the model fits its GPUs; null: unknown, and as much is asked for as for 8",
    )
    concurrency: int = Field(
        64,
        ge=1,
        description="Requests in flight at most; a small model that writes long answers gains "
        "from more, as long as their caches fit the GPU beside it",
    )
    vllm: VllmOptions = Field(VllmOptions(), description="Options of the vllm backend")
    api: ApiOptions = Field(ApiOptions(), description="Options of the api backend")

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected http://HOST… or https://HOST…")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("expected no credentials, query or fragment")
        return value.rstrip("/")

    @property
    def gpus(self) -> int:
        """GPUs that serve the model; none behind an API."""
        return self.vllm.tensor_parallel_size if self.backend == "vllm" else 0

    @property
    def weights_gb(self) -> float | None:
        """Memory that the weights take, in GB; None where their number is not known."""
        byte_count = 4 if self.vllm.dtype == "float32" else 2
        return None if self.parameters_b is None else byte_count * self.parameters_b

    @model_validator(mode="after")
    def _address_is_there(self) -> Self:
        if self.backend == "api" and not self.base_url:
            raise ValueError("backend api needs base_url")
        return self


class Candidates(Section):
    """How the policy's candidates are sampled. Each draws its own temperature and top-p."""

    num_candidates: int = Field(8, ge=1, le=64, description="Candidates a question")
    temperature_low: float = Field(1.05, ge=0, description="Lowest temperature")
    temperature_high: float = Field(1.45, ge=0, description="Highest temperature")
    top_p_low: float = Field(0.70, gt=0, le=1, description="Smallest nucleus (top-p)")
    top_p_high: float = Field(0.90, gt=0, le=1, description="Largest nucleus (top-p)")
    repetition_penalty: float = Field(1.08, gt=0, description="Repetition penalty, 1: none")
    presence_penalty: float = Field(0.6, ge=-2, le=2, description="Presence penalty, 0: none")
    frequency_penalty: float = Field(0.3, ge=-2, le=2, description="Frequency penalty, 0: none")
    max_tokens: int = Field(4096, ge=1, description="Longest reply, in tokens")
    max_steps: int = Field(24, ge=1, description="Most steps of one candidate")
    max_step_characters: int = Field(1000, ge=1, description="Longest step, in characters")
    letters_only: bool = Field(
        False, description="Allow only a letter as answer where a question lists options"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("temperature", "top_p"):
            low, high = getattr(self, f"{name}_low"), getattr(self, f"{name}_high")
            if low > high:
                raise ValueError(f"{name}_low ({low}) must not exceed {name}_high ({high})")
        return self


class JudgeDecoding(Decoding):
    """How a judgement is sampled: a verdict is short."""

    max_tokens: int = Field(256, ge=1, description="Longest reply, in tokens")


class ImageDescription(Section):
    """How the images of a question are described."""

    describe: Decoding = Field(Decoding(), description="Description of the image")
    max_description_characters: int = Field(
        4000, ge=1, description="Longest image description, in characters"
    )


class Scoring(ImageDescription):
    """How the verifier scores candidates: describe, audit, judge, gate."""

    audit: Decoding = Field(Decoding(), description="Audit of a candidate's visual checklist")
    judge: JudgeDecoding = Field(JudgeDecoding(), description="Judgement of one step")
    history_steps: int = Field(
        12, ge=0, description="Previous steps that the judge sees, the last ones"
    )
    max_audit_errors: int = Field(16, ge=1, description="Most errors that one audit lists")
    max_audit_characters: int = Field(
        400, ge=1, description="Longest statement in an audit, in characters"
    )
    audit_checks: bool = Field(False, description=AUDIT_CHECKS)

    @property
    def describing(self) -> ImageDescription:
        """What the description alone needs."""
        return ImageDescription(
            describe=self.describe, max_description_characters=self.max_description_characters
        )


class BestOfN(Section):
    """How Best-of-N is measured."""

    bootstrap_samples: int = Field(
        2000, ge=1, description="Bootstrap resamples behind every 95 % interval"
    )
    aggregations: list[Aggregation] = Field(
        list(get_args(Aggregation)),
        min_length=1,
        description="Step aggregations that are measured",
    )


class Figures(Section):
    """How figures look."""

    width_in: float = Field(6.75, gt=0, description="Width, in inches; 6.75 fills two columns")
    aggregation: Aggregation = Field(
        "geometric_mean", description="Step aggregation of the BoN@k curves"
    )


class Diagrams(Section):
    """The synthetic world of the demo; unused where no benchmark or model asks for it."""

    questions_per_datasource: int = Field(8, ge=1, description="Questions of each kind")
    solutions: int = Field(24, ge=1, description="Labelled solutions for the step-level evaluation")
    training_questions_per_subset: int = Field(
        8, ge=3, description="Questions of each kind with solutions to train on"
    )
    difficulty: Fraction = Field(
        0.5, description="How hard the pictures can be to read: 0 all clear, 1 some hardly visible"
    )
    teacher_error_rate: Fraction | None = Field(
        None,
        description="Fraction of wrong replies of a teacher that knows the diagrams and answers "
        "every http:// address of `teacher`; null: `teacher` is what its address says",
    )
    seed: int = Field(0, ge=0, description="Seed of the pictures and of the tiny models")
    note: str = Field("", description="Caution that is printed with every table; empty: none")


def _benchmark(name: str) -> Benchmark:
    file = "mmmu" if name == "MMMU" else "benchmarks"
    return Benchmark(
        questions=f"data/benchmarks/{file}.jsonl", images="data/benchmarks/images", datasource=name
    )


def _internvl(size: str, parameters_b: float, gpus: int, concurrency: int) -> Model:
    # A question of MMMU shows up to seven pictures, and a large one takes 12 tiles and a thumbnail
    # of 256 tokens each: 23,296 tokens, beside which the longest reply (4,096) leaves 5,376 for the
    # text. 32,768 is as far as the language models go (`max_position_embeddings` of
    # internlm2_5-7b-chat, internlm2_5-20b-chat and Qwen2.5-32B-Instruct). Keys and values of one
    # such prompt take 4.3, 6.4 and 8.6 GB, over all GPUs of a model: layers (32, 48, 64) times 2
    # times 8 heads of 128 numbers of 2 bytes.
    return Model(
        model=f"data/models/InternVL2_5-{size}",
        parameters_b=parameters_b,
        concurrency=concurrency,
        vllm=VllmOptions(
            max_model_len=32768, tensor_parallel_size=gpus, trust_remote_code=True, max_images=7
        ),
    )


def _downloads() -> dict[str, ModelDownload]:
    policies = [f"OpenGVLab/InternVL2_5-{size}" for size in ("8B", "26B", "38B")]
    return {
        repository.partition("/")[2]: ModelDownload(repository=repository)
        for repository in ("Qwen/Qwen2.5-VL-7B-Instruct", *policies)
    }


class Run(Section):
    """Where a run writes, what it draws with, and what it puts up with."""

    results: str = Field("results", min_length=1, description="Folder of everything that is made")
    seed: int = Field(20260130, ge=0, description="Seed of all sampling and resampling")
    site: str | None = Field(
        None,
        description="File that says what jobs ask a cluster for, such as profiles/slurm/site.yaml; "
        "null: nothing but memory, time and GPUs",
    )
    shards: int = Field(
        2,
        ge=1,
        description="Jobs that a benchmark's questions are split into: with more, the last ends "
        "earlier where there are GPUs for all, and each loads the model again",
    )
    max_failures: Fraction = Field(
        0.05, description="Largest fraction of failed candidates with which a job succeeds"
    )
    max_missing_images: Fraction = Field(
        0.0,
        description="Largest fraction of a benchmark's images that may be missing or unreadable",
    )


class Config(JudgeReply, Run):
    """The whole experiment."""

    benchmarks: dict[Name, Benchmark] = Field(
        {
            name: _benchmark(name)
            for name in ("MMMU", "MathVista", "MathVision", "MathVerse-VO", "WeMath", "LogicVista")
        },
        min_length=1,
        description="Benchmarks by name",
    )
    policies: dict[Name, Model] = Field(
        {
            "InternVL2.5-8B": _internvl("8B", 8.1, gpus=1, concurrency=512),
            "InternVL2.5-26B": _internvl("26B", 25.5, gpus=2, concurrency=256),
            "InternVL2.5-38B": _internvl("38B", 38.4, gpus=4, concurrency=256),
        },
        min_length=1,
        description="Policy models, whose candidates are reranked, by name",
    )
    verifier: Model = Field(
        Model(
            model="results/models/verifier",
            parameters_b=8.3,
            concurrency=256,
            vllm=VllmOptions(mm_processor_kwargs={"max_pixels": 1024 * 28 * 28}),
        ),
        description="The process reward model: Qwen2.5-VL-7B after both fine-tunings, merged. "
        "RESULTS/models/verifier is the one that the trainings make",
    )
    downloads: dict[Name, ModelDownload] = Field(
        _downloads(),
        description="Where a model comes from that another section names as data/models/NAME; the "
        "shipped entries stay beside others",
    )
    data_set: DataSet = Field(DataSet(), description="The labelled solutions to train on")
    teacher: Model = Field(
        Model(
            backend="api",
            model="qwen3-vl-235b-a22b-instruct",
            base_url="http://localhost:8000/v1",
            api_key_env="EVPV_TEACHER_API_KEY",
        ),
        description="The model that labels the training data",
    )
    teacher_data: TeacherData = Field(
        TeacherData(), description="The training data, made with the teacher"
    )
    training: Trainings = Field(Trainings(), description="The trainings that make the verifier")
    candidates: Candidates = Field(Candidates(), description="Sampling of the candidates")
    scoring: Scoring = Field(Scoring(), description="Scoring by the verifier")
    best_of_n: BestOfN = Field(BestOfN(), description="Best-of-N metrics")
    step_level: StepLevel | None = Field(
        StepLevel(), description="The step-level experiments; null: none of them"
    )
    intervention: Intervention | None = Field(
        Intervention(), description="The perception intervention; null: none"
    )
    stages: StageGains | None = Field(
        None,
        description="The comparison of the models that the trainings make, on labelled solutions "
        "and, in a synthetic world, by what they see; null: none",
    )
    claims: bool = Field(
        False,
        description="Whether a run of everything ends with the table of the method's claims; "
        "`snakemake claims` makes it in any case",
    )
    figures: Figures = Field(Figures(), description="Figures")
    diagrams: Diagrams = Field(Diagrams(), description="The demo's synthetic world")

    @property
    def judge_reply(self) -> JudgeReply:
        """The form of the judge's reply, as a section of its own."""
        return JudgeReply(**{name: getattr(self, name) for name in JudgeReply.model_fields})

    @property
    def makes_verifier(self) -> bool:
        """Whether the verifier is the one that the trainings make, and not one from elsewhere."""
        return self.verifier.model == f"{self.results}/models/verifier" or self.serves_trimmed

    @property
    def serves_trimmed(self) -> bool:
        """Whether the demo's models are served without the rows of unused tokens."""
        return self.verifier.model == f"{self.results}/trimmed/verifier"

    @field_validator("downloads")
    @classmethod
    def _keeps_shipped(cls, value: dict[str, ModelDownload]) -> dict[str, ModelDownload]:
        # They cost nothing until a model of that name is wanted.
        return _downloads() | value

    @model_validator(mode="after")
    def _curves_are_measured(self) -> Self:
        if self.figures.aggregation not in self.best_of_n.aggregations:
            raise ValueError(
                f"figures.aggregation = {self.figures.aggregation!r}: "
                f"expected one of best_of_n.aggregations, {self.best_of_n.aggregations}"
            )
        return self

    @model_validator(mode="after")
    def _stages_have_models(self) -> Self:
        if self.stages and not self.makes_verifier:
            raise ValueError(
                f"stages: verifier.model = {self.verifier.model!r}: only "
                f"{self.results}/models/verifier has trainings to compare"
            )
        if self.stages and self.step_level is None:
            raise ValueError("stages: the models judge the solutions of step_level, which is null")
        return self

    @model_validator(mode="after")
    def _intervention_names_are_known(self) -> Self:
        if self.intervention:
            self.intervention.check_names(self.policies, self.benchmarks)
        return self


def load_config(values: Mapping[str, Any]) -> Config:
    """Validate a configuration; what it leaves out, in its sections too, takes the defaults.

    Benchmarks and policies are taken whole: naming some means these and no others.

    Raises:
        UserError: one line with the key, its value and what is allowed.
    """
    try:
        return Config.model_validate(_complete(values, Config()))
    except ValidationError as error:
        raise UserError(_describe(error)) from error


def _complete(values: Any, defaults: Section) -> Any:
    """Add to a section's values, and to those of the sections in it, what they leave out."""
    if not isinstance(values, Mapping):
        return values
    completed = dict(values)
    for name, default in defaults:
        if name not in completed:
            completed[name] = default
        elif isinstance(default, Section):
            completed[name] = _complete(completed[name], default)
    return completed


def _describe(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"config: {key}: unknown key; docs/configuration.md lists the keys"
    allowed = problem["msg"].removeprefix("Value error, ")
    if not key:
        return f"config: {allowed}"
    if problem["type"] in ("missing", "value_error"):  # which name the values themselves
        return f"config: {key}: {allowed}"
    return f"config: {key} = {problem['input']!r}: {allowed}"
