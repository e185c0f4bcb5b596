/**
 * The body of POST /datapoints, read and checked as KairosDB 1.3's DataPointsParser does. What was good before
 * something went wrong counts: it is given away with the reasons against the rest.
 */
import type { DataPoint } from '../../model/index.ts';
import { JsonFault, JsonReader, QueryFailed, QueryRefused } from '../../query/index.ts';
import { takeMetric } from './data-points-check.ts';
import { metricOf } from './data-points-metric.ts';

export interface DataPointsBody {
  readonly points: readonly DataPoint[];
  /** Reasons against metrics and points: status 400 when there are any. */
  readonly errors: readonly string[];
  /** What ended the reading early. Its answer replaces that of the errors. */
  readonly fault: QueryRefused | QueryFailed | undefined;
}

const NO_CONTENT = 'Invalid json. No content due to end of input.';

export function readDataPoints(text: string): DataPointsBody {
  const points: DataPoint[] = [];
  const errors: string[] = [];
  const reader = new JsonReader(text);
  let fault: DataPointsBody['fault'];
  try {
    readMetrics(reader, points, errors);
  } catch (error) {
    fault = faultOf(error);
  }
  return { points, errors, fault };
}

function readMetrics(reader: JsonReader, points: DataPoint[], errors: string[]): void {
  const take = (index: number) => {
    reader.lenient = true;
    const metric = metricOf(lenientValue(reader), reader.duplicates);
    reader.lenient = false;
    takeMetric(metric, index, points, errors);
  };
  reader.lenient = false;
  try {
    switch (reader.peek()) {
      case '{':
        take(0);
        return;
      case '[':
        reader.take();
        break;
      default:
        // Refuses whatever stands here: alone it is no document to a strict reader.
        reader.readValue(0);
        errors.push('Invalid start of json.');
        return;
    }
  } catch (error) {
    if (!isEnd(error)) throw error;
    errors.push(NO_CONTENT);
    return;
  }
  try {
    if (reader.peek() === ']') return;
    for (let index = 0; ; index++) {
      strictStart(reader);
      take(index);
      const sign = reader.peek();
      reader.take();
      if (sign === ']') return;
      if (sign === ';') reader.mustBeLenient();
      if (sign !== ',') throw reader.fault('Unterminated array');
    }
  } catch (error) {
    if (!isEnd(error)) throw error;
    // KairosDB notices twice: at the next metric, and at the end of the array.
    errors.push(NO_CONTENT, NO_CONTENT);
  }
}

/** Between metrics the reader is strict. */
function strictStart(reader: JsonReader): void {
  const sign = reader.peek();
  if (!`,;]'`.includes(sign)) return;
  reader.take();
  reader.mustBeLenient();
}

/** A metric's own text is read leniently, and its faults come wrapped. */
function lenientValue(reader: JsonReader) {
  try {
    return reader.readValue(1);
  } catch (error) {
    if (error instanceof JsonFault) throw new QueryRefused(error.wrapped);
    throw error;
  }
}

const isEnd = (error: unknown): boolean => error instanceof JsonFault && error.eof;

function faultOf(error: unknown): QueryRefused | QueryFailed {
  if (error instanceof JsonFault) return new QueryRefused(error.message);
  if (error instanceof SyntaxError) return new QueryFailed(error.message);
  if (error instanceof QueryRefused || error instanceof QueryFailed) return error;
  throw error;
}
