"""Clips with instructions: where they are, how they are decoded, and what is computed from them once."""
