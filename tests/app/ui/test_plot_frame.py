"""The labels of axes: few, round, inside the frame, and where their values are drawn."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.ui.plot_frame import Frame

VALUES = st.floats(-1e6, 1e6)


@given(VALUES, st.floats(1e-6, 1e6), st.integers(1, 10**7))
def test_labels_are_few_and_at_their_values(low: float, span: float, last: int) -> None:
    frame = Frame(last, low, low + max(span, abs(low) * 1e-6))
    for labels in (frame.values(), frame.steps()):
        assert 1 <= len(labels) <= 7 and len({label for label, _ in labels}) == len(labels)
        assert all(0 <= place <= 100 for _, place in labels)
    for label, top in frame.values():
        assert abs(frame.place(0, float(label))[1] - top) < 0.5
    for label, left in frame.steps():
        assert abs(100 * int(label.replace(",", "")) / last - left) < 0.01


def test_labels_are_round() -> None:
    assert [label for label, _ in Frame(30, 0.4, 3.3).values()] == ["1", "2", "3"]
    assert [label for label, _ in Frame(30, 2.11, 2.18).values()] == ["2.12", "2.14", "2.16", "2.18"]
    assert [label for label, _ in Frame(30, 0, 1).steps()] == ["0", "10", "20", "30"]
    assert [label for label, _ in Frame(2000, 0, 1).steps()] == ["0", "500", "1,000", "1,500", "2,000"]
    assert [label for label, _ in Frame(1, 0, 1).steps()] == ["0", "1"]


def test_a_frame_holds_what_it_is_made_around() -> None:
    curves = [[(0, 9.0), (10, 3.0), (20, 2.5)], [(20, 2.9)]]
    frame = Frame.around(curves, last=40, after=1)
    assert frame.low < 2.5 and 3.0 < frame.high < 9.0
    assert frame.place(0, 9.0) == (0.0, 0.0) and frame.place(20, 2.5)[0] == 50.0
    level = Frame.around([[(1, 2.0)]], last=1)
    assert level.low < 2.0 < level.high
