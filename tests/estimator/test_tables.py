"""Symbols: what is counted, what bounds it, and that both are true."""

import math

import numpy as np
import pytest

import mistdata
from mistdata.estimator.tables import ROWS, bound, counted, refuted, symbols

LEVELS = (0.05, 0.5, 0.95)
LN2 = math.log(2)


def column(values):
    return np.asarray(values, dtype=float)[:, None]


def of_table(counts):
    """Rows of which a table has these counts."""
    cells = np.argwhere(np.ones_like(counts))
    return np.repeat(cells, np.ravel(counts), axis=0).astype(float)


def test_counts_of_a_table_by_hand():
    """The table [[30, 10], [10, 50]]; I = Σ p ln(p / (p_x p_y)), all cells occupied."""
    rows = of_table(np.array([[30, 10], [10, 50]]))
    p = np.array([[0.3, 0.1], [0.1, 0.5]])
    gain = np.log(p / np.outer(p.sum(axis=1), p.sum(axis=0)))
    plain = (p * gain).sum()
    variance = (p * (gain - plain) ** 2).sum() / 100 + 1 / (2 * 100**2)
    found = counted(symbols(rows[:, :1]), symbols(rows[:, 1:]))
    assert found.value == pytest.approx(plain - 1 / 200)
    assert found.error == pytest.approx(math.sqrt(variance * (1 + 8 / 100)))


def test_a_cell_that_never_occurs_takes_less_bias_away():
    rows = of_table(np.array([[50, 0], [0, 50]]))
    found = counted(symbols(rows[:, :1]), symbols(rows[:, 1:]))
    assert found.value == pytest.approx(LN2 - (1 + (2 - 2 - 2 + 1)) / 400)
    assert found.error == pytest.approx(math.hypot((1 / 20_000 * 1.08) ** 0.5, 2 / 400))


def test_symbols_number_the_values_of_several_columns():
    rng = np.random.default_rng(0)
    side = rng.integers(0, 3, (200, 2)) * [1.0, 7.5]
    found = symbols(side)
    assert found.size == len(np.unique(side, axis=0))
    _, codes = np.unique(side, axis=0, return_inverse=True)
    assert len(set(zip(found.codes.tolist(), codes.ravel().tolist(), strict=True))) == found.size


