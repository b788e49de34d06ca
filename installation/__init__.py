"""Installation of the built wheel as a user installs it, with pip and nothing of this repository."""
