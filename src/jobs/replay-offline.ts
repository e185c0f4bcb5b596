/** `replay --diff` of a topology that no engine runs: over a log that is only read, by whoever has the topology. */
import { FatalError } from '../model/index.ts';
import type { Topology } from '../stream/index.ts';
import type { DiffReport } from './diff-report.ts';
import { RecordDiff } from './replay-diff.ts';
import { type ReplayLog, type ReplayPoint, replayRanges } from './replay-range.ts';
import { runReplay } from './replay-run.ts';

export interface DiffParts {
  readonly log: ReplayLog;
  readonly topology: Topology;
  /** Further topics whose records it should derive: those of the topology that it takes the place of. */
  readonly against: readonly string[];
  readonly from: ReplayPoint;
  readonly to: ReplayPoint | undefined;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** @throws FatalError RANGE_INVALID, UNKNOWN_TOPIC. */
export async function diffReplay(parts: DiffParts): Promise<DiffReport> {
  const { log, topology, signal, from, to } = parts;
  const inputs = [...new Set(topology.sources.filter((s) => s.stage === 0).map((s) => s.topic))];
  const ranges = await replayRanges(log, inputs, from, to);
  if (ranges.length === 0) {
    // Nothing would differ, and a pipeline would take that for good news.
    throw new FatalError(
      `the log has no topic ${inputs.join(' or ')}, which ${topology.name} reads; is this the right engine?`,
      { code: 'UNKNOWN_TOPIC', context: { topics: inputs } },
    );
  }
  const total = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
  const outputs = [...new Set([...topology.outputs, ...parts.against])];
  const diff = await RecordDiff.read(log, outputs, signal);
  let done = 0;
  const wholeFrom = await runReplay({
    topology,
    broker: log,
    ranges,
    signal,
    pace: () => new Promise((resolve) => setImmediate(resolve)),
    take: async ({ records }) => diff.take(records),
    onProgress: (records) => {
      done += records;
      parts.onProgress(done, total);
    },
  });
  const isAll = to === undefined && ranges.every(({ whole }) => whole);
  return diff.report(log, { wholeFrom, isAll }, signal);
}
