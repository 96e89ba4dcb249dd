"""What a TensorArray refuses, read off the graph."""

import pytest

from mgjax.errors import InvalidArgumentError
from tests.passes.test_thread_arrays import threaded

MADE = """func @main(%x: float32[], %i: int32[], %p: bool[]) {
  %n = Const() {dtype = int32, value = int32[]<3>} : (int32[])
  %zero = Const() {dtype = int32, value = int32[]<0>} : (int32[])
  %one = Const() {dtype = int32, value = int32[]<1>} : (int32[])
  %a = TensorArrayV3(%n) {ATTRIBUTES} : (resource[], float32[])
  %f1 = TensorArrayWriteV3(%a, %zero, %x, %a:1) : (float32[])
"""


def run(lines, attributes="clear_after_read = true"):
    threaded(MADE.replace("ATTRIBUTES", attributes) + lines + "  return %x\n}")


WRITE = "%f2 = TensorArrayWriteV3(%a, %zero, %x, %f1) : (float32[])\n"
READ = "%r1 = TensorArrayReadV3(%a, %zero, %f1) : (float32[])\n"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (WRITE, "Could not write to TensorArray index 0 because it has already been written to"),
        (READ + READ.replace("r1", "r2"), "Could not read index 0 twice"),
        (READ.replace("zero", "one"), "Could not read from TensorArray index 1"),
        ("%c = TensorArrayCloseV3(%a) : ()\n" + READ, "already been closed"),
        (READ + "%all = TensorArrayConcatV3(%a, %f1) : (float32[?], int64[?])\n", "index 0 twice"),
    ],
)
def test_what_is_wrong_in_any_case_is_refused(lines, problem):
    with pytest.raises(InvalidArgumentError, match=problem):
        run(lines)


def test_an_array_that_keeps_what_is_read_may_be_read_again():
    run(READ + READ.replace("r1", "r2"), "clear_after_read = false")


def test_an_element_of_known_shape_may_be_read_before_it_is_written():
    run(READ.replace("zero", "one"), "element_shape = []")


def test_nothing_is_said_of_elements_that_only_the_values_name():
    run(WRITE.replace("%zero", "%i") + READ.replace("%zero", "%one"))
