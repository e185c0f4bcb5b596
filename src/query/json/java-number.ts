/** Numbers as Java reads and prints them. Reading throws SyntaxError with the text of Java's NumberFormatException. */

const LONG_MAX = 2n ** 63n - 1n;
const LONG_MIN = -(2n ** 63n);

/** Digits beyond these change nothing but the time it takes. */
const EXPONENT_MAX = 400;

/** `Long.parseLong`: a sign and decimal digits of any script, within 64 bits. */
export function javaLongOf(text: string): bigint {
  if (!/^[+-]?\p{Nd}+$/u.test(text)) throw new SyntaxError(`For input string: "${text}"`);
  const value = BigInt(asciiDigits(text).replace(/^\+/, ''));
  if (value > LONG_MAX || value < LONG_MIN) throw new SyntaxError(`For input string: "${text}"`);
  return value;
}

/** `Double.parseDouble`: also NaN, Infinity, hexadecimal floats, a trailing `d` or `f`, white space around. */
export function javaDoubleOf(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Java's trim takes everything up to the space.
  const trimmed = text.replace(/^[\u0000-\u0020]+|[\u0000-\u0020]+$/g, '');
  if (trimmed === '') throw new SyntaxError('empty String');
  const special = /^([+-]?)(NaN|Infinity)$/.exec(trimmed);
  if (special !== null) return Number(special[2]) * (special[1] === '-' ? -1 : 1);
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[dDfF]?$/.test(trimmed)) {
    return Number(trimmed.replace(/[dDfF]$/, ''));
  }
  const hex = /^([+-]?)0[xX]([\da-fA-F]*)\.?([\da-fA-F]*)[pP]([+-]?\d+)[dDfF]?$/.exec(trimmed);
  if (hex !== null && (hex[2] !== '' || hex[3] !== '')) {
    const digits = Number(BigInt(`0x${hex[2]}${hex[3]}`));
    const value = digits * 2 ** (Number(hex[4]) - 4 * (hex[3] as string).length);
    return hex[1] === '-' ? -value : value;
  }
  throw new SyntaxError(`For input string: "${text}"`);
}

/** A JSON number as a long: the fraction is cut off, what is too big keeps its low 64 bits, as `BigDecimal.longValue`. */
export function truncatedLongOf(text: string): bigint {
  if (/^-?\d+$/.test(text)) return BigInt.asIntN(64, BigInt(text));
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) throw new SyntaxError(`For input string: "${text}"`);
  const [, sign, whole = '', fraction = '', exponentText = '0'] = match;
  const exponent = Number(exponentText);
  // Beyond these every one of the low 64 bits is zero, or every digit behind the point.
  if (exponent > EXPONENT_MAX || exponent < -whole.length) return 0n;
  const at = whole.length + exponent;
  const digits = (whole + fraction).padEnd(at, '0').slice(0, at);
  const value = BigInt.asIntN(64, BigInt(digits === '' ? '0' : digits));
  return BigInt.asIntN(64, sign === '-' ? -value : value);
}

/** Any script's decimal digits as ASCII. */
function asciiDigits(text: string): string {
  return text.replace(/\p{Nd}/gu, (digit) => {
    if (digit <= '9') return digit;
    // Decimal digits come in runs of ten, zero first.
    const point = digit.codePointAt(0) as number;
    let value = 0;
    while (value < 9 && /\p{Nd}/u.test(String.fromCodePoint(point - value - 1))) value++;
    return String(value % 10);
  });
}

/** `Double.toString`: `1.0E7`, `0.001`, `1.0E-4`, `NaN`. The shortest digits that read back as the same number. */
export function javaDoubleText(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e7) {
    const text = String(value);
    return text.includes('.') ? text : `${text}.0`;
  }
  // Of two digits Java takes the nearest, also where one would do: 4.9E-324.
  const short = value.toExponential();
  const two = /^-?\de/.test(short) ? value.toExponential(1) : short;
  const [mantissa, exponent] = two.split('e') as [string, string];
  return `${mantissa}E${Number(exponent)}`;
}

/** As org.json writes a double: without a trailing `.0`, unless there is an exponent. */
export function jsonDoubleText(value: number): string {
  if (Object.is(value, -0)) return '-0';
  const size = Math.abs(value);
  if (size >= 1e7 || (size < 1e-3 && size > 0)) return javaDoubleText(value);
  return String(value);
}
