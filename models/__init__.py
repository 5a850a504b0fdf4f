"""Keras models: layers, losses, the zoo, exact metrics, the trainer and the export."""
