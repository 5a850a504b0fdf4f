"""Keras layers, one idea a file.

Three layouts of rows recur:
  * `[N, ...]`: one entry a row, as everywhere in Keras.
  * `[M, N, ...]`: set-major, one block for each of the M embedding sets, experts or gates. It is what a
    batched matrix product reads and writes, and a block is contiguous, so that taking one expert's output
    costs nothing.
  * Rows sorted by domain, with `rows_per_domain` [S]: what layers with weights of their own for every domain
    take; see `domain_routing.py`.
"""
