/** Lets points pass and stores them under another name, with the tags that all rows of the group share. */
import type { DataPoint } from '../../model/index.ts';
import { QueryFailed } from '../errors.ts';
import { isArray, isObject, type JsonValue, jsonText, typedString } from '../json/json-value.ts';
import { anything, boolean, int, members, text } from '../parse/property.ts';
import type { PointSink } from '../point.ts';
import { aggregatorKind, type GroupFrame } from './aggregator.ts';

export const saveAs = aggregatorKind({
  name: 'save_as',
  javaClass: 'SaveAsAggregator',
  properties: {
    metric_name: text,
    tags: members,
    ttl: int,
    add_saved_from: boolean,
    group_bys: anything,
  },
  make({ metric_name: metric, tags, ttl = 0, add_saved_from: addSavedFrom = true }, query) {
    const own = [...(tags ?? [])].map(([name, value]) => [name, tagText(value)] as const);
    const tagsOf = (group: GroupFrame): Record<string, string> => {
      const all: [string, string][] = own.map(([name, value]) => [name, value]);
      if (addSavedFrom) all.push(['saved_from', group.metric]);
      for (const [name, values] of group.tags) {
        const [value] = values;
        if (values.size === 1 && query.groupTags.includes(name)) all.push([name, value as string]);
      }
      return Object.fromEntries(all);
    };
    return {
      takes: 'any',
      gives: 'same',
      open(out: PointSink, group) {
        const saved: { timestampMs: number; value: DataPoint['value'] }[] = [];
        return {
          push(timestampMs, value) {
            if (metric === undefined) throw new QueryFailed(null);
            // A gap is no value that could be stored.
            if (value !== null) saved.push({ timestampMs, value });
            out.push(timestampMs, value);
          },
          end() {
            if (saved.length > 0) {
              const common = { metric: metric as string, tags: tagsOf(group), ttlSeconds: ttl };
              group.save(saved.map((point) => ({ ...common, ...point })));
            }
            out.end();
          },
        };
      },
    };
  },
});

/** KairosDB takes any value and then stores nothing of one that is no text; here it is stored under the value's text. */
const tagText = (json: JsonValue): string =>
  json !== null && (isArray(json) || isObject(json)) ? jsonText(json) : typedString(json);
