"""
The vote rollup in Bytewax with one worker, an epoch of 2 s, and state in its recovery store. A whole batch of a
partition is one item, so that Bytewax's own work per vote is none; votes are plain loops in Python.

Bytewax promises at least once: what it wrote after its last epoch is written again after a crash. The other
entrants that compute pay for exactly once in their figures; Bytewax does not.
"""

from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax._bytewax import cli_main
from bytewax.connectors.kafka import KafkaSink
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir

import race
from rollup import Rollup
from votes_source import VotesSource


def rollup_flow() -> Dataflow:
    flow = Dataflow("votes")
    votes = op.input("votes", flow, VotesSource())
    rollups = op.stateful_batch("rollup", votes, Rollup)
    sink = KafkaSink([race.BROKERS], race.OUT, {"linger.ms": 50})
    op.output("out", op.key_rm("unkey", rollups), sink)
    return flow


if __name__ == "__main__":
    store = Path(race.STATE_FOLDER)
    store.mkdir(parents=True)
    init_db_dir(store, 1)
    race.start_progress()
    cli_main(
        rollup_flow(),
        epoch_interval=timedelta(milliseconds=race.COMMIT_EVERY_MS),
        recovery_config=RecoveryConfig(store),
    )
