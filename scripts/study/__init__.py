"""The study of ShowMe's parts on the embedded model."""
