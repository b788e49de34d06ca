"""Solution of a proof's equations layer by layer, from the last linear layer to the image, with certificates."""
