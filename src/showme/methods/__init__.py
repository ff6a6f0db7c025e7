"""One folder per paper; the same file names in each: config, objective, pipeline, README."""
