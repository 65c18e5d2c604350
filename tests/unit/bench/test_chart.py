"""The curves' picture: it is XML, its points lie in the frame, and its ticks are round."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench import chart

SVG = "{http://www.w3.org/2000/svg}"


def test_every_curve_is_drawn_inside_the_frame() -> None:
    curves = [chart.Curve("a & b", [(0, 0), (5, 700), (30, 350)]), chart.Curve("c", [(0, 10), (30, 10)])]
    picture = ElementTree.fromstring(chart.draw(curves, "minutes", "MiB"))
    lines = picture.findall(f"{SVG}polyline")
    assert len(lines) == 2
    for line in lines:
        for point in line.attrib["points"].split():
            x, y = (float(part) for part in point.split(","))
            assert chart.LEFT <= x <= chart.WIDTH - chart.RIGHT
            assert chart.TOP <= y <= chart.HEIGHT - chart.BOTTOM
    assert {"a & b", "c", "minutes", "MiB"} <= {text.text for text in picture.iter(f"{SVG}text")}


def test_a_higher_value_is_higher_up() -> None:
    picture = ElementTree.fromstring(chart.draw([chart.Curve("c", [(0, 1), (1, 2)])], "", ""))
    line = picture.find(f"{SVG}polyline")
    assert line is not None
    low, high = (float(point.split(",")[1]) for point in line.attrib["points"].split())
    assert high < low


@pytest.mark.parametrize(("most", "step"), [(30, 5), (30.1, 10), (1700, 500), (0.6, 0.1), (6, 1)])
def test_ticks_are_round(most: float, step: float) -> None:
    assert chart.step(most) == pytest.approx(step)


def test_no_points_are_refused() -> None:
    with pytest.raises(ValueError, match="measure at least once"):
        chart.draw([chart.Curve("c", [])], "", "")
