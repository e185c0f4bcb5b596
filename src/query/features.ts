/**
 * What `/features` tells user interfaces: every group-by and aggregator with the fields of a form for it. The defaults
 * and checks are the form's (KairosDB 1.3's), not the server's; the descriptions are ours.
 */
import { gsonText } from './json/gson-text.ts';
import { timeUnits } from './time/time-unit.ts';

interface Validation {
  readonly expression: string;
  readonly type: 'js';
  readonly message: string;
}

interface Field {
  readonly name: string;
  readonly label: string;
  readonly description?: string;
  readonly optional: false;
  readonly type: string;
  readonly options?: readonly string[];
  readonly defaultValue?: string;
  readonly autocomplete?: string;
  readonly multiline: false;
  readonly validations?: readonly Validation[];
  readonly properties?: readonly Field[];
}

export interface Feature {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  readonly properties: readonly Field[];
}

const check = (expression: string, message: string): Validation => ({
  expression,
  type: 'js',
  message,
});

interface FieldOptions {
  readonly options?: readonly string[];
  readonly autocomplete?: string;
  readonly checks?: readonly Validation[];
}

const field = (
  [name, label, description]: readonly [string, string, string],
  [type, defaultValue]: readonly [string, string],
  { options = [], autocomplete = '', checks = [] }: FieldOptions = {},
): Field => ({
  name,
  label,
  description,
  optional: false,
  type,
  options,
  defaultValue,
  autocomplete,
  multiline: false,
  validations: checks,
});

const span = (name: string, label: string): Field => ({
  name,
  label,
  optional: false,
  type: 'Object',
  multiline: false,
  properties: [
    field(['value', 'Value', 'How many units long.'], ['long', '1'], {
      checks: [check('value >= 0', 'Value must be greater or equal to 0.')],
    }),
    field(['unit', 'Unit', 'The unit of time.'], ['enum', 'MILLISECONDS'], { options: timeUnits }),
  ],
});

const alignEnd = field(
  [
    'align_end_time',
    'Align end time',
    'Each point gets the time at which its bucket ends. Set at most one of the align options.',
  ],
  ['boolean', 'false'],
);
const alignStart = field(
  [
    'align_start_time',
    'Align start time',
    'Each point gets the time at which its bucket begins. Set at most one of the align options.',
  ],
  ['boolean', 'false'],
);
const sampling = span('sampling', 'Sampling');
const trimRange = field(
  ['trim', 'Trim', 'Leaves out empty buckets before the first and after the last point.'],
  ['boolean', 'false'],
);
const range = [alignEnd, alignStart, sampling, trimRange] as const;

