/** Removes what a run left on the cluster: topics and groups whose names hold the run's own id. */
import { Kafka, logLevel } from 'kafkajs';

/** `bench-` and ten hexadecimal digits; anything shorter could be part of somebody else's name. */
const RUN_ID = /^bench-[0-9a-f]{10}$/;

export async function removeLeavings(brokers: readonly string[], runId: string): Promise<void> {
  if (!RUN_ID.test(runId)) throw new Error(`"${runId}" is no run's id; nothing is removed`);
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const topics = (await admin.listTopics()).filter((topic) => topic.includes(runId));
    if (topics.length > 0) await admin.deleteTopics({ topics });
    const { groups } = await admin.listGroups();
    const ids = groups.map(({ groupId }) => groupId).filter((id) => id.includes(runId));
    // One that still has members can't be deleted; its offsets end with their retention.
    if (ids.length > 0) await admin.deleteGroups(ids).catch(() => {});
  } finally {
    await admin.disconnect();
  }
}
