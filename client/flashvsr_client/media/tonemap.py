"""HDR to SDR: PQ or HLG pictures of BT.2020 become pictures of BT.709, by documents of the ITU alone.

    code values --(EOTF)--> cd/m2 --(EETF)--> cd/m2 up to white --(gamut)--> BT.709 --(inverse BT.1886)--> code values

- PQ EOTF: BT.2100-2, table 4. HLG: inverse OETF and OOTF of table 5, for a display of 1000 cd/m2 (system gamma 1.2).
- White of SDR stands for 203 cd/m2, the reference level of BT.2408-7.
- EETF: BT.2390-11, 5.4.1: identity up to a knee, then a Hermite spline to white, in PQ's scale; black is kept at 0. It
  is applied to the largest of R, G and B and the other two are scaled alike, so hues stay.
- BT.2020 to BT.709 by the matrix of BT.2407-0, 2.2; what lies outside of BT.709 is clipped.
- The result is coded for a display of BT.1886: the power 1/2.4.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from flashvsr_client.chunks import Frame
from flashvsr_client.media.hdr import HLG, PQ

Floats = npt.NDArray[np.float32]

WHITE: Final = 203.0
DEFAULT_PEAK: Final = 1000.0
"""cd/m2 of a source that does not say; also the display for which HLG is shown."""
_PQ_PEAK: Final = 10000.0
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_HLG_A, _HLG_B, _HLG_C = 0.17883277, 0.28466892, 0.55991073
_HLG_GAMMA: Final = 1.2
_LUMA_2020: Final = np.array([0.2627, 0.6780, 0.0593], np.float32)
_TO_709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)


class ToneMap:
    """Turns pictures of one transfer and one peak into SDR."""

    def __init__(self, transfer: int, peak: float | None) -> None:
        """``transfer``: PQ or HLG; ``peak``: the source's brightest, in cd/m2."""
        assert transfer in (PQ, HLG)
        codes = np.linspace(0, 1, 65536)
        self._linear = (pq_eotf(codes) if transfer == PQ else hlg_scene(codes)).astype(np.float32)
        self._is_hlg = transfer == HLG
        self._peak = DEFAULT_PEAK if peak is None or self._is_hlg else max(peak, WHITE)
        levels = np.linspace(0, 1, 4096)  # in PQ's scale, where steps are even for the eye
        self._levels = levels.astype(np.float32)
        light = pq_eotf(levels)
        gains = eetf(light, self._peak) / np.maximum(light, 1e-6)
        self._gains = np.where(light > 0, gains, 1.0).astype(np.float32)

    def __call__(self, picture: Frame) -> Frame:
        """Map RGB code values, uint16 [h, w, 3], to those of SDR, uint16."""
        assert picture.dtype == np.uint16
        light = self._linear[picture]
        if self._is_hlg:
            luma = (light @ _LUMA_2020)[..., None]
            light *= DEFAULT_PEAK * np.maximum(luma, 1e-6) ** np.float32(_HLG_GAMMA - 1)
        brightest = light.max(axis=-1)
        light *= np.interp(pq_inverse(brightest), self._levels, self._gains).astype(np.float32)[..., None]
        light = light @ (_TO_709.T / np.float32(WHITE))
        np.clip(light, 0, 1, out=light)
        coded: Frame = np.rint(light ** np.float32(1 / 2.4) * 65535).astype(np.uint16)
        return coded


def pq_eotf(codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """PQ code values in [0, 1] -> cd/m2."""
    powered = codes ** (1 / _M2)
    return _PQ_PEAK * (np.maximum(powered - _C1, 0) / (_C2 - _C3 * powered)) ** (1 / _M1)


def pq_inverse(light: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """cd/m2 -> PQ code values in [0, 1]."""
    powered = (np.clip(light, 0, _PQ_PEAK) / _PQ_PEAK) ** _M1
    result: npt.NDArray[np.floating] = ((_C1 + _C2 * powered) / (1 + _C3 * powered)) ** _M2
    return result


def hlg_scene(codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """HLG code values in [0, 1] -> scene light in [0, 1]."""
    return np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - _HLG_C) / _HLG_A) + _HLG_B) / 12)


def eetf(light: npt.NDArray[np.float64], peak: float) -> npt.NDArray[np.float64]:
    """Light of a source with that peak -> light of a display whose peak is WHITE, all in cd/m2."""
    source = float(pq_inverse(np.array(peak)))
    level = np.minimum(pq_inverse(light).astype(np.float64) / source, 1.0)
    most = float(pq_inverse(np.array(WHITE))) / source
    knee = max(1.5 * most - 0.5, 0.0)
    t = np.clip((level - knee) / max(1 - knee, 1e-9), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return pq_eotf(np.where(level < knee, level, spline) * source)
