"""UCF-101 (arXiv 1212.0402): the official folders and lists, and a sentence for each class.

The data set has class names alone. As AID (arXiv 2406.06465) does after PYoCo, each class is one sentence, "A person is
..."; theirs are not published, but for that of Biking.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import Field

from ...errors import InputError
from ..media import Video
from .base import Source, check_folder, inside
from .faults import entries_of_rows
from .record import Entry, Record
from .tables import open_text

LICENCE = "UCF-101: videos of YouTube, for research"
_MAX_LINES = 10**6

# What follows "A person is".
_DOINGS = {
    "ApplyEyeMakeup": "applying eye makeup",
    "ApplyLipstick": "applying lipstick",
    "Archery": "shooting an arrow with a bow",
    "BabyCrawling": "crawling on the floor like a baby",
    "BalanceBeam": "performing on a balance beam",
    "BandMarching": "marching in a band",
    "BaseballPitch": "pitching a baseball",
    "Basketball": "shooting a basketball",
    "BasketballDunk": "dunking a basketball",
    "BenchPress": "doing a bench press",
    "Biking": "riding a bicycle",
    "Billiards": "playing billiards",
    "BlowDryHair": "blow-drying hair",
    "BlowingCandles": "blowing out candles",
    "BodyWeightSquats": "doing body-weight squats",
    "Bowling": "bowling a ball down a lane",
    "BoxingPunchingBag": "boxing a punching bag",
    "BoxingSpeedBag": "boxing a speed bag",
    "BreastStroke": "swimming breaststroke",
    "BrushingTeeth": "brushing teeth",
    "CleanAndJerk": "lifting a barbell in a clean and jerk",
    "CliffDiving": "diving off a cliff",
    "CricketBowling": "bowling in a game of cricket",
    "CricketShot": "batting in a game of cricket",
    "CuttingInKitchen": "cutting food in a kitchen",
    "Diving": "diving into a pool",
    "Drumming": "playing the drums",
    "Fencing": "fencing with a sword",
    "FieldHockeyPenalty": "taking a penalty in field hockey",
    "FloorGymnastics": "doing floor gymnastics",
    "FrisbeeCatch": "catching a frisbee",
    "FrontCrawl": "swimming front crawl",
    "GolfSwing": "swinging a golf club",
    "Haircut": "getting a haircut",
    "Hammering": "hammering a nail",
    "HammerThrow": "throwing the hammer",
    "HandstandPushups": "doing handstand push-ups",
    "HandstandWalking": "walking on the hands",
    "HeadMassage": "giving a head massage",
    "HighJump": "doing a high jump",
    "HorseRace": "riding in a horse race",
    "HorseRiding": "riding a horse",
    "HulaHoop": "spinning a hula hoop",
    "IceDancing": "dancing on ice",
    "JavelinThrow": "throwing a javelin",
    "JugglingBalls": "juggling balls",
    "JumpingJack": "doing jumping jacks",
    "JumpRope": "jumping rope",
    "Kayaking": "paddling a kayak",
    "Knitting": "knitting",
    "LongJump": "doing a long jump",
    "Lunges": "doing lunges",
    "MilitaryParade": "marching in a military parade",
    "Mixing": "mixing batter in a bowl",
    "MoppingFloor": "mopping the floor",
    "Nunchucks": "swinging nunchucks",
    "ParallelBars": "performing on the parallel bars",
    "PizzaTossing": "tossing pizza dough",
    "PlayingCello": "playing the cello",
    "PlayingDaf": "playing the daf",
    "PlayingDhol": "playing the dhol",
    "PlayingFlute": "playing the flute",
    "PlayingGuitar": "playing the guitar",
    "PlayingPiano": "playing the piano",
    "PlayingSitar": "playing the sitar",
    "PlayingTabla": "playing the tabla",
    "PlayingViolin": "playing the violin",
    "PoleVault": "doing a pole vault",
    "PommelHorse": "performing on the pommel horse",
    "PullUps": "doing pull-ups",
    "Punch": "punching an opponent in a boxing match",
    "PushUps": "doing push-ups",
    "Rafting": "rafting down a river",
    "RockClimbingIndoor": "climbing an indoor rock wall",
    "RopeClimbing": "climbing a rope",
    "Rowing": "rowing a boat",
    "SalsaSpin": "spinning in a salsa dance",
    "ShavingBeard": "shaving a beard",
    "Shotput": "putting the shot",
    "SkateBoarding": "riding a skateboard",
    "Skiing": "skiing down a slope",
    "Skijet": "riding a jet ski",
    "SkyDiving": "skydiving",
    "SoccerJuggling": "juggling a soccer ball",
    "SoccerPenalty": "taking a penalty kick in soccer",
    "StillRings": "performing on the still rings",
    "SumoWrestling": "wrestling in a sumo match",
    "Surfing": "surfing a wave",
    "Swing": "swinging on a swing",
    "TableTennisShot": "hitting a table tennis ball",
    "TaiChi": "practising tai chi",
    "TennisSwing": "swinging a tennis racket",
    "ThrowDiscus": "throwing a discus",
    "TrampolineJumping": "jumping on a trampoline",
    "Typing": "typing on a keyboard",
    "UnevenBars": "performing on the uneven bars",
    "VolleyballSpiking": "spiking a volleyball",
    "WalkingWithDog": "walking with a dog",
    "WallPushups": "doing push-ups against a wall",
    "WritingOnBoard": "writing on a board",
    "YoYo": "playing with a yo-yo",
}
SENTENCES = {name: f"A person is {doing}." for name, doing in _DOINGS.items()}


class Ucf101Source(Source):
    """The clips of one official list: ``trainlist01.txt`` or ``testlist01.txt`` and their like."""

    kind: Literal["ucf101"] = Field(description="UCF-101")
    videos: Path = Field(description="folder UCF-101, with a folder of .avi files for each class")
    lists: Path = Field(description="folder ucfTrainTestlist")
    split: Literal["train", "test"] = Field("train", description="train or test")
    number: int = Field(1, ge=1, le=3, description="which of the three official splits")

    @property
    def place(self) -> Path:
        """The list."""
        return self.lists / f"{self.split}list{self.number:02d}.txt"

    def entries(self) -> Iterator[Entry]:
        check_folder(self.videos, "videos")
        classes = self._classes()

        def entries_of(origin: str, words: list[str]) -> Iterator[Record]:
            # A row of a training list ends with the class's number.
            if len(words) != (2 if self.split == "train" else 1):
                raise InputError(f"{origin}: it is not 'Class/v_Class_g01_c01.avi': fetch the list again.")
            folder, _, name = words[0].rpartition("/")
            if folder not in classes or words[1:] not in ([], [classes[folder]]):
                raise InputError(f"{origin}: {' '.join(words)[:200]!r} has no class of classInd.txt: fetch both again.")
            yield Record(
                id=Path(name).stem,
                media=Video(inside(self.videos, words[0], origin)),
                instruction=SENTENCES[folder],
                split=self.split,
                licence=LICENCE,
                origin=origin,
            )

        yield from entries_of_rows(_lines(self.place), entries_of, lambda words: PurePosixPath(words[0]).stem)

    def _classes(self) -> dict[str, str]:
        """Numbers of the classes, as the lists write them."""
        classes: dict[str, str] = {}
        for origin, words in _lines(self.lists / "classInd.txt"):
            if len(words) != 2 or words[1] not in SENTENCES or words[1] in classes:
                raise InputError(f"{origin}: {' '.join(words)[:200]!r} is no class of UCF-101: fetch the list again.")
            classes[words[1]] = words[0]
        return classes


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Words of every line that is not blank."""
    with open_text(path) as file:
        try:
            for number in range(1, _MAX_LINES):
                line = file.readline(1000)
                if not line:
                    return
                if line.strip():
                    yield f"{path}, line {number}", line.split()
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 text: fetch the list again.") from error
    raise InputError(f"{path} has more than {_MAX_LINES} lines: it is no list of UCF-101.")
