/** What every plugin of the service gets. */
import type { Clock, Logger } from '../runtime/index.ts';
import type { EngineView } from './contract.ts';

export interface ApiContext {
  readonly engine: EngineView;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Aborts when the service stops, so that feeds end. */
  readonly stopping: AbortSignal;
}
