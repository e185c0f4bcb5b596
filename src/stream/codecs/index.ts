/** Codecs: topics' bytes into rows and back. */
export {
  type Field,
  type Fields,
  integer,
  type NumberField,
  type NumbersOf,
  number,
  type Problem,
  type RowOf,
  type TextField,
  text,
} from './fields.ts';
export { type JsonCodecOptions, jsonCodec } from './json-codec.ts';
export { type RecordCodecOptions, recordCodec } from './record-codec.ts';
