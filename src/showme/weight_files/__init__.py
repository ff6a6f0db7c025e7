"""Files of weights as others publish them, old and new: tensors alone are read, nothing in them is run."""
