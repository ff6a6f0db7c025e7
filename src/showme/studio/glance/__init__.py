"""Training runs and evaluations at a glance: losses, speed, memory, validation page and report of a folder of runs.

``listing.py``, ``reading.py`` and what they need know neither gradio nor torch; ``page.py`` is the studio's tab.
"""
