"""The page in a browser: the same calls as the command line, behind a queue and a history.

Nothing here is imported by the rooms below; gradio comes with the extra ``studio``.
"""
