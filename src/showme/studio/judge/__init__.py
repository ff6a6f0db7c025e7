"""Judging in a browser: two clips beside each other, nobody knows whose, and a page of what was found for the owner.

A study's folder holds ``study.json`` and ``answers.sqlite`` (:mod:`showme.judging`), and beside them what is of the
pages: ``secret``, a key that this machine's user alone may read, and ``clips/``, every candidate's clips encoded alike
under names that say nothing. What judges see is these copies: clips that are generated anew change no study.
"""
