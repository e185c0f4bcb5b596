/** A topology as text, Mermaid or JSON, without running it [E9]. */
import type { GraphNode, Topology } from './topology.ts';

/** Indented text: each stage, its steps in order, where each leads. */
export function describeText(topology: Topology): string {
  const { nodes, edges } = topology.graph;
  const labelOf = new Map(nodes.map((n) => [n.id, n.label]));
  const lines = [`topology ${topology.name}  (${topology.hash})`];
  for (let stage = 0; stage < topology.stages; stage++) {
    lines.push(`  stage ${stage}  group ${topology.group(stage)}`);
    for (const node of nodes.filter((n) => n.stage === stage)) {
      const to = edges.filter((e) => e.from === node.id).map((e) => labelOf.get(e.to));
      const detail = detailText(node);
      lines.push(
        `    ${node.kind.padEnd(10)} ${node.label}${detail ? `  ${detail}` : ''}${to.length ? `  ─► ${to.join(', ')}` : ''}`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

/** A Mermaid flowchart; topics are cylinders, sinks are databases, steps are boxes. */
export function describeMermaid(topology: Topology): string {
  const { nodes, edges } = topology.graph;
  const lines = ['flowchart LR'];
  for (const node of nodes) lines.push(`  ${node.id}${shape(node)}`);
  for (const edge of edges) lines.push(`  ${edge.from} --> ${edge.to}`);
  return `${lines.join('\n')}\n`;
}

/** Nodes and edges with names and options. */
export function describeJson(topology: Topology): object {
  return { name: topology.name, hash: topology.hash, stages: topology.stages, ...topology.graph };
}

function shape(node: GraphNode): string {
  const text = node.label.replaceAll('"', '#quot;');
  if (node.kind === 'topic') return `[("${text}")]`;
  if (node.kind === 'sink') return `[["${text}"]]`;
  return `["${text}<br/><small>${node.kind}</small>"]`;
}

function detailText(node: GraphNode): string {
  return Object.entries(node.detail)
    .map(([key, value]) => `${key}=${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(' ');
}
