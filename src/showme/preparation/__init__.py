"""Preparing data: labels and scores of every clip, computed once; what puts sources, eyes and the cache together."""
