"""The key of a study: it signs who a judge is and what they were shown, and names files so that names say nothing."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import InputError

SECRET = "secret"
_KEY = re.compile(r"[0-9a-f]{64}")
_JUDGE = re.compile(r"[0-9a-f]{12}")
_OWNER_ALONE = 0o600


@dataclass(frozen=True)
class Secret:
    """What nobody but the server knows. key: 64 hexadecimal digits."""

    key: str = field(repr=False)

    def digest(self, *words: str) -> str:
        """32 hexadecimal digits that say nothing about the words, and that nobody else can make of them."""
        # As JSON, so that no two lists of words are one text.
        return hmac.new(bytes.fromhex(self.key), json.dumps(words).encode(), hashlib.sha256).hexdigest()[:32]

    @property
    def owner_token(self) -> str:
        """What the link to the results holds."""
        return self.digest("owner")

    @property
    def cookie(self) -> str:
        """The cookie's name: all ports of a machine share their cookies, and all studies of a server."""
        return f"judge_{self.digest('cookie')[:12]}"

    def signed(self, judge: str) -> str:
        """The cookie of a judge."""
        return f"{judge}.{self.digest('judge', judge)}"

    def judge_of(self, cookie: str | None) -> str | None:
        """Whose cookie it is; None: nobody's, or not from here."""
        judge = (cookie or "").partition(".")[0]
        return judge if _JUDGE.fullmatch(judge) and same(cookie or "", self.signed(judge)) else None


def new_judge() -> str:
    """An id for a judge who comes for the first time."""
    return secrets.token_hex(6)


def same(given: str, true: str) -> bool:
    """Whether two texts are equal, in a time that does not say how far they are."""
    return hmac.compare_digest(given.encode(errors="replace"), true.encode())


def load_secret(folder: Path) -> Secret:
    """The key of the study in a folder, made when there is none, in a file that its user alone may read.

    Raises:
        InputError: it cannot be read or written, or is damaged.
    """
    file = folder / SECRET
    try:
        if not file.exists():
            _write(file, secrets.token_hex(32))
        key = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{file} cannot be used ({reason}): make room, or let this user read and write it.") from error
    if not _KEY.fullmatch(key):
        raise InputError(f"{file} is damaged: delete it; judges then begin anew, and the results get another link.")
    return Secret(key)


def _write(file: Path, key: str) -> None:
    draft = file.with_name(f"{SECRET}.{secrets.token_hex(4)}.partial")
    try:
        draft.touch(mode=_OWNER_ALONE, exist_ok=False)
        draft.write_text(key + "\n", encoding="ascii")
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
