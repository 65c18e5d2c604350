"""A comparison as curves over the frames, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path

from flashvsr_client.compare.measure import Comparison
from flashvsr_client.media.whole import whole_or_nothing


def draw(comparison: Comparison, target: Path) -> None:
    """Write an SVG or a PNG, by the target's ending, with a panel for each metric. Raises :class:`OutputError`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown_metrics = comparison.metrics
    figure = Figure(figsize=(9, 7 / 3 * len(shown_metrics)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(shown_metrics), 1, sharex=True)
    for panel, (metric, title) in zip(panels, shown_metrics.items(), strict=True):
        for place, subject in enumerate(comparison.subjects):
            values = [getattr(row[place], metric) for row in comparison.rows]
            shown = [float("nan") if value is None else value for value in values]
            panel.plot(range(len(shown)), shown, label=Path(subject).name, linewidth=1.2)
        panel.set_ylabel(title)
        panel.grid(alpha=0.3)
    panels[0].legend(loc="best")
    panels[0].set_title(f"against {Path(comparison.against).name}", fontsize="medium")
    panels[-1].set_xlabel("frame")
    with whole_or_nothing(target) as part:
        figure.savefig(part, format=target.suffix[1:].lower(), dpi=120)
