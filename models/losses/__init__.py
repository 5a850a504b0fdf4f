"""Training losses: pure functions on tensors, with thin Keras classes over them."""
