/** A topology and its tasks as the service shows them. A drawing never changes, so it is made once. */
import type { TaskView, TopologyView } from '../api/index.ts';
import {
  describeJson,
  describeMermaid,
  describeText,
  type Task,
  type Topology,
} from '../stream/index.ts';

type Drawing = Omit<TopologyView, 'tasks'>;

const drawings = new WeakMap<Topology, Drawing>();

export function drawingOf(topology: Topology): Drawing {
  const known = drawings.get(topology);
  if (known !== undefined) return known;
  const { nodes, edges } = describeJson(topology) as TopologyView['graph'];
  const drawing: Drawing = {
    name: topology.name,
    graph: { nodes, edges },
    text: describeText(topology),
    mermaid: describeMermaid(topology),
    hash: topology.hash,
  };
  drawings.set(topology, drawing);
  return drawing;
}

export function taskView(task: Task): TaskView {
  return {
    partition: task.partition,
    state: task.state,
    epoch: task.epoch,
    watermark: task.watermark(),
    idle: task.idle,
    offsets: task.offsets(),
    restarts: task.restarts,
    error: task.error?.message ?? null,
  };
}
