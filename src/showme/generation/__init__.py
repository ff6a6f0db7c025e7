"""From a photo file and an instruction to a folder with a picture, a video and a page; ``run.generate`` does it all.

Nothing here imports torch before every cheap check has passed.
"""
