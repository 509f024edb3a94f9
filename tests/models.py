"""Models behind an API, for tests."""

from __future__ import annotations

from evpv_prm.config import ApiOptions, Model


def api_model(**options: object) -> Model:
    """Return a model with backend api; options of `ApiOptions` and `Model` stand side by side."""
    settings = {"backend": "api", "base_url": "http://h/v1", "model": "m"} | options
    api = {name: settings.pop(name) for name in ApiOptions.model_fields if name in settings}
    return Model.model_validate(settings | {"api": api})
