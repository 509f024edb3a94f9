"""What Best-of-N adds to each policy: the paper's bars with intervals, and gains by benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from evpv_prm import plot_style
from evpv_prm.errors import UserError
from evpv_prm.metrics.bon_file import MACRO_AVERAGE, BonMetrics
from evpv_prm.metrics.bon_frame import tidy_frame
from evpv_prm.metrics.metrics_file import OVERALL
from evpv_prm.metrics.rendering import difference
from evpv_prm.metrics.step_frame import PUBLISHED_RESULT, THIS_RUN
from evpv_prm.published import BENCHMARK_QUESTIONS, EVPV_PRM

_ALONE, _BEST, _GAIN = "random_choice", "bon_at_k", "bon_gain"
_MEAN = "Mean of benchmarks"
_ROW_IN, _PANEL_IN = 0.13, 2.2
_BAR = 0.36
_SPREAD = 0.6


def bon_gain_frame(metrics: Mapping[str, BonMetrics], aggregation: str) -> pd.DataFrame:
    """Return the numbers behind the figure: rows of `tidy_frame` at k = N, and published gains.

    The column results tells "this run" from "published"; the latter are the paper's gains of
    policies with the same name, where its six benchmarks are those of the run.

    Raises:
        UserError: the metrics do not have this aggregation.
    """
    first = next(iter(metrics.values()))
    if aggregation not in first.aggregations:
        known = ", ".join(first.aggregations)
        raise UserError(f"--aggregation: expected one of {known}, found {aggregation!r}")
    frame = tidy_frame(metrics)
    by_scores = (frame["aggregation"] == aggregation) & (frame["scores"] == "gated")
    by_scores &= frame["metric"].isin([_BEST, _GAIN]) & (frame["k"] == first.num_candidates)
    drawn = frame[(by_scores | (frame["metric"] == _ALONE)) & (frame["benchmark"] != OVERALL)]
    is_same = BENCHMARK_QUESTIONS.keys() == set(drawn["benchmark"]) - {MACRO_AVERAGE}
    published = [
        {
            "policy": gain.policy,
            "benchmark": MACRO_AVERAGE,
            "metric": _GAIN,
            "k": 8,
            "estimate": round(gain.points / 100, 6),
            "results": PUBLISHED_RESULT,
        }
        for gain in EVPV_PRM.gains
        if is_same and gain.policy in metrics
    ]
    ours = drawn.assign(results=THIS_RUN)
    return pd.concat([ours, pd.DataFrame(published)]) if published else ours


def draw_bon_gain(frame: pd.DataFrame, width_in: float) -> Figure:
    """Draw mean accuracies of each policy alone and with Best-of-N, and the gains by benchmark.

    `frame` is that of `bon_gain_frame`. The two panels stand side by side, or one above the other
    where `width_in` inches are a single column.
    """
    ours = frame[frame["results"] == THIS_RUN]
    policies, benchmarks = (list(dict.fromkeys(ours[name])) for name in ("policy", "benchmark"))
    is_wide = not plot_style.is_narrow(width_in)
    gains_in = 0.6 + _ROW_IN * len(benchmarks) * (len(policies) + 1)
    height = max(_PANEL_IN, gains_in) if is_wide else _PANEL_IN + gains_in
    figure = Figure(figsize=(width_in, height + 0.3), layout="constrained")
    left, right = (
        figure.subplots(1, 2)
        if is_wide
        else figure.subplots(2, 1, height_ratios=[_PANEL_IN, gains_in])
    )
    colours = dict(zip(policies, plot_style.colours(len(policies)), strict=True))
    _draw_bars(left, ours[ours["benchmark"] == MACRO_AVERAGE], policies, colours)
    _draw_gains(right, frame, benchmarks, colours)
    is_published = PUBLISHED_RESULT in set(frame["results"])
    figure.legend(
        handles=_legend(int(ours["k"].max()), is_published),
        loc="outside upper center", ncols=3 if is_wide else 2,
    )  # fmt: skip
    return figure


def _draw_bars(
    panel: Axes, frame: pd.DataFrame, policies: Sequence[str], colours: Mapping[str, str]
) -> None:
    rows = frame.set_index(["policy", "metric"])
    for place, policy in enumerate(policies):
        for metric, shift, alpha in ((_ALONE, -_BAR / 2, 0.45), (_BEST, _BAR / 2, 1.0)):
            row = 100 * rows.loc[(policy, metric), ["estimate", "ci95_low", "ci95_high"]]
            if row.isna().any():
                continue
            mean, low, high = row.astype(float)
            panel.bar(place + shift, mean, 0.95 * _BAR, color=colours[policy], alpha=alpha)
            panel.vlines(place + shift, low, high, color="black", linewidth=0.7)
        of_policy = rows.loc[policy]
        top = 100 * of_policy["ci95_high"].loc[[_ALONE, _BEST]].max()
        for gain in of_policy["estimate"].loc[[_GAIN]].dropna():
            panel.annotate(
                _signed(gain), (place, top), (0, 3), textcoords="offset points", ha="center",
                size=7,
            )  # fmt: skip
    panel.set_xticks(range(len(policies)), policies, parse_math=False)
    panel.set_xlim(-0.6, len(policies) - 0.4)
    panel.set_ylim(bottom=0)
    panel.margins(y=0.12)
    panel.set_ylabel("Mean accuracy (%)")
    panel.grid(visible=False, axis="x")
    panel.tick_params(axis="x", length=0)


def _draw_gains(
    panel: Axes, frame: pd.DataFrame, benchmarks: Sequence[str], colours: Mapping[str, str]
) -> None:
    gains = frame[frame["metric"] == _GAIN]
    panel.axvline(0, color=plot_style.GREY, linewidth=0.8)
    for index, (policy, colour) in enumerate(colours.items()):
        shift = _SPREAD * ((index + 0.5) / len(colours) - 0.5)
        rows = gains[gains["policy"] == policy].dropna(subset=["estimate"])
        for results, own in rows.groupby("results"):
            places = [benchmarks.index(name) + shift for name in own["benchmark"]]
            if results == THIS_RUN:
                low, high = 100 * own["ci95_low"], 100 * own["ci95_high"]
                panel.hlines(places, low, high, color=colour, linewidth=0.9)
                panel.plot(
                    100 * own["estimate"], places, color=colour, marker="o", linestyle="",
                    label=policy,
                )  # fmt: skip
            else:
                panel.plot(
                    100 * own["estimate"], places, color=plot_style.GREY, marker="D", linestyle=""
                )
    names = [_MEAN if name == MACRO_AVERAGE else name for name in benchmarks]
    panel.set_yticks(range(len(benchmarks)), names, parse_math=False)
    panel.set_ylim(len(benchmarks) - 0.5, -0.5)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    panel.set_xlabel("Gain over the policy alone (points)")
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)


def _signed(gain: float) -> str:
    text = difference(gain)
    return text if text.startswith("−") else f"+{text}"


def _legend(k: int, is_published: bool) -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Patch(facecolor="black", alpha=0.45, label="Policy alone"),
        Patch(facecolor="black", label=f"BoN@{k}, with 95 % interval"),
    ]
    if is_published:
        grey = plot_style.GREY
        handles.append(
            Line2D([], [], color=grey, marker="D", linestyle="", label="Gain as published")
        )
    return handles
