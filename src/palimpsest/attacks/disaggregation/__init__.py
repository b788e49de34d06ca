"""Attacks that take the gradient of a batch apart into its samples, through the first linear layer."""
