#!/usr/bin/env bash
# gradio 6.31.0: importing a module that subclasses one of its components writes a file beside that module.
#
# The metaclass of components writes type stubs for the listeners that it adds, NAME.pyi next to NAME.py, whenever a class
# is made: a whole copy of the source as it was, whose bodies of methods are kept. Where the folder cannot be written to,
# nothing is said. The copy stays when the source changes later, except for the class itself, and type checkers and editors
# read it in place of the source: here mypy misses an error that it finds without the stub.
#
# Setting a method on an object of gradio's own class writes nothing.
#
# Seen:
#   before the import: photo.py
#   after it: photo.py photo.pyi
#   mypy on the changed source, stub beside it: Success: no issues found in 1 source file
#   mypy without the stub: Found 1 error in 1 file (checked 1 source file)
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
venv/bin/uv pip install --quiet --python venv/bin/python gradio==6.31.0 mypy==2.4.0 pandas==2.3.3 numpy==2.4.6
mkdir code
cd code
cat > photo.py <<'PYTHON'
import gradio


def side() -> int:
    return 280


class Photo(gradio.Image):
    is_template = True
PYTHON
cat > use.py <<'PYTHON'
from photo import side

height: int = side()
PYTHON
list() { find . -maxdepth 1 -name 'photo.py*' -printf '%f\n' | sort | tr '\n' ' ' | sed 's/ $//'; }
before=$(list)
PYTHONDONTWRITEBYTECODE=1 GRADIO_ANALYTICS_ENABLED=False ../venv/bin/python -c "import photo"
after=$(list)
sed -i 's/-> int:/-> str:/; s/return 280/return "280"/' photo.py
check() { ../venv/bin/mypy --ignore-missing-imports --follow-imports=normal --no-incremental use.py 2>&1 | tail -1; }
beside=$(check || true)
rm -f photo.pyi
without=$(check || true)
echo "before the import: $before"
echo "after it: $after"
echo "mypy on the changed source, stub beside it: $beside"
echo "mypy without the stub: $without"
[ "$before" = "photo.py" ] && [ "$after" = "photo.py photo.pyi" ] || { echo "It has changed."; exit 1; }
[[ "$beside" == Success* && "$without" == "Found 1 error"* ]] || { echo "It has changed."; exit 1; }
