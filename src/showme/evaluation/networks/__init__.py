"""Frozen networks that metrics look with."""
