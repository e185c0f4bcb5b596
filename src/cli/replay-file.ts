/** `replay ./FILE.ts --diff`: what a topology that nobody runs yet would derive, beside what is stored. */
import type { ReplayJob, ReplayRequest, TopologyView } from '../api/index.ts';
import { FatalError } from '../model/index.ts';
import { nearest } from '../runtime/index.ts';
import type { Topology } from '../stream/index.ts';
import type { Client } from './client.ts';
import { showProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

/** As `up --topology` and `describe` tell a file from a name. */
export const isTopologyFile = (name: string): boolean => /[/\\]|\.[mc]?[jt]s$/.test(name);

export interface FileReplay {
  readonly topologies: readonly Topology[];
  compare(topology: Topology): Promise<Omit<ReplayJob, 'id'>>;
}

/** @throws FatalError when the file gives no topology, or one of `against` runs nowhere. */
export async function replayFile(
  terminal: Terminal,
  client: Client,
  request: ReplayRequest,
  against: readonly string[] | undefined,
): Promise<FileReplay> {
  const { loadTopologies } = await import('../wiring/load-topologies.ts');
  const { diffReplay } = await import('../jobs/index.ts');
  const { remoteLog } = await import('./remote-log.ts');
  const topologies = await loadTopologies([request.name]);
  const replaced = await outputsByName(client);
  for (const name of against ?? []) {
    if (replaced.has(name)) continue;
    const near = nearest(name, [...replaced.keys()]);
    throw new FatalError(
      `--against: no topology is named ${JSON.stringify(name)}${near === undefined ? '' : `; did you mean ${near}?`}`,
      { code: 'UNKNOWN_NAME' },
    );
  }
  return {
    topologies,
    async compare(topology) {
      const names = against ?? [topology.name];
      const topics = names.flatMap((name) => replaced.get(name) ?? []);
      if (topology.outputs.length + topics.length === 0) {
        throw new FatalError(
          `${topology.name} derives no topic (it has no .to(…)), so there is nothing to compare`,
          { code: 'NOTHING_TO_COMPARE' },
        );
      }
      const progress = await showProgress(terminal, 'records');
      const startedAt = terminal.clock.now();
      let records = 0;
      try {
        const diff = await diffReplay({
          log: remoteLog(client),
          topology,
          against: topics,
          from: request.from,
          to: request.to,
          signal: terminal.stopped,
          onProgress(done, total) {
            records = total;
            progress.update(done, total);
          },
        });
        return {
          name: topology.name,
          state: 'done',
          progress: { done: records, total: records },
          startedAt,
          endedAt: terminal.clock.now(),
          error: null,
          into: [],
          diff,
        };
      } finally {
        progress.stop();
      }
    },
  };
}

/** Topics that each topology of the engine derives: those that steps lead to and that lead nowhere. */
async function outputsByName(client: Client): Promise<Map<string, readonly string[]>> {
  const { topologies } = await client.get<{ topologies: TopologyView[] }>('/v1/topologies');
  return new Map(
    topologies.map(({ name, graph }) => {
      const [from, to] = [
        new Set(graph.edges.map((edge) => edge.from)),
        new Set(graph.edges.map((edge) => edge.to)),
      ];
      const outputs = graph.nodes.filter(
        ({ id, kind }) => kind === 'topic' && to.has(id) && !from.has(id),
      );
      return [name, outputs.map(({ label }) => label)];
    }),
  );
}
