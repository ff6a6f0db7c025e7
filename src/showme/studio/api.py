"""The studio for programs, through gradio's own clients: one call that waits for its result."""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr

from ..errors import InputError
from ..explanation import explain
from ..generation import folder
from .make import owner_of_request
from .studio import Studio
from .submit import Form, submit
from .views import records_of

_POLL_SECONDS = 0.05


def add_api(studio: Studio) -> None:
    """Add the call ``/generate``, in the Blocks where this is called."""

    async def generate(
        request: gr.Request,
        photo: gr.FileData,
        instruction: str,
        model: str = "embedded",
        task: str = "both",
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
        clips: int = 1,
        then: str = "",
    ) -> dict[str, Any]:
        """Make the picture of the result and the video of the action.

        photo: a file. model: two with a comma between them are compared. task: both, image or video. then: instructions
        of further clips, one in each line. Returns the addresses of the files, below this server's.
        """
        owner = owner_of_request(studio, request)
        form = Form(
            photo=photo["path"] if isinstance(photo, dict) else photo.path,
            instruction=instruction or "",
            models=tuple(name.strip() for name in (model or "").split(",")),
            task=task,
            seed=seed,
            steps=steps,
            guidance=guidance,
            clips=clips,
            then=then or "",
        )
        try:
            job = await asyncio.to_thread(submit, studio, owner, form)
            while job.is_open:
                await asyncio.sleep(_POLL_SECONDS)
            if job.state != "done":
                raise InputError(job.error or f"The job was {job.state}.")
        except Exception as error:
            raise gr.Error(explain(error)[0], print_exception=False) from error
        return await asyncio.to_thread(_result, studio, job.entry.id)

    gr.api(generate, api_name="generate", concurrency_limit=None)


def _result(studio: Studio, run: str) -> dict[str, Any]:
    base, place = studio.base(run), studio.shelf.place(run)
    made = []
    for below, record in records_of(place):
        addresses = {
            name: base + below + file
            for name, file in (("picture", folder.RESULT), ("video", folder.VIDEO), ("strip", folder.STRIP))
            if file in record.outputs
        }
        made.append({"model": record.model.name, **addresses, "warnings": list(record.warnings)})
    return {"run": run, "page": base + folder.PAGE, "results": made}
