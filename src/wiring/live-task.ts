/** What live statistics ask of a task of the vote-latency topology. */
import type { Task } from '../stream/index.ts';

export interface LiveTask extends Pick<Task, 'instance' | 'watermark'> {
  offsets(): readonly { readonly nextOffset: number }[];
}
