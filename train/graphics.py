"""Drawn pictures beside the photographs: test patterns, flat shapes and writing, which cameras seldom see."""

from __future__ import annotations

import string
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from train.photos import Picture

SIDE = 448
Rng = np.random.Generator


def draw_graphics(count: int, seed: int) -> list[Picture]:
    """`count` pictures, uint8 (SIDE, SIDE, 3); the same for the same seed."""
    rng = np.random.default_rng(seed)
    kinds = (_writing, _shapes, _writing, _stripes, _bars, _checks, _rings)
    return [kinds[i % len(kinds)](rng) for i in range(count)]


def _color(rng: Rng) -> tuple[int, int, int]:
    """Any colour; one in three is grey, black or white."""
    values = rng.integers(0, 256, 3) if rng.random() < 0.67 else np.full(3, rng.choice([0, 0, 255, 255, 128]))
    return int(values[0]), int(values[1]), int(values[2])


def _canvas(rng: Rng) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (SIDE, SIDE), _color(rng))
    return image, ImageDraw.Draw(image)


def _writing(rng: Rng) -> Picture:
    image, draw = _canvas(rng)
    alphabet = np.array(list(string.ascii_letters + string.digits + "    .,-"))
    top = 0
    while top < SIDE:
        size = int(rng.integers(12, 72))
        line = "".join(rng.choice(alphabet, 2 + 2 * SIDE // size))
        draw.text((int(rng.integers(-20, 20)), top), line, _color(rng), ImageFont.load_default(size))
        top += int(1.2 * size)
    return np.array(image)


def _shapes(rng: Rng) -> Picture:
    image, draw = _canvas(rng)
    for _ in range(int(rng.integers(20, 120))):
        left, top = (int(v) for v in rng.integers(-60, SIDE, 2))
        box = (left, top, left + int(rng.integers(4, 160)), top + int(rng.integers(4, 160)))
        shape: Callable[..., None] = (draw.rectangle, draw.ellipse, draw.line)[int(rng.integers(3))]
        shape(box, fill=_color(rng))
    return np.array(image)


def _stripes(rng: Rng) -> Picture:
    y, x = np.mgrid[:SIDE, :SIDE]
    angle, period = rng.uniform(0, np.pi) * (rng.random() < 0.5), float(np.exp(rng.uniform(np.log(4), np.log(60))))
    phase = (x * np.cos(angle) + y * np.sin(angle)) / period
    return _between(rng, (phase % 1 < 0.5) if rng.random() < 0.6 else 0.5 + 0.5 * np.sin(2 * np.pi * phase))


def _bars(rng: Rng) -> Picture:
    colors = rng.choice([0, 192, 255], (int(rng.integers(4, 12)), 3))
    index = np.arange(SIDE) * len(colors) // SIDE
    picture = np.broadcast_to(colors[index].astype(np.uint8), (SIDE, SIDE, 3))
    return picture.copy()


def _checks(rng: Rng) -> Picture:
    y, x = np.mgrid[:SIDE, :SIDE]
    cell = int(rng.integers(3, 40))
    return _between(rng, (x // cell + y // cell) % 2)


def _rings(rng: Rng) -> Picture:
    y, x = np.mgrid[:SIDE, :SIDE] - rng.uniform(0, SIDE, (2, 1, 1))
    return _between(rng, 0.5 + 0.5 * np.cos((x**2 + y**2) / rng.uniform(300, 4000)))


def _between(rng: Rng, weight: np.ndarray) -> Picture:
    low, high = np.array(_color(rng), float), np.array(_color(rng), float)
    if rng.random() < 0.4:
        low, high = np.zeros(3), np.full(3, 255.0)
    return np.asarray((low + (high - low) * np.asarray(weight, float)[..., None]).round(), np.uint8)
