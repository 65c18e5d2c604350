"""Whether tiles can be seen: the step across their borders against the step at the same places without tiles.

    python -m bench.seams

runs the built-in model on photographs that come with scikit-image, panned by two pixels a frame, whole and in tiles. A
step is the mean absolute difference of neighbouring rows or columns, in 255ths, over the last 8 frames. "Border" is
where a tile begins or ends, "elsewhere" all other places of the same picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from flashvsr_engine import EngineConfig, FlashVSREngine
from flashvsr_engine.geometry import Geometry
from flashvsr_engine.tiling import TileGrid
from skimage import data

WIDTH, HEIGHT, FRAMES, PAN = 128, 96, 37, 2
OVERLAPS = (8, 24)
SIZE = 64
LAST = 8

Pictures = npt.NDArray[np.uint8]


def main() -> None:
    """Measure, print a row for each picture and overlap."""
    whole = FlashVSREngine.load(EngineConfig(device="cpu", memory_limit=None))
    names = "picture", "overlap", "tiles", "border, tiled", "border, whole", "elsewhere, tiled", "elsewhere, whole"
    print("| " + " | ".join((*names, "dB to whole")) + " |\n" + "| --- " * 8 + "|")
    for name in ("astronaut", "coffee"):
        frames = _panned(getattr(data, name)())
        plain = _run(whole, frames)
        for overlap in OVERLAPS:
            config = EngineConfig(device="cpu", memory_limit=None, tiled_dit=True, tile_size=SIZE, tile_overlap=overlap)
            tiled = _run(FlashVSREngine.load(config), frames)
            grid = TileGrid.cut(Geometry(WIDTH, HEIGHT, config.scale), SIZE, overlap)
            columns = _borders(grid.columns, grid.tile_width, grid.width)
            rows = _borders(grid.rows, grid.tile_height, grid.height)
            steps = [_steps(video, rows, columns) for video in (tiled, plain)]
            error = np.square(tiled.astype(np.float32) - plain).mean()
            cells = [steps[0][0], steps[1][0], steps[0][1], steps[1][1], 10 * np.log10(255**2 / error)]
            print(
                f"| {name} | {overlap} | {len(grid)} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |",
                flush=True,
            )


def _panned(picture: Pictures) -> Pictures:
    top = (picture.shape[0] - HEIGHT) // 2
    starts = [PAN * i for i in range(FRAMES)]
    return np.stack([picture[top : top + HEIGHT, start : start + WIDTH] for start in starts])


def _run(engine: FlashVSREngine, frames: Pictures) -> Pictures:
    with engine.open(WIDTH, HEIGHT) as session:
        return np.concatenate([session.push(frames), session.finish()])[-LAST:]


def _borders(starts: tuple[int, ...], tile: int, length: int) -> list[int]:
    edges = {*starts[1:], *(start + tile for start in starts[:-1])}
    return sorted(edge for edge in edges if 0 < edge < length)


def _steps(video: Pictures, rows: list[int], columns: list[int]) -> tuple[float, float]:
    """Mean step at the borders, and at all other places."""
    values = video.astype(np.float32)
    down, across = np.abs(np.diff(values, axis=1)), np.abs(np.diff(values, axis=2))
    at_row, at_column = (
        np.isin(np.arange(1, n), edges) for n, edges in ((values.shape[1], rows), (values.shape[2], columns))
    )
    border = np.concatenate([down[:, at_row].ravel(), across[:, :, at_column].ravel()])
    elsewhere = np.concatenate([down[:, ~at_row].ravel(), across[:, :, ~at_column].ravel()])
    return float(border.mean()), float(elsewhere.mean())


if __name__ == "__main__":
    main()
