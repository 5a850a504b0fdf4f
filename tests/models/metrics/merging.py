"""Sets of rows that are merged as Beam merges them."""

import pickle

from hypothesis import strategies as st


def merged_in_any_order(shards, rows, data):
    """Rows spread over sets that are merged, any two, as Beam does; some travel between workers on the way."""
    for label, score, user in rows:
        data.draw(st.sampled_from(shards)).append(label, score, user)
    while len(shards) > 1:
        one = shards.pop(data.draw(st.integers(0, len(shards) - 1)))
        other = shards.pop(data.draw(st.integers(0, len(shards) - 1)))
        if data.draw(st.booleans()):
            other = pickle.loads(pickle.dumps(other))
        size = len(other)
        one.merge(other)
        assert len(other) == size
        shards.append(one)
    return shards[0]
