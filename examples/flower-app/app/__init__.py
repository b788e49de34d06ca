"""A Flower app as `flwr new` makes one."""
