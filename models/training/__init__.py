"""Training: input, optimizers, validation, checkpoints and the loop that ties them."""
