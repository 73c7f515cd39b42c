"""Any sequence of runs, crashes, damages, repairs and seals ends in the same bytes."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mistdata.errors import MistdataError
from mistdata.pipeline.run import InProcess, generate
from mistdata.repair import repair
from mistdata.store import layout, ledger
from mistdata.store.seal import seal
from mistdata.verify import verify
from tests.brief import brief_plan
from tests.damage import flip
from tests.faults.crashing import run_in_child

PLAN = brief_plan()


class Store(RuleBasedStateMachine):
    """A store, and what is known of it: which files are damaged, which shards are durable."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mistdata-machine-"))
        self.store = self.folder / "store"
        self.expected = generate(PLAN, self.folder / "undisturbed", InProcess()).digest
        self.damaged = set()

    def teardown(self):
        """Remove the folder."""
        shutil.rmtree(self.folder)

    @property
    def begun(self):
        """Whether there is a store."""
        return (self.store / ledger.RECORD).exists()

    def durable(self):
        """The shards whose receipts are there."""
        return {shard.index for shard in PLAN.shards if (self.store / shard.receipt).exists()}

    @precondition(lambda self: not self.damaged)
    @rule(shards=st.lists(st.integers(0, len(PLAN.shards) - 1), min_size=1, unique=True))
    def fill(self, shards):
        """Fill some shards."""
        generate(PLAN, self.store, InProcess(), shards=shards)
        assert set(shards) <= self.durable()

    @precondition(lambda self: not self.damaged)
    @rule(point=st.integers(0, 110), power_cut=st.booleans())
    def crash(self, point, power_cut):
        """Run to the end, or to a crash on the way."""
        run_in_child(PLAN, self.store, point, power_cut)

    @precondition(lambda self: self.begun and not self.damaged)
    @rule()
    def seal(self):
        """Seal, which needs every shard."""
        if len(self.durable()) == len(PLAN.shards):
            assert seal(self.store).digest == self.expected
        else:
            with pytest.raises(MistdataError):
                seal(self.store)

    @precondition(lambda self: self.begun)
    @rule(data=st.data(), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def flip(self, data, where, bit):
        """Flip a bit of a file that a store of this state answers for."""
        path = data.draw(st.sampled_from(self.answered_for()))
        position = int(where * path.stat().st_size)
        flip(path, position, bit)
        self.damaged ^= {(path, position, bit)}  # twice is none

    def answered_for(self):
        """Files whose every byte is known: all of a sealed store, else plan and durable shards."""
        if ledger.is_sealed(self.store):
            files = (
                [self.store / name for name in ledger.read_manifest(self.store).files]
                if not (self.damaged)
                else [path for path, _, _ in self.damaged]
            )
            return sorted([*files, self.store / ledger.MANIFEST])
        names = layout.metadata_files(ledger.count_shards(PLAN.shards))
        plan = [self.store / name for name in (ledger.RECORD, ledger.PLANNED, *names)]
        durable = [shard for shard in PLAN.shards if shard.index in self.durable()]
        return [path for path in plan if path.exists()] + [
            self.store / name for shard in durable for name in (shard.file, shard.receipt)
        ]

    @precondition(lambda self: self.begun)
    @rule()
    def verify(self):
        """Damage is found, and nothing else is called damage."""
        try:
            ok = verify(self.store).ok
        except MistdataError:
            ok = False
        if self.damaged or (self.store / ledger.PLANNED).exists():
            assert ok == (not self.damaged)

    @precondition(lambda self: self.damaged)
    @rule()
    def repair(self):
        """What is damaged is made again."""
        done = repair(self.store, InProcess(), recipe=PLAN.recipe)
        assert done.after.ok, done.after.problems
        self.damaged = set()

    @invariant()
    def a_sealed_store_is_the_expected_one(self):
        """A manifest means every dataset, once, with the bytes of the plan."""
        if not self.damaged and ledger.is_sealed(self.store):
            assert ledger.read_manifest(self.store).digest == self.expected


BRIEF = settings(max_examples=8, stateful_step_count=15, phases=[Phase.generate])
LONG = settings(BRIEF, max_examples=40, stateful_step_count=40)
Store.TestCase.settings = BRIEF
TestStore = Store.TestCase


@pytest.mark.slow
class TestStoreAtLength(Store.TestCase):
    """The same, longer."""

    settings = LONG
