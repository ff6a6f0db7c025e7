"""The hands in the frames of a clip, by MediaPipe's own Tasks library."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ...errors import InputError
from ...optional import explain_import, install_command, needed
from .detector import Hand, check_frames

_WHAT = "Finding hands by MediaPipe"


class MediapipeHands:
    """Frames -> the hands in each, by MediaPipe's HandLandmarker in image mode: every frame for itself.

    Called as :class:`~showme.perception.hands.detector.TorchHands`, with the same defaults; it does not give a hand's
    presence. Its native library writes a few lines of its own to standard error, once for each object.

    Args:
        path: of ``hand_landmarker.task``.
        num_hands: most hands in a frame.
        min_palm_score: ``min_hand_detection_confidence``.
        min_presence: ``min_hand_presence_confidence``.

    Raises:
        InputError: no such file, another one, or the package ``mediapipe`` is not installed, broken, or without the
            libraries of the system that it is linked with.
    """

    def __init__(self, path: str | Path, num_hands: int = 2, min_palm_score: float = 0.1, min_presence: float = 0.1):
        self._library, tasks = _import_mediapipe()
        try:
            # Its content rather than its path, which the library would look up in its own way.
            content = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read: give the path of hand_landmarker.task.") from error
        options = tasks.vision.HandLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_buffer=content),
            num_hands=num_hands,
            min_hand_detection_confidence=min_palm_score,
            min_hand_presence_confidence=min_presence,
        )
        try:
            self._landmarker = tasks.vision.HandLandmarker.create_from_options(options)
        except OSError as error:
            # Its native library is loaded only now, and with it those of the system that it is linked with.
            reason = explain_import(error, "mediapipe", "mediapipe", install_command("hands"))
            raise InputError(f"{_WHAT} needs {reason}.") from error
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{path} is not MediaPipe's hand_landmarker.task: fetch it anew.") from error
        # Left to the interpreter's end, the library's own destructor finds itself torn down and says so.
        self._close = weakref.finalize(self, self._landmarker.close)

    def __call__(self, frames: np.ndarray | Tensor) -> list[list[Hand]]:
        """As ``TorchHands``: uint8 (T, H, W, 3), RGB -> for each frame its hands.

        Raises:
            ValueError: frames of another type or shape.
        """
        return [self._find(frame) for frame in check_frames(frames).cpu().numpy()]

    def _find(self, frame: np.ndarray) -> list[Hand]:
        height, width = frame.shape[:2]
        image = self._library.Image(image_format=self._library.ImageFormat.SRGB, data=np.ascontiguousarray(frame))
        result = self._landmarker.detect(image)
        hands = []
        for landmarks, sides in zip(result.hand_landmarks, result.handedness, strict=True):
            joints = np.array([[point.x * width, point.y * height, point.z * width] for point in landmarks], np.float32)
            # By number, not by name: first is the right hand of a picture that is not mirrored, and releases differ in
            # which name they give it (the earlier ones presumed a mirror).
            handedness = "right" if sides[0].index == 0 else "left"
            hands.append(Hand(joints, handedness, float(sides[0].score), None))
        return hands


def _import_mediapipe() -> tuple[Any, Any]:
    with needed("mediapipe", "mediapipe", "hands", _WHAT):
        import mediapipe
        from mediapipe.tasks import python as tasks
    return mediapipe, tasks
