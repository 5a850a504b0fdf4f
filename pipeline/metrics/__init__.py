"""The Evaluator's metrics: TFMA classes over `models/metrics`, the config that blesses by them, the results.

`summary_metrics.py` and `guarded_change.py` hold the classes that an EvalConfig names, `eval_config.py`
writes that config, and `results.py` reads what TFMA wrote.
"""
