"""docs/measurements/results.md: no figure is typed."""

from scripts import results


def test_the_tables_are_what_the_command_writes() -> None:
    page = results.PAGE.read_text()
    assert results.tables() in page, "a model, a report or a published figure changed: run python -m scripts.results"
    assert results.shipped() in (results.ROOT / "README.md").read_text(), (
        "a card changed: run python -m scripts.results"
    )


def test_every_published_figure_says_how_it_was_measured_and_what_of_its_source_was_read() -> None:
    for table in ("face", "voice", "both"):
        rows = results.published(table)
        assert rows
        for row in rows:
            assert all(row), row
            assert row[-1].split(": ")[-1] in ("abstract", "abstract and README", "list", "second hand"), row
