/** An annotation as it stands in its compacted topic, keyed by its id: the last record of a key counts. */
import type { StoredAnnotation } from '../../src/model/index.ts';
import { type Codec, rowDecoder } from '../../src/stream/index.ts';

export const ANNOTATIONS_TOPIC = 'tidemark.annotations';

export const annotationCodec: Codec<StoredAnnotation> = {
  name: 'annotation',
  createDecoder: () =>
    rowDecoder((text) => {
      const row = JSON.parse(text) as StoredAnnotation;
      return { row, timestamp: row.createdAt };
    }),
  encode: (row) => Buffer.from(JSON.stringify(row)),
};
