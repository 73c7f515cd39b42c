"""Streams are documented, independent of each other and of what was drawn before."""

import itertools

import numpy as np

from mistdata.pipeline.streams import Streams


def first_words(rng):
    return rng.bit_generator.random_raw(8).tobytes()


def test_every_stream_is_its_own():
    streams = Streams(7)
    few = range(3)
    seen = [first_words(streams.of_plan(split)) for split in few]
    seen += [first_words(streams.of_parameters(*key)) for key in itertools.product(few, few)]
    seen += [first_words(streams.of_sample(*key)) for key in itertools.product(few, few, few)]
    seen += [first_words(Streams(8).of_plan(split)) for split in few]
    assert len(set(seen)) == len(seen) == 3 + 9 + 27 + 3


def test_a_stream_does_not_depend_on_what_was_drawn_before():
    streams = Streams(7)
    fresh = streams.of_sample(0, 5, 1).standard_normal(1000)
    streams.of_parameters(0, 5).integers(0, 10, size=7, dtype=np.uint32)  # leaves half a word
    assert (streams.of_sample(0, 5, 1).standard_normal(1000) == fresh).all()
    assert (Streams(7).of_sample(0, 5, 1).standard_normal(1000) == fresh).all()


def sfc64(a, b, c, count):
    """Run sfc64 in Python integers: the words after the twelve stirs that follow seeding."""
    mask, counter, words = 2**64 - 1, 1, []
    for _ in range(12 + count):
        word = (a + b + counter) & mask
        counter += 1
        a = b ^ (b >> 11)
        b = (c + (c << 3)) & mask
        c = (((c << 24) | (c >> 40)) + word) & mask
        words.append(word)
    return words[12:]


def test_streams_are_what_the_documentation_says():
    key = np.random.SeedSequence(7).generate_state(2, np.uint64)
    philox = np.random.Philox(key=key, counter=[0, 0, 3, 1])
    expected = np.random.Generator(philox).standard_normal(100)
    assert (Streams(7).of_parameters(1, 2).standard_normal(100) == expected).all()
    seed = np.random.Philox(key=key, counter=[0, 4, 3, 1]).random_raw(3).tolist()
    raw = Streams(7).of_sample(1, 2, 3).bit_generator.random_raw(50)
    assert raw.tolist() == sfc64(*seed, 50)


def test_neighbouring_streams_are_not_correlated():
    streams = Streams(7)
    draws = np.stack([streams.of_sample(0, d, r).random(4000) for d in range(10) for r in (0, 1)])
    correlations = np.corrcoef(draws)[np.triu_indices(20, 1)]
    assert np.abs(correlations).max() * np.sqrt(4000) < 5  # false alarm 1e-4
