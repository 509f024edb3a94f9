"""How the training data is made: what the teacher is asked and what the files look like."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from evpv_prm.section import Decoding, Section


class TrainingFiles(Section):
    """What all training files have in common."""

    prompt_style: Literal["inference", "reference"] = Field(
        "inference",
        description="The user turns. inference: the prompts that the verifier gets later; "
        "reference: those of the reference implementation, a description without a question and "
        "all steps at once",
    )
    validation_fraction: float = Field(
        0.01, ge=0, lt=1, description="Fraction of the images that are held out, by their content"
    )


class TeacherDecoding(Decoding):
    """How one of the teacher's descriptions is sampled."""

    temperature: float = Field(0.7, ge=0, description="Temperature, 0: greedy")
    top_p: float = Field(0.8, gt=0, le=1, description="Nucleus of the sampling")
    max_tokens: int = Field(4096, ge=1, description="Longest reply, in tokens")


class StepsDecoding(Decoding):
    """How the teacher's judgement of a solution is sampled."""

    top_p: float = Field(0.9, gt=0, le=1, description="Nucleus of the sampling")
    max_tokens: int = Field(8192, ge=1, description="Longest reply, in tokens")


class TeacherDescriptions(Section):
    """How the teacher describes images."""

    decoding: TeacherDecoding = Field(TeacherDecoding(), description="Sampling")
    attempts: int = Field(3, ge=1, le=64, description="Replies asked for until one is valid")
    max_description_characters: int = Field(
        4000, ge=1, description="Longest description, in characters"
    )


class TeacherSteps(Section):
    """How the teacher judges the steps of solutions."""

    decoding: StepsDecoding = Field(StepsDecoding(), description="Sampling")
    attempts: int = Field(3, ge=1, le=64, description="Replies asked for until one is valid")
    max_steps: int = Field(
        48, ge=1, description="Most steps of one solution; longer ones are left out"
    )


class Preferences(Section):
    """How descriptions are spoilt for DPO."""

    corrupted_by: Literal["rules", "teacher"] = Field(
        "rules", description="Who puts the errors in: fixed rules or the teacher"
    )
    max_errors: int = Field(3, ge=1, le=16, description="Most errors in one description")
    decoding: TeacherDecoding = Field(TeacherDecoding(), description="Sampling of the teacher")
    attempts: int = Field(3, ge=1, le=64, description="Replies asked for until one is valid")


class TeacherData(Section):
    """The training data, made with the teacher."""

    files: TrainingFiles = Field(TrainingFiles(), description="What all files have in common")
    descriptions: TeacherDescriptions = Field(
        TeacherDescriptions(), description="Descriptions of the images"
    )
    steps: TeacherSteps = Field(TeacherSteps(), description="Judgements of the steps")
    preferences: Preferences = Field(Preferences(), description="Spoilt descriptions for DPO")