/** In the order of their labels, as the whole list shows them. */
const aggregators: readonly Feature[] = [
  { name: 'avg', label: 'AVG', description: 'The mean of each bucket.', properties: range },
  {
    name: 'count',
    label: 'Count',
    description: 'The number of points in each bucket.',
    properties: range,
  },
  {
    name: 'dev',
    label: 'Dev',
    description: 'The standard deviation of each bucket.',
    properties: range,
  },
  {
    name: 'diff',
    label: 'Diff',
    description: 'The difference of each point to the one before.',
    properties: [],
  },
  {
    name: 'div',
    label: 'Div',
    description: 'Each value divided by a number.',
    properties: [
      field(['divisor', 'Divisor', 'What values are divided by.'], ['double', '1'], {
        checks: [check('value > 0', 'Divisor must be greater than 0.')],
      }),
    ],
  },
  {
    name: 'filter',
    label: 'Filter',
    description: 'Leaves out the points for which a comparison is true.',
    properties: [
      field(
        ['filter_op', 'Filter operation', 'How each value is compared with the threshold.'],
        ['enum', 'equal'],
        { options: ['LTE', 'LT', 'GTE', 'GT', 'EQUAL', 'NE'] },
      ),
      field(['threshold', 'Threshold', 'A number or a text.'], ['Object', '']),
    ],
  },
  {
    name: 'first',
    label: 'First',
    description: 'The first point of each bucket.',
    properties: range,
  },
  {
    name: 'gaps',
    label: 'Gaps',
    description: 'All points, and a null for every bucket without any.',
    properties: range,
  },
  { name: 'last', label: 'Last', description: 'The last point of each bucket.', properties: range },
  {
    name: 'least_squares',
    label: 'Least Squares',
    description: 'The ends of the line that fits each bucket best.',
    properties: range,
  },
  {
    name: 'max',
    label: 'Max',
    description: 'The greatest value of each bucket.',
    properties: range,
  },
  { name: 'min', label: 'Min', description: 'The least value of each bucket.', properties: range },
  {
    name: 'percentile',
    label: 'Percentile',
    description: 'A percentile of each bucket.',
    properties: [
      alignEnd,
      alignStart,
      field(['percentile', 'Percentile', 'Between 0 and 1.'], ['double', '0.1'], {
        checks: [
          check('value < 1', 'Percentile must be smaller than 1.'),
          check('value > 0', 'Percentile must be greater than 0.'),
        ],
      }),
      sampling,
      trimRange,
    ],
  },
  {
    name: 'rate',
    label: 'Rate',
    description: 'How fast values change, per sampling.',
    properties: [sampling],
  },
  {
    name: 'score',
    label: 'SCORE',
    description: 'How many thresholds each value is above.',
    properties: [
      field(['order', 'Order', 'Whether greater values score higher.'], ['enum', 'ascending'], {
        options: ['ASCENDING', 'DESCENDING'],
      }),
      field(
        ['thresholds', 'Thresholds', 'The thresholds, with their boundaries.'],
        ['array', '[]'],
      ),
    ],
  },
  {
    name: 'sma',
    label: 'SMA',
    description: 'The mean of each point and those before it.',
    properties: [
      field(['size', 'Size', 'How many points a mean is taken of.'], ['int', '10'], {
        checks: [check('value > 0', 'Size must be greater than 0.')],
      }),
    ],
  },
  {
    name: 'sampler',
    label: 'Sampler',
    description: 'Each value over the time since the point before, per unit.',
    properties: [
      field(['unit', 'Time Unit', 'The unit of time.'], ['enum', 'milliseconds'], {
        options: timeUnits,
      }),
    ],
  },
  {
    name: 'save_as',
    label: 'Save As',
    description: 'Stores the result under another name.',
    properties: [
      field(['metric_name', 'Save As', 'The name of the new metric.'], ['String', '<new name>'], {
        checks: [check('!value && value.length > 0', "The name can't be empty.")],
      }),
    ],
  },
  {
    name: 'scale',
    label: 'Scale',
    description: 'Each value multiplied by a number.',
    properties: [
      field(['factor', 'Factor', 'What values are multiplied by.'], ['double', '0.0'], {
        checks: [check('value > 0', 'Factor must be greater than 0.')],
      }),
    ],
  },
  { name: 'sum', label: 'Sum', description: 'The sum of each bucket.', properties: range },
  {
    name: 'trim',
    label: 'Trim',
    description: 'Leaves out the first point, the last, or both.',
    properties: [
      field(['trim', 'Trim', 'Which points to leave out.'], ['enum', 'both'], {
        options: ['FIRST', 'LAST', 'BOTH'],
      }),
    ],
  },
];

const groupBys: readonly Feature[] = [
  {
    name: 'bin',
    label: 'Bin',
    description: 'Groups points by the bins that their values fall into.',
    properties: [
      field(['bins', 'Bin Values', 'Where each bin but the first begins.'], ['array', '[]'], {
        checks: [
          check(
            'value.every((n) => !isNaN(parseFloat(n)) && isFinite(n))',
            'The list must contain only numbers.',
          ),
          check('value.length > 0', "The list can't be empty."),
        ],
      }),
    ],
  },
  {
    name: 'tag',
    label: 'Tag',
    description: 'Groups series by the values of tags.',
    properties: [
      field(['tags', 'Tags', 'Names of tags.'], ['array', '[]'], {
        autocomplete: 'tags',
        checks: [check('value.length > 0', "Tags can't be empty.")],
      }),
    ],
  },
  {
    name: 'time',
    label: 'Time',
    description: 'Groups points by spans of time, in turn.',
    properties: [
      field(['group_count', 'Count', 'How many groups: 7 for the days of a week.'], ['int', '0'], {
        checks: [check('value > 0', 'Count must be greater than 0.')],
      }),
      span('range_size', 'Range Size'),
    ],
  },
  {
    name: 'value',
    label: 'Value',
    description: 'Groups points by ranges of their values.',
    properties: [
      field(['range_size', 'Target Size', 'How wide each range is.'], ['int', '0'], {
        checks: [check('value >= 0', 'Target size must be greater or equal than 0.')],
      }),
    ],
  },
];

const byName = (a: Feature, b: Feature): number => (a.name < b.name ? -1 : 1);

export const featuresText: string = gsonText([
  { name: 'group_by', label: 'Group By', properties: groupBys },
  { name: 'aggregators', label: 'Aggregator', properties: aggregators },
]);

/** One of the two lists, by name in any case; undefined for other names. */
export function featureText(name: string): string | undefined {
  switch (name.toLowerCase()) {
    case 'group_by':
      return gsonText(groupBys.toSorted(byName));
    case 'aggregators':
      return gsonText(aggregators.toSorted(byName));
    default:
      return undefined;
  }
}
