/** Notes on the time line: what the annotations' routes need, and their JSON. */

export interface AnnotationDraft {
  /** ms. */
  readonly time: number;
  /** End of a stretch, ms; null: a moment. */
  readonly endTime: number | null;
  readonly text: string;
  readonly tags: readonly string[];
  /** Of one host; null: of everything. */
  readonly host: string | null;
}

export interface Annotation extends AnnotationDraft {
  readonly id: string;
  readonly createdAt: number;
}

export interface AnnotationQuery {
  /** Those that touch [from, to). */
  readonly from: number;
  readonly to: number;
  /** Having all of these. */
  readonly tags: readonly string[];
  /** Those of this host and those of everything. */
  readonly host?: string;
  readonly limit: number;
}

export interface AnnotationsPort {
  /** Oldest first. */
  list(query: AnnotationQuery): Promise<readonly Annotation[]>;
  /** Durable when it resolves. Rejects with FatalError TOO_MANY_ANNOTATIONS at the limit. */
  add(draft: AnnotationDraft): Promise<Annotation>;
  /** undefined: there was none. */
  remove(id: string): Promise<Annotation | undefined>;
}
