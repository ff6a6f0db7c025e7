"""A Hugging Face Space of the studio (SDK gradio): this file, and requirements.txt beside it."""

from showme.studio.run import run

run({"host": "0.0.0.0", "folder": "/tmp/studio"}, reindex=False, share=False, say=print)
