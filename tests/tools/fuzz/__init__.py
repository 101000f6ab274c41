"""Hostile input: what every reader must withstand, tried by machine.

`python -m tests.tools.fuzz midi --seconds 600` fuzzes one reader; the tests do a little of
it each time.
"""
