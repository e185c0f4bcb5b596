"""The race's rules, where to read and write, and a progress line every 25 ms for bench/support/consumer-run.ts."""

import json
import os
import threading
import time

WINDOW_MS = 5 * 60_000
GRACE_MS = 30_000
# A repetition is one only if its event time is at most this far from the first.
REPETITION_MS = 10 * 60_000

BROKERS = os.environ["KAFKA_BROKERS"]
VOTES = os.environ["BENCH_TOPIC"]
OUT = os.environ["BENCH_OUT"]
GROUP = os.environ["BENCH_GROUP"]
STATE_FOLDER = os.environ["BENCH_STATE"]
COMMIT_EVERY_MS = int(os.environ["BENCH_EPOCH_MS"])

_records = 0


def count_records(count: int) -> None:
    """Called by the one worker, which is the only writer."""
    global _records
    _records += count


def start_progress() -> None:
    threading.Thread(target=_report_progress, daemon=True).start()


def _report_progress() -> None:
    while True:
        progress = {
            "at": time.time_ns() // 1_000_000,
            "records": _records,
            "rssMiB": _rss_mib(),
            "cpuMs": time.process_time_ns() // 1_000_000,
        }
        print(json.dumps(progress), flush=True)
        time.sleep(0.025)


def _rss_mib() -> int:
    """The second figure of /proc/self/statm is in pages of 4 KiB."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) // 256
