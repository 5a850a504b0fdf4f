"""Raw impression logs to typed columns: dataset specs, readers, row checks, splits, the demo log.

This package imports no TensorFlow, so that looking at a log costs no more than Arrow does.
"""
