/** Removes what a run left on the cluster: topics and groups whose names hold the run's own id. */
import { Kafka, logLevel } from 'kafkajs';

export async function removeLeavings(brokers: readonly string[], runId: string): Promise<void> {
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
