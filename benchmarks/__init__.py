"""What mgjax costs, side by side with what one would have without it: `python -m benchmarks [NAME...]`.

A benchmark is a module of this package with a function `measure()` that yields `Row`s; both sides are measured in one run.
"""
