"""Stages of training the embedded model; scripts/train_embedded.py runs them in order."""
