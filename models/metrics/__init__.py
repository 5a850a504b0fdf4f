"""The one implementation of AUC, gAUC and log-loss: exact, vectorised, on NumPy arrays alone.

What uses it: validation during training, the Evaluator's TFMA metrics (`pipeline/metrics`), `crocodile
evaluate`. Names are imported from their modules, as in `from models.metrics.auc import auc`.
"""
