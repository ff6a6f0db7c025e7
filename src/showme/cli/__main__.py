"""``python -m showme.cli``, which ``accelerate launch -m showme.cli`` starts in every process."""

from . import main

main()
