"""Curves as an SVG, by hand: one axis each way, a legend, nothing to install."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10
from typing import Final

WIDTH, HEIGHT = 800, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 20, 50
COLORS: Final = ("#1b6ca8", "#c8553d", "#588157", "#7b2d8b", "#8a6d1d")
TICKS: Final = 6


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (x, y) under a name, in order of x."""

    name: str
    points: Sequence[tuple[float, float]]


def draw(curves: Sequence[Curve], x_label: str, y_label: str) -> str:
    """Give the SVG of one curve or more; y begins at 0. Raises ValueError when there is no point."""
    points = [point for curve in curves for point in curve.points]
    if not points:
        raise ValueError("no points: measure at least once before drawing")
    x_most, y_most = (max(point[axis] for point in points) or 1.0 for axis in (0, 1))
    y_most *= 1.05
    parts = [*_grid(x_most, y_most), *_labels(x_label, y_label)]
    for index, curve in enumerate(curves):
        color = COLORS[index % len(COLORS)]
        line = " ".join(f"{_x(x, x_most):.1f},{_y(y, y_most):.1f}" for x, y in curve.points)
        parts.append(f'<polyline fill="none" stroke="{color}" stroke-width="1.5" points="{line}"/>')
        parts.append(_text(LEFT + 10 + 130 * index, TOP + 12, curve.name, color=color))
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *parts, "</svg>\n"])


def step(most: float) -> float:
    """A round distance between ticks, so that about six of them reach ``most``."""
    rough = most / TICKS
    power = 10.0 ** floor(log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)


def _grid(x_most: float, y_most: float) -> list[str]:
    parts = []
    for index in range(TICKS + 1):
        if (y := index * step(y_most)) <= y_most:
            parts.append(_line(LEFT, _y(y, y_most), WIDTH - RIGHT, _y(y, y_most)))
            parts.append(_text(LEFT - 8, _y(y, y_most) + 4, f"{y:g}", anchor="end"))
        if (x := index * step(x_most)) <= x_most:
            parts.append(_line(_x(x, x_most), HEIGHT - BOTTOM, _x(x, x_most), HEIGHT - BOTTOM + 5))
            parts.append(_text(_x(x, x_most), HEIGHT - BOTTOM + 19, f"{x:g}", anchor="middle"))
    return parts


def _labels(x_label: str, y_label: str) -> list[str]:
    turned = f'<g transform="translate(16 {HEIGHT / 2}) rotate(-90)">'
    upright = f"{turned}{_text(0, 0, y_label, anchor='middle')}</g>"
    return [_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label, anchor="middle"), upright]


def _x(value: float, most: float) -> float:
    return LEFT + value / most * (WIDTH - LEFT - RIGHT)


def _y(value: float, most: float) -> float:
    return HEIGHT - BOTTOM - value / most * (HEIGHT - TOP - BOTTOM)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ccc"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", color: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}">{escape(text)}</text>'
