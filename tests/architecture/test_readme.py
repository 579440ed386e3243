"""What the README says of metrics is what the catalog says."""

from tests.architecture.readme import README, with_table


def test_the_readmes_table_of_metrics_is_the_catalogs() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text), "run: python tests/architecture/readme.py"
