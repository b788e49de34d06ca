"""A Flower app that fine-tunes a vision transformer with LoRA."""
