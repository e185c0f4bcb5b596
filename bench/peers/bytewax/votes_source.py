"""
Bytewax's Kafka source without what a rollup does not need. Its own hands over one object per message, with
eight fields read from librdkafka; this one hands over a partition's messages as one item.
"""

from bytewax.connectors.kafka import KafkaSource
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

import race

BATCH = 5_000


class VotesSource(FixedPartitionedSource):
    """Items are (partition, values of some messages of it)."""

    def list_parts(self) -> list[str]:
        return KafkaSource([race.BROKERS], [race.VOTES]).list_parts()

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "VotesPartition":
        partition, topic = for_part.split("-", 1)
        return VotesPartition(topic, int(partition), resume_state)


class VotesPartition(StatefulSourcePartition):
    def __init__(self, topic: str, partition: int, resume_state: int | None):
        self._topic = topic
        self._partition = partition
        self._key = str(partition)
        self._offset = OFFSET_BEGINNING if resume_state is None else resume_state
        self._saved = self._offset
        self._consumer = Consumer(
            {
                "bootstrap.servers": race.BROKERS,
                "group.id": race.GROUP,
                "enable.auto.commit": False,
                "max.partition.fetch.bytes": 2 * 1024 * 1024,
                "fetch.max.bytes": 16 * 1024 * 1024,
                # The default is 64 MiB for each partition's own consumer.
                "queued.max.messages.kbytes": 8 * 1024,
            }
        )
        self._consumer.assign([TopicPartition(topic, partition, self._offset)])

    def next_batch(self) -> list:
        messages = self._consumer.consume(BATCH, 0.001)
        if not messages:
            return []
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
        self._offset = messages[-1].offset() + 1
        return [(self._key, [message.value() for message in messages])]

    def snapshot(self) -> int:
        """
        Bytewax keeps offsets in its own recovery store. The group's are only for the bench to see: when an epoch
        ends, the one before is in the store.
        """
        if self._saved >= 0:
            offset = TopicPartition(self._topic, self._partition, self._saved)
            self._consumer.commit(offsets=[offset], asynchronous=True)
        self._saved = self._offset
        return self._offset
