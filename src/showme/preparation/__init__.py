"""Preparing data: labels and scores of every clip, computed once; joins sources, estimators and the cache."""
