"""The paper's instruments: are the experts distinct, are the embeddings learned? On NumPy arrays, but for `capture.py`.

Names are imported from their modules, as in `from models.analysis.spectrum import information_abundance`.
"""
