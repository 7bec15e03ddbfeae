"""What runs of two schedulers say about each other, wherever the runs were made."""
