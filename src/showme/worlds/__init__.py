"""Procedural worlds whose rendered clips train and test the video model."""