def test_sides_of_many_values_and_tables_of_many_cells_are_not_counted():
    rng = np.random.default_rng(1)
    assert symbols(rng.normal(size=(100, 1))) is None
    assert symbols(np.repeat(np.arange(50.0), 2)[:, None]).size == 50
    assert symbols(np.arange(102.0)[:, None] // 1.5) is None
    wide = rng.integers(0, 2, (100, 9)).astype(float)  # few values each, many together
    assert symbols(wide) is None
    five = symbols(column(rng.integers(0, 5, 25 * ROWS - 1)))
    assert counted(five, five) is None
    assert bound((None, None), LEVELS) is None


@pytest.mark.parametrize("n", [8, 9, 12])
def test_the_entropy_bounds_the_shortest_samples(n):
    x = np.arange(n) % (3 if n == 12 else 2)
    found = mistdata.estimate(x, x)
    most = symbols(column(x)).entropy()
    assert found.upper <= most.value + 1.645 * most.error + 1e-9


def random_table(rng):
    """Probabilities of a table: independent, of any shape, or nearly a function."""
    kx, ky = rng.integers(2, 9, 2)
    px, py = rng.dirichlet(np.full(kx, 3.0)), rng.dirichlet(np.full(ky, 3.0))
    kind = rng.integers(3)
    if kind == 0:
        return np.outer(px, py)
    if kind == 1:
        return rng.dirichlet(np.full(kx * ky, 10 ** rng.uniform(-1, 1))).reshape(kx, ky)
    table = np.zeros((kx, ky))
    table[np.arange(kx), rng.integers(0, ky, kx)] = px
    return 0.9 * table + 0.1 * np.outer(px, table.sum(axis=0))


def information(p):
    product = np.outer(p.sum(axis=1), p.sum(axis=0))
    return float((p[p > 0] * np.log(p[p > 0] / product[p > 0])).sum())


def test_intervals_of_counted_tables_hold_the_truth():
    """Tables just large enough to be counted, up to twenty times as many rows."""
    rng = np.random.default_rng(2)
    held, alarms, independent, errors = [], 0, 0, []
    for _ in range(3000):
        p = random_table(rng)
        truth = information(p)
        n = int(p.size * ROWS * 20 ** rng.uniform())
        rows = of_table(rng.multinomial(n, p.ravel()).reshape(p.shape))
        found = counted(symbols(rows[:, :1]), symbols(rows[:, 1:]))
        low, _, high = found.quantiles(LEVELS)
        held.append(low <= truth + 1e-9 and truth - 1e-9 <= high)
        errors.append(found.value - truth)
        if truth < 1e-9:
            independent += 1
            alarms += low > 0
    assert 0.88 < np.mean(held) < 0.97
    assert abs(np.mean(errors)) < 0.003
    assert alarms / independent < 0.03


def intervals_hold(p, n, rng, times=300):
    """Share of 90 % intervals that hold the truth, and of those that begin above 0."""
    held = alarms = 0
    for _ in range(times):
        rows = of_table(rng.multinomial(n, p.ravel()).reshape(p.shape))
        low, _, high = counted(symbols(rows[:, :1]), symbols(rows[:, 1:])).quantiles(LEVELS)
        held += low <= information(p) + 1e-9 and information(p) - 1e-9 <= high
        alarms += low > 0
    return held / times, alarms / times


@pytest.mark.parametrize(("count", "n"), [(3, 60), (6, 180), (8, 320), (8, 2000)])
def test_intervals_of_copies_hold_their_entropy(count, n):
    rng = np.random.default_rng(11)
    assert intervals_hold(np.diag(np.full(count, 1 / count)), n, rng)[0] > 0.95


def test_intervals_of_blocks_hold_the_truth():
    p = np.kron(np.eye(4), np.full((2, 2), 1 / 16))
    assert intervals_hold(p, 640, np.random.default_rng(12))[0] > 0.95


@pytest.mark.parametrize("n", [2000, 5000])
def test_skewed_counts_are_no_information(n):
    """Fifteen values of Zipf's law: most cells are rare."""
    share = np.arange(1.0, 16.0) ** -1.5
    share /= share.sum()
    held, alarms = intervals_hold(np.outer(share, share), n, np.random.default_rng(13))
    assert held > 0.9 and alarms < 0.08


LARGE = {  # too many cells to be counted, y an invertible function of x or a sum of its digits
    "bijection": (30, 1, lambda x: 7 * x[:, 0] % 30),
    "sum": (6, 2, lambda x: x.sum(axis=1) % 6),
}


@pytest.mark.parametrize("pattern", LARGE)
@pytest.mark.parametrize("model", ["small", "base"])
def test_a_large_table_refutes_a_network_that_sees_nothing_in_it(pattern, model):
    values, columns, function = LARGE[pattern]
    x = np.random.default_rng(14).integers(0, values, (1000, columns))
    y, truth = function(x), math.log(values)
    assert counted(symbols(x.astype(float)), symbols(column(y))) is None
    found = mistdata.estimate(x, y, model=model, units="bits")
    assert found.by == "table" and "table of the symbols holds" in found.warnings[-1]
    assert found.lower <= truth / LN2 + 1e-9 and found.upper >= truth / LN2 - 0.05
    assert found.median > 0.85 * truth / LN2
    assert list(found.quantiles) == sorted(found.quantiles)


@pytest.mark.parametrize("count", [60, 100, 150, 300])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_tables_of_a_few_rows_a_symbol_hold_the_truth(count, noise):
    """An invertible map of which a share of the rows knows nothing: hardly a cell has two rows."""
    rng = np.random.default_rng(16)
    kept = 1 - noise + noise / count
    truth = math.log(count) + kept * math.log(kept)
    truth += noise and (1 - kept) * math.log(noise / count)
    held = []
    for _ in range(50):
        x = rng.integers(0, count, 1000)
        y = np.where(rng.random(1000) < noise, rng.integers(0, count, 1000), 7919 * x % count)
        found = refuted(symbols(column(x)), symbols(column(y)), LEVELS, np.zeros(len(LEVELS)))
        low, middle, high = found.quantiles(LEVELS)
        held.append(low <= truth <= high)
        assert middle > 0.55 * truth
    assert np.mean(held) > 0.9


def test_copied_rows_that_refute_leave_the_lower_end_and_say_so():
    rng = np.random.default_rng(17)
    x, y = rng.normal(size=(2, 500))
    rows = np.r_[np.tile(np.arange(500), 2), np.arange(100)]  # not all equally often
    found = mistdata.estimate(x[rows], y[rows])
    assert found.lower < 0.05 and 0 < found.median < math.log(500)
    assert found.by == "table" and "copies of others" in found.warnings[-1]


@pytest.mark.parametrize(("kx", "ky", "n"), [(20, 20, 100), (30, 30, 1000), (50, 3, 100)])
@pytest.mark.parametrize("skew", [0.0, 1.5])
def test_independent_symbols_of_large_tables_refute_nothing(kx, ky, n, skew):
    rng = np.random.default_rng(15)
    alarms = 0
    for _ in range(100):
        x, y = (
            symbols(column(rng.choice(k, n, p=share / share.sum())))
            for k, share in ((k, np.arange(1.0, k + 1) ** -skew) for k in (kx, ky))
        )
        alarms += refuted(x, y, LEVELS, np.zeros(len(LEVELS))) is not None
    assert alarms == 0


def test_the_entropy_bounds_what_it_should():
    rng = np.random.default_rng(3)
    p = np.array([0.5, 0.3, 0.15, 0.05])
    truth = float(-(p * np.log(p)).sum())
    found = [symbols(column(rng.choice(4, 300, p=p))).entropy() for _ in range(400)]
    values = np.array([each.value for each in found])
    assert values.mean() == pytest.approx(truth, abs=0.004)
    assert np.mean([each.error for each in found]) == pytest.approx(values.std(), rel=0.1)


@pytest.mark.parametrize("n", [100, 1000, 10_000])
def test_an_exclusive_or_of_bits_is_seen(n):
    rng = np.random.default_rng(4)
    x = rng.integers(0, 2, (n, 2))
    y = x[:, 0] ^ x[:, 1] ^ (rng.random(n) < 0.02)
    found = mistdata.estimate(x, y, level=0.98)
    truth = LN2 + 0.02 * math.log(0.02) + 0.98 * math.log(0.98)
    assert found.by == "table" and found.lower <= truth <= found.upper
    assert found.median == pytest.approx(truth, abs=0.15)


@pytest.mark.parametrize(
    ("count", "truth"), [(2, LN2), (12, math.log(12)), (32, math.log(32))]
)  # fmt: skip
def test_a_copy_tells_no_more_than_its_entropy(count, truth):
    x = np.random.default_rng(5).integers(0, count, 500)
    words = [f"word {value}" for value in x]
    for one, other in ((x, x), (words, words), (x, 3 * x + np.arange(500) % 2 * 1e-3)):
        found = mistdata.estimate(one, other)
        assert found.upper <= truth + 0.1
        assert found.median > 0.5 * truth


def test_a_cut_answer_says_so_and_is_no_lower_bound():
    x = np.random.default_rng(6).integers(0, 32, 500)
    found = mistdata.estimate([f"{v} a" for v in x], [f"{v} b" for v in x], units="bits")
    said = " ".join(found.warnings)
    assert "entropy of X or of Y" in said and "lower bound" not in said
    assert found.median == pytest.approx(5, abs=0.1)


def test_counted_answers_say_so_and_speak_only_of_the_rows():
    x = np.random.default_rng(7).integers(0, 2, 20_000).astype(float)
    x[3] = np.nan
    found = mistdata.estimate(x, np.roll(x, 1))
    assert found.by == "table" and str(found).startswith("0.000 nats")
    assert "(19998 rows, 2 dropped, by table)" in str(found)
    assert len(found.warnings) == 1 and "missing value" in found.warnings[0]


def test_a_matrix_counts_pairs_of_symbols_and_asks_the_network_of_the_others():
    rng = np.random.default_rng(8)
    bit, number = rng.integers(0, 2, 400), rng.normal(size=400)
    done = []
    frame = {"bit": bit, "flipped": 1 - bit, "number": number + bit}
    pairs = {
        (pair.x, pair.y): pair.estimate
        for pair in mistdata.matrix(frame, on_done=done.append).pairs
    }
    assert sum(done) == len(pairs) == 3
    assert pairs["bit", "flipped"].by == "table"
    assert pairs["bit", "flipped"].median == pytest.approx(LN2, abs=0.01)
    assert pairs["bit", "number"].by == "neighbours"
    assert pairs["bit", "number"].upper <= LN2 + 0.02
