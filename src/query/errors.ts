/** The two ways in which KairosDB says no: the query is wrong (400), or answering it failed (500). */
import { PoisonError } from '../model/index.ts';

/** Status 400. `messages` are the members of `errors` in the answer, in order. */
export class QueryRefused extends PoisonError {
  readonly messages: readonly string[];

  constructor(messages: string | readonly string[]) {
    const list = typeof messages === 'string' ? [messages] : messages;
    super(list.join('; '), { code: 'KAIROS_QUERY_INVALID' });
    this.messages = list;
  }
}

/** Status 500. The reason is what the Java exception would have said; null where it says nothing. */
export class QueryFailed extends PoisonError {
  readonly reason: string | null;

  constructor(reason: string | null) {
    super(reason ?? 'the query can not be answered', { code: 'KAIROS_QUERY_FAILED' });
    this.reason = reason;
  }
}
