"""COVERAGE.md says what is true."""

from tests.corpus import coverage


def test_the_committed_file_is_the_generated_one():
    assert coverage.COVERAGE.read_text() == coverage.generate(), "run `python -m tests.corpus.coverage`"
