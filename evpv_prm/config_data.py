"""The configuration of the training data's source: what is downloaded, which pairs are taken."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from evpv_prm.section import Name, Section

RepositoryId = Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
"""OWNER/NAME of a repository on a hub."""

Hub = Literal["modelscope", "huggingface"]
"""Where a repository is."""


class ModelDownload(Section):
    """A model to fetch."""

    repository: RepositoryId = Field(description="Model, as OWNER/NAME")
    hub: Hub = Field("modelscope", description="modelscope: ModelScope; huggingface: Hugging Face")
    revision: str | None = Field(
        None,
        min_length=1,
        description="Branch, tag or commit; null: the main branch. Which commit it was stands in "
        "the folder's download.json",
    )
    workers: int = Field(4, ge=1, le=64, description="Files fetched at the same time")


class DatasetDownload(Section):
    """A data set to fetch from ModelScope and to unpack."""

    repository: RepositoryId = Field(
        "OpenGVLab/VisualPRM400K", description="Data set, as OWNER/NAME"
    )
    revision: str = Field("master", min_length=1, description="Branch, tag or commit")
    files: list[str] = Field(
        default_factory=lambda: ["annotations.zip", "images.zip*"],
        min_length=1,
        description="Files to fetch, as patterns with *",
    )
    workers: int = Field(4, ge=1, le=64, description="Files fetched at the same time")
    keep_archives: bool = Field(False, description="Keep the zip files after they are unpacked")


class PairExtraction(Section):
    """Pairs of a right and a wrong solution of one question about one image."""

    subsets: list[str] = Field(
        default_factory=list, description="Subsets to take; none named: all with annotation files"
    )
    subset_of: dict[str, Name] = Field(
        default_factory=dict,
        description="Subset of annotation files whose name does not tell it, by pattern with *, "
        'as in {"geometry3k_*": "GeometryData"}',
    )
    pairs_per_image: int | None = Field(
        None, ge=1, description="Take only the first pairs of an image; null: all"
    )
    listed: int = Field(
        100, ge=0, description="Malformed lines and missing images that a report lists by name"
    )


class DataSet(Section):
    """Labelled solutions to train on: annotations/**/*.jsonl and images/SUBSET/ in a folder."""

    folder: str = Field("data/VisualPRM400K", min_length=1, description="Folder of the data set")
    download: DatasetDownload = Field(
        DatasetDownload(), description="What the rule download_visualprm400k fetches into it"
    )
    pairs: PairExtraction = Field(PairExtraction(), description="Which pairs are taken")
