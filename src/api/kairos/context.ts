/** What the routes of `/api/v1` work with. */
import type { DeskLimits } from '../../query/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { KairosIngest } from './ingest.ts';
import type { KairosPort } from './port.ts';

export interface KairosContext {
  readonly store: KairosPort;
  /** Absent: points and deletes are refused here, as a KairosDB that only queries does. */
  readonly ingest?: KairosIngest | undefined;
  /** false: queries are refused here, as a KairosDB that only ingests does. */
  readonly answersQueries?: boolean;
  /** Absent ones are the defaults. */
  readonly queries?: Partial<DeskLimits> | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}
