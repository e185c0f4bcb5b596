/** What operators say about alerts, as records of the compacted topic of notes. */
import type { Acknowledgement, Silence } from '../model/index.ts';

export interface AcknowledgementNote extends Acknowledgement {
  readonly kind: 'acknowledgement';
  readonly alert: string;
  /** The episode: an acknowledgement ends with it. */
  readonly startedAt: number;
}

export interface SilenceNote extends Silence {
  readonly kind: 'silence';
}

export type Note = AcknowledgementNote | SilenceNote;

export const noteKey = (note: Note): string =>
  note.kind === 'silence' ? `silence:${note.id}` : `ack:${note.alert}`;
