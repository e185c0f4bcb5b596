"""The state of one partition: seen votes and open windows, as plain dictionaries."""

import pickle
from collections.abc import Iterable

import msgspec
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.operators import StatefulBatchLogic
from fastdigest import TDigest

import race

# How many latencies a window keeps as they are before they go into its digest.
BUFFERED = 1_000


class Vote(msgspec.Struct):
    validator: str
    voteAccount: str
    votedSlot: int
    landedSlot: int
    timestamp: int


class Summary:
    __slots__ = ("count", "sum", "min", "max", "digest", "buffer")

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0
        self.min: int | None = None
        self.max: int | None = None
        self.digest = TDigest(max_centroids=100)
        self.buffer: list[int] = []

    def fold(self) -> None:
        """Figures and digest from what is buffered; a list at once is far cheaper than value by value."""
        values = self.buffer
        if not values:
            return
        self.count += len(values)
        self.sum += sum(values)
        low, high = min(values), max(values)
        self.min = low if self.min is None else min(self.min, low)
        self.max = high if self.max is None else max(self.max, high)
        self.digest.batch_update(values)
        self.buffer = []

    def to_json(self, validator: str, start: int) -> bytes:
        self.fold()
        p50, p95, p99 = self.digest.quantile_vec([0.5, 0.95, 0.99])
        return msgspec.json.encode(
            {
                "window": {"start": start, "end": start + race.WINDOW_MS},
                "scope": "validator",
                "id": validator,
                "count": self.count,
                "sum": self.sum,
                "min": self.min,
                "max": self.max,
                "p50": p50,
                "p95": p95,
                "p99": p99,
            }
        )


class Rollup(StatefulBatchLogic):
    """One partition's votes in, rollups of its closed windows out. Resumes from `snapshot`."""

    def __init__(self, resume_state: bytes | None):
        self._decode = msgspec.json.Decoder(Vote).decode
        # Event time of the first vote, by account and voted slot.
        self._firsts: dict[str, dict[int, int]] = {}
        # By start and validator.
        self._windows: dict[int, dict[str, Summary]] = {}
        self._watermark = 0
        self._forgotten_at = 0
        if resume_state is not None:
            (self._firsts, self._windows, self._watermark, self._forgotten_at) = pickle.loads(
                resume_state
            )

    def on_batch(self, batches: list[list[bytes]]) -> tuple[Iterable[KafkaSinkMessage], bool]:
        for values in batches:
            self._add(values)
            race.count_records(len(values))
        self._forget()
        return self._close(), StatefulBatchLogic.RETAIN

    def _add(self, values: list[bytes]) -> None:
        """A repetition is judged before lateness, and the first wins."""
        decode, windows, all_firsts = self._decode, self._windows, self._firsts
        watermark = self._watermark
        for value in values:
            vote = decode(value)
            timestamp = vote.timestamp
            if timestamp > watermark:
                watermark = timestamp
            firsts = all_firsts.get(vote.voteAccount)
            if firsts is None:
                firsts = all_firsts[vote.voteAccount] = {}
            slot = vote.votedSlot
            first = firsts.get(slot)
            if first is not None and abs(timestamp - first) <= race.REPETITION_MS:
                continue
            firsts[slot] = timestamp
            start = timestamp - timestamp % race.WINDOW_MS
            if start + race.WINDOW_MS + race.GRACE_MS <= watermark:
                continue
            of_validators = windows.get(start)
            if of_validators is None:
                of_validators = windows[start] = {}
            summary = of_validators.get(vote.validator)
            if summary is None:
                summary = of_validators[vote.validator] = Summary()
            buffer = summary.buffer
            buffer.append(vote.landedSlot - slot)
            if len(buffer) >= BUFFERED:
                summary.fold()
        self._watermark = watermark

    def _close(self) -> list[KafkaSinkMessage]:
        closed: list[KafkaSinkMessage] = []
        for start in sorted(self._windows):
            if start + race.WINDOW_MS + race.GRACE_MS > self._watermark:
                break
            for validator, summary in self._windows.pop(start).items():
                value = summary.to_json(validator, start)
                closed.append(KafkaSinkMessage(key=validator.encode(), value=value))
        return closed

    def _forget(self) -> None:
        """Once per stretch; twice the stretch behind the watermark a repetition is too late for any window."""
        if self._watermark < self._forgotten_at + race.REPETITION_MS:
            return
        self._forgotten_at = self._watermark
        before = self._watermark - 2 * race.REPETITION_MS
        for account, firsts in self._firsts.items():
            self._firsts[account] = {slot: at for slot, at in firsts.items() if at >= before}

    def snapshot(self) -> bytes:
        """Bytes at once, since Bytewax pickles what it gets only later."""
        state = (self._firsts, self._windows, self._watermark, self._forgotten_at)
        return pickle.dumps(state, pickle.HIGHEST_PROTOCOL)
