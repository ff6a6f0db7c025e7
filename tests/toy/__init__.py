"""A method and a backbone of another package, written against docs/architecture.md: see tests/test_plug_ins.py."""
