"""Photos of any mode, orientation and shape as pictures of a model's size."""
