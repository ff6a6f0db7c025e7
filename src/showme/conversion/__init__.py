"""Published checkpoints into ours: one file per family, original keys in, our keys out."""
