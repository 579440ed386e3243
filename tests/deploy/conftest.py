"""What tests of the chart share."""

from collections.abc import Iterator

import pytest
from tests.deploy.charts import Charts
from tests.deploy.helm_render import ABSENT, helm


@pytest.fixture(scope="session")
def charts() -> Iterator[Charts]:
    with helm() as found:
        if found is None:
            pytest.skip(ABSENT)
        yield Charts(found)
