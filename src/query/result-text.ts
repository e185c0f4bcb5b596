/** Collects the JSON of a result's points. Bounded: an answer is made whole before any of it is sent. */
import { QueryFailed } from './errors.ts';
import { javaDoubleText, jsonDoubleText } from './json/java-number.ts';
import { quote } from './json/json-text.ts';
import type { PointSink, QueryValue } from './point.ts';

/** What all answers of one query may take together. */
export class AnswerBudget {
  #left: number;
  readonly #charsMax: number;

  constructor(charsMax: number) {
    this.#charsMax = charsMax;
    this.#left = charsMax;
  }

  /** Throws QueryFailed when there is no more room. */
  spend(chars: number): void {
    this.#left -= chars;
    if (this.#left < 0) {
      throw new QueryFailed(
        `the answer has more than ${this.#charsMax} characters: ask for a shorter time or a wider sampling`,
      );
    }
  }
}

const PART_CHARS = 65_536;

export class ResultText implements PointSink {
  readonly parts: string[] = [];
  readonly #budget: AnswerBudget;
  #part = '';
  #isFirst = true;

  constructor(budget: AnswerBudget) {
    this.#budget = budget;
  }

  push(timestampMs: number, value: QueryValue): void {
    this.#part += `${this.#isFirst ? '' : ','}[${timestampMs},${textOf(timestampMs, value)}]`;
    this.#isFirst = false;
    if (this.#part.length > PART_CHARS) this.#endPart();
  }

  end(): void {
    this.#endPart();
  }

  #endPart(): void {
    this.#budget.spend(this.#part.length);
    this.parts.push(this.#part);
    this.#part = '';
  }
}

function textOf(timestampMs: number, value: QueryValue): string {
  switch (typeof value) {
    case 'number':
      if (Number.isFinite(value)) return jsonDoubleText(value);
      throw notFinite(timestampMs, value);
    case 'string':
      return quote(value);
    default:
      return String(value);
  }
}

function notFinite(timestampMs: number, value: number): QueryFailed {
  const text = javaDoubleText(value);
  return new QueryFailed(
    `NaN or Infinity:${text} data point=DoubleDataPoint{m_value=${text}, m_timestamp=${timestampMs}}`,
  );
}
