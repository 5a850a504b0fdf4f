"""The tests' own machinery."""

import pytest


def test_the_tests_of_one_file_share_a_worker(request: pytest.FixtureRequest) -> None:
    """Else every worker makes the shared runs anew, and tests that follow one another meet another's leavings."""
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith(f"@{request.node.path}")
