"""The suffix array against a plain sort."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pretrained.corpora.suffix_array import suffix_array


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("ab\0Ā"), min_size=1, max_size=60), st.integers(1, 70))
def test_suffix_array_is_a_sort(text, depth):
    order = suffix_array(text, depth)
    assert sorted(order) == list(range(len(text)))
    suffixes = [text[place:][:depth] for place in order]
    assert suffixes == sorted(suffixes)


def test_suffix_array_of_one_long_note():
    assert suffix_array("a" * 1000, 1001).tolist() == list(range(999, -1, -1))
