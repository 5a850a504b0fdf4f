"""Warm start: a training that goes on from the weights of an exported model, whatever became of the vocabularies."""
