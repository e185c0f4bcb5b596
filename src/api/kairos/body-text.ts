/** A request's body as text, in the charset that its Content-Type names, as KairosDB's server reads it. */
import type { FastifyRequest } from 'fastify';

const CHARSET = /;\s*charset="?([^\s;"]+)/i;
const LITTLE_ENDIAN = Buffer.from([0xff, 0xfe]);

/** One that is not known, or none, is UTF-8. */
export function textOf({ body, headers }: FastifyRequest): string {
  if (!Buffer.isBuffer(body)) return '';
  const charset = CHARSET.exec(headers['content-type'] ?? '')?.[1]?.toLowerCase() ?? 'utf-8';
  if (charset === 'utf-8') return String(body);
  try {
    return new TextDecoder(charset === 'utf-16' ? utf16Of(body) : charset).decode(body);
  } catch {
    return String(body);
  }
}

/** Java's: by the mark at its start, else big-endian. */
const utf16Of = (body: Buffer): string =>
  body.subarray(0, 2).equals(LITTLE_ENDIAN) ? 'utf-16le' : 'utf-16be';
