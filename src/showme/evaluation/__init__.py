"""Measuring generated pictures and videos."""
