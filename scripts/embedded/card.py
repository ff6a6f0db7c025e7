"""The model card of the embedded bundle."""

from __future__ import annotations


def model_card(record: dict, figures: str | None) -> str:
    """Markdown from :func:`package.training_record` and scripts/evaluate_embedded.py's table, when there is one."""
    measured = figures or "Not measured yet: `python scripts/evaluate_embedded.py`."
    settings = record["settings"]
    minutes = sum(stage["minutes"] for stage in record["stages"].values())
    rows = "\n".join(
        f"| {name} | {stage['minutes']} | {stage['steps']} | {stage['samples']} |"
        for name, stage in record["stages"].items()
    )
    return f"""---
license: apache-2.0
pipeline_tag: image-to-video
---

# The embedded ShowMe model

From a {settings.size}x{settings.size} picture of the `tabletop` world and an instruction: the picture of the result and
a video of the action, {settings.frames} frames at {settings.fps} per second. Trained from nothing by
`scripts/train_embedded.py` on the first frames of {settings.pair_scenes} scenes, each with the ends of up to
{settings.ends_per_scene} instructions, and on {settings.clips} clips; no other data, no other weights. The
combinations of `test_novel` occur in none of them.

- Device: {record["device"]}
- Training: {minutes:.0f} minutes in all, rendering and caching aside

| stage | minutes | steps | samples |
|---|---|---|---|
{rows}

It knows the actions, shapes and colours of its world and nothing else; photos from elsewhere come out wrong, and the
generator says so.

## Figures

{measured}

{record["before"]}"""
