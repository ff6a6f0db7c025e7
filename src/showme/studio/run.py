"""``showme studio``, from its options to the end of the server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from ..errors import InputError, absent
from ..generation.request import GenerateRequest, check_request
from ..optional import needed
from .serving import address_of, check_port, is_loopback, serve
from .settings import StudioSettings

_OPTIONS = {"folder": "out", "max_bytes": "max-mb", "root_path": "root-path", "max_waiting": "max-waiting"}


def run(options: Mapping[str, object], reindex: bool, share: bool, say: Callable[[str], object]) -> None:
    """Serve until interrupted, or build the index anew.

    Args:
        options: of :class:`.settings.StudioSettings`.
        reindex: build the index anew from the folders, and stop.
        share: also through a public link.
        say: prints a line.

    Raises:
        InputError: an option that cannot be, a port or folder that is taken, or packages that are absent.
    """
    settings = _settings(options)
    _check_folders(settings)
    if share and settings.password is None and settings.token is None:
        raise InputError("--share opens this machine to everybody: give a --password or a --token with it.")
    if reindex:
        _need_lock()
        from .shelf import INDEX, Shelf

        try:
            shelf = Shelf(settings.folder)
        except InputError as error:
            if INDEX not in str(error):
                raise
            # The folders are the truth: what cannot be read is put aside.
            damaged = settings.folder / INDEX
            damaged.replace(damaged.with_suffix(".damaged"))
            shelf = Shelf(settings.folder)
        say(f"{shelf.reindex()} runs are in the index of {settings.folder}.")
        shelf.close()
        return
    check_port(settings.host, settings.port)
    _need_lock()
    with needed("fastapi", "fastapi", "studio", "The studio"):
        import fastapi  # noqa: F401
    # Imports gradio: what is refused is refused before.
    from .app import make_app
    from .studio import Studio

    studio = Studio.open(settings)
    app = make_app(studio)
    # The proxy shows it below its prefix; here it is at the root.
    address = address_of(settings.host, settings.port)

    def ready() -> None:
        say(f"open: {address}{'' if settings.token is None else f'?token={settings.token}'}")
        if not is_loopback(settings.host) and settings.password is None and settings.token is None:
            say("note: whoever reaches this address may use it: --password or --token keeps others out.")
        if share:
            say(f"public: {_share(settings)}")

    serve(app, settings.host, settings.port, settings.root_path, ready)


def _need_lock() -> None:
    with needed("filelock", "filelock", "studio", "The studio"):
        import filelock  # noqa: F401


def _check_folders(settings: StudioSettings) -> None:
    """Refuse what would only be found when a visitor asks for it.

    Raises:
        InputError: a folder that is not there, or a device that is none.
    """
    for name, folder in (("models", settings.models), ("runs", settings.runs), ("clips", settings.studies)):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{absent(folder, 'folder')}: give --{name} one that is there.")
    check_request(GenerateRequest(Path(), "", device=settings.device))


def _settings(options: Mapping[str, object]) -> StudioSettings:
    try:
        return StudioSettings.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if name == "root_path":
            raise InputError("--root-path begins with a slash and ends without one, like /studio.") from error
        # Never the value: it may be the password.
        raise InputError(f"--{_OPTIONS.get(name, name)}: {first['msg']}.") from error


def _share(settings: StudioSettings) -> str:
    """A public address that leads here, by gradio's service.

    Raises:
        InputError: the service does not answer.
    """
    import secrets

    from gradio.networking import setup_tunnel

    try:
        return setup_tunnel(settings.host, settings.port, secrets.token_urlsafe(32), None, None)
    except Exception as error:
        raise InputError(f"--share: gradio's service gave no link ({error}): leave it out.") from error
