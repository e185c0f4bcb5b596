/**
 * Finds exactly the points a server refuses, by writing ever smaller groups; what is written twice lands on
 * itself. A group of n points costs at most 2n − 1 requests, and a handful when the refusal says what it
 * dislikes. What is known is kept in `known`, so that an interrupted search goes on where it was.
 */
import type { Rejection } from '../../delivery/index.ts';
import { cutInTwo, type Line } from './suspects.ts';
import type { RefusalCode, Verdict } from './verdict.ts';

/** By index into the batch: 'stored', or why the point never can be. */
export type Known = Map<number, 'stored' | Rejection>;

const MESSAGE_CHARS_MAX = 500;

/**
 * Writes `lines` with `send` and adds each one's fate to `known`, skipping those already in it.
 * Rejects with whatever `send` rejects with; then `known` holds what was settled until then.
 */
export async function isolate(
  lines: readonly Line[],
  send: (lines: readonly Line[]) => Promise<Verdict>,
  known: Known,
): Promise<void> {
  const groups: (readonly Line[])[] = [lines.filter(({ index }) => !known.has(index))];
  for (let group = groups.pop(); group; group = groups.pop()) {
    if (group.length === 0) continue;
    const verdict = await send(group);
    if (verdict.kind === 'stored') {
      for (const { index } of group) known.set(index, 'stored');
    } else if (
      group.length === 1 ||
      (verdict.kind === 'partial' && verdict.dropped >= group.length)
    ) {
      const message = brief(verdict.message);
      const code = codeOf(verdict);
      for (const { index } of group) known.set(index, { index, code, message });
    } else {
      const [first, second] = cutInTwo(group, verdict);
      // A stack: the first part is settled before the second, so few groups wait at a time.
      groups.push(second, first);
    }
  }
}

function codeOf(verdict: Exclude<Verdict, { kind: 'stored' }>): RefusalCode {
  if (verdict.kind === 'partial') return verdict.code;
  return verdict.kind === 'too-large' ? 'POINT_TOO_LARGE' : 'LINE_REFUSED';
}

function brief(message: string): string {
  return message.length <= MESSAGE_CHARS_MAX
    ? message
    : `${message.slice(0, MESSAGE_CHARS_MAX - 1)}…`;
}
