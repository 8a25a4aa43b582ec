"""The order of the tests, and what becomes of those that this machine lacks something for."""

import os

# before numpy, torch and scikit-learn are imported: the workers share the cores, and a thread that
# waits for another one spins. What the tests start inherits it; a build of test_smoke.py does not
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import pytest  # noqa: E402

pytest_plugins = ["support.cpu_times"]


def pytest_configure(config: pytest.Config) -> None:
    line = "needs(reason): skipped for this reason, or failed in CI; None where nothing is missing"
    config.addinivalue_line("markers", line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long ones first, so that they do not end alone."""
    items.sort(
        key=lambda item: (
            item.path.name != "test_smoke.py",  # the longest file of all
            item.get_closest_marker("workflow") is None,
        )
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """In CI, where .ci/run installs everything, a test that cannot run is a failure in one line."""
    for reason in (mark.args[0] for mark in item.iter_markers("needs")):
        if reason and os.environ.get("CI") == "true":
            pytest.fail(f"CI has to run this test: {reason}", pytrace=False)
        if reason:
            pytest.skip(reason)
