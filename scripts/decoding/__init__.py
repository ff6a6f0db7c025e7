"""What `scripts/decoding_matrix.py` compares: kinds of video files, and what the ffmpeg command sees in them."""
