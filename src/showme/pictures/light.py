"""Code values of other colours than sRGB's as sRGB: wide primaries, other curves, and HDR, which is equal to ffmpeg's

    zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=mobius:desat=0,zscale=t=iec61966-2-1

PQ is SMPTE ST 2084, HLG ITU-R BT.2100 with a display of 1000 cd/m2; 203 cd/m2 is the white of SDR (ITU-R BT.2408).
Curves and primaries are numbered as in ITU-T H.273.
"""

from __future__ import annotations

from functools import cache

import numpy as np

PQ, HLG = 16, 18
HDR_CURVES = {PQ: "PQ", HLG: "HLG"}
# ffmpeg counts a signal's peak in hundreds of cd/m2, and takes that of HLG where a file does not say its own.
PEAK_UNIT, DEFAULT_PEAK = 100.0, 10.0
BT709, BT2020, P3 = 1, 9, 12
LINEAR, GAMMA_22, GAMMA_28 = 8, 4, 5
_WHITE = 203.0
_HLG_PEAK = 1000.0
# Of Mobius: up to here colours stay what they are.
_KNEE = 0.3
# As RGB of BT.709 (white D65 in all).
_TO_BT709 = {
    BT2020: ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730)),
    P3: ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274)),
    BT709: ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}
# Rows that are mapped at once: they stay in the processor's cache.
_ROWS = 32
_STEPS = 65535


def tone_map(codes: np.ndarray, curve: int, primaries: int, peak: float) -> np.ndarray:
    """Code values of HDR as SDR.

    Args:
        codes: uint16 (H, W, 3), RGB, full range.
        curve: PQ or HLG.
        primaries: other than BT.709 and Display P3 are taken for BT.2020.
        peak: the brightest light, as a multiple of 100 cd/m2.

    Returns:
        uint8 (H, W, 3), sRGB.
    """
    linear, encoded = _hdr_light(curve), _encoded()
    matrix = np.array(_TO_BT709.get(primaries, _TO_BT709[BT2020]), dtype=np.float32).T
    out = np.empty(codes.shape, np.uint8)
    for row in range(0, len(codes), _ROWS):
        light = linear[codes[row : row + _ROWS]] @ matrix
        brightest = np.maximum(light.max(-1, keepdims=True), 1e-6)
        light *= _mobius(brightest, peak) / brightest * _STEPS
        out[row : row + _ROWS] = encoded[np.clip(light, 0, _STEPS).astype(np.uint16)]
    return out


def to_sdr_srgb(codes: np.ndarray, curve: int, primaries: int) -> np.ndarray:
    """Code values of SDR as sRGB, what sRGB cannot show cut off.

    Args:
        codes: uint16 (H, W, 3), RGB, full range.
        curve: linear, gamma 2.2 or gamma 2.8; all others are taken for sRGB's.
        primaries: BT.2020 or Display P3; all others are taken for BT.709's.

    Returns:
        uint8 (H, W, 3).
    """
    linear, encoded = _sdr_light(curve), _encoded()
    matrix = np.array(_TO_BT709.get(primaries, _TO_BT709[BT709]), dtype=np.float32).T
    out = np.empty(codes.shape, np.uint8)
    for row in range(0, len(codes), _ROWS):
        light = linear[codes[row : row + _ROWS]] @ matrix
        out[row : row + _ROWS] = encoded[np.rint(light.clip(0, 1) * _STEPS).astype(np.uint16)]
    return out


def _mobius(signal: np.ndarray, peak: float) -> np.ndarray:
    """Light above the knee bent, so that ``peak`` becomes 1."""
    peak = max(peak, 1.0 + 1e-6)
    a = -(_KNEE**2) * (peak - 1) / (_KNEE**2 - 2 * _KNEE + peak)
    b = (_KNEE**2 - 2 * _KNEE * peak + peak) / max(peak - 1, 1e-6)
    bent = (b * b + 2 * b * _KNEE + _KNEE**2) / (b - a) * (signal + a) / (signal + b)
    return np.where(signal <= _KNEE, signal, bent)


@cache
def _hdr_light(curve: int) -> np.ndarray:
    """Light, 1 at SDR's white, of every 16-bit code value: float32 (65536,)."""
    code = np.arange(_STEPS + 1) / _STEPS
    if curve == PQ:
        power = code ** (1 / 78.84375)
        light = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        return (light * 10000 / _WHITE).astype(np.float32)
    bright = (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
    scene = np.where(code <= 0.5, code**2 / 3, bright)
    # The display's gamma, on each channel as zscale has it.
    return (scene**1.2 * _HLG_PEAK / _WHITE).astype(np.float32)


@cache
def _sdr_light(curve: int) -> np.ndarray:
    """Light, 0 to 1, of every 16-bit code value: float32 (65536,)."""
    code = np.arange(_STEPS + 1) / _STEPS
    if curve in (LINEAR, GAMMA_22, GAMMA_28):
        return (code ** {LINEAR: 1.0, GAMMA_22: 2.2, GAMMA_28: 2.8}[curve]).astype(np.float32)
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4).astype(np.float32)


@cache
def _encoded() -> np.ndarray:
    """sRGB of light in 65536 steps: uint8 (65536,)."""
    light = np.arange(_STEPS + 1) / _STEPS
    coded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(coded * 255).astype(np.uint8)
