"""A Flower app that trains, unlearns and proves, for palimpsest to audit."""
