"""The order of the tests: long ones first, so that they do not end alone."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(
        key=lambda item: (
            item.path.name != "test_smoke.py",  # the longest file of all
            item.get_closest_marker("workflow") is None,
        )
    )
