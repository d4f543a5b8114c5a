"""Claims about what capacity is reckoned from: tables of docs/, as they are written."""

import numpy as np

from benchmarks.serving.capacity import Row, Times, read_measured, simulate


def test_times_are_those_of_the_table_of_live_streams() -> None:
    rows, times, megabytes = read_measured()
    assert [row.streams for row in rows][:2] == [1, 4]
    assert all(isinstance(row, Row) and row.median <= row.p95 for row in rows)
    assert all(0.0005 < value < 0.05 for value in vars(times).values()), "milliseconds of a processor"
    assert 100 < megabytes < 2000


def test_few_streams_are_answered_in_time_and_too_many_are_not() -> None:
    times = Times(requests=0.01, call=0.005, made=0.005, load=0)
    few, answered, skipped = simulate(4, times, seconds=5)
    assert (answered, skipped) == (4 * 15, 0)
    assert np.quantile(few, 0.95) < 0.05
    many, _, skipped = simulate(40, times, seconds=5)  # 2 s of the process's work a second
    assert np.quantile(many, 0.95) > 0.5
    assert skipped > 0
