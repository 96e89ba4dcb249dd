"""The inspector on graphs that people left behind: what it says of support and feeds is what the compiler says."""

import os
from pathlib import Path

import pytest

import mgjax
from mgjax.errors import UnsupportedError
from mgjax.lowering import compile_program

WILD = Path(os.environ.get("MGJAX_CORPUS", Path(__file__).parents[3] / "shared" / "corpus")) / "wild"
FILES = sorted(WILD.glob("*/model.meta"))


@pytest.mark.parametrize("path", FILES or [pytest.param(None, marks=pytest.mark.skip("no ../shared/corpus here"))],
                         ids=lambda path: path.parent.name if path else "none")  # fmt: skip
def test_outputs_compile_from_the_inputs_that_they_are_said_to_need(path):
    report = mgjax.inspect(path)
    assert (report.checkpoint is None or not report.checkpoint.problems) and "likely outputs" in str(report)
    fn, _ = mgjax.import_meta_graph(path)
    for output in report.outputs[:4]:
        try:
            compile_program(fn.graph, output.needs, [output.tensor.name], (), fn.lowerings)
        except UnsupportedError as error:
            assert output.unsupported and all(op in str(error) for op in output.unsupported)
        else:
            assert not output.unsupported
