/** Lines of every type and with every awkward character that an InfluxDB 1.x can hold, the same at each call. */

/** Lines of one kind, `perSecond` of them per second of event time from `fromMs` on. */
export function mixedLines(
  count: number,
  options: {
    readonly measurement?: string;
    readonly fromMs: number;
    readonly perSecond: number;
    readonly series?: number;
  },
): string[] {
  const { measurement = 'mixed', fromMs, perSecond, series = 50 } = options;
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const atNs =
      BigInt(fromMs) * 1_000_000n + BigInt(Math.floor((i * 1e9) / perSecond)) + BigInt(i % 97);
    const integer = i % 7 === 0 ? 9_007_199_254_740_993n + BigInt(i) : BigInt(i - 500);
    const float = i % 5 === 0 ? `${i}` : `${i / 3}`;
    const text = i % 11 === 0 ? `say \\"${i}\\", then\nturn\\\\` : `ok ${i % 13}`;
    lines.push(
      `${measurement},host=h${i % series},place=r\\ ${i % 3}\\,\\=ü i=${integer}i,f=${float},s="${text}",b=${i % 2 === 0} ${atNs}`,
    );
  }
  return lines;
}

/** One line for each thing that could go wrong on its way. */
export function awkwardLines(fromMs: number): string[] {
  const at = (i: number) => BigInt(fromMs) * 1_000_000n + BigInt(i);
  return [
    `awkward i=-9223372036854775808i ${at(0)}`,
    `awkward i=9223372036854775807i ${at(1)}`,
    `awkward f=1.7976931348623157e308,g=5e-324,h=-0.1 ${at(2)}`,
    `awkward s="",t="quote \\" and backslash \\\\ and 日本 😀" ${at(3)}`,
    `awkward s="two\nlines, with a comma" ${at(4)}`,
    `awkward b=true,c=false ${at(5)}`,
    // A tag and a field of one name; two series in one nanosecond.
    `awkward,x=tag x=7i ${at(6)}`,
    `awkward,k=1 i=1i ${at(7)}`,
    `awkward,k=2 i=1i ${at(7)}`,
    `awkward,sp\\ ace=v\\ al\\=ue\\,x i=1i ${at(8)}`,
    `awk\\ ward\\,name,t=a i=1i ${at(9)}`,
    `awkward "quoted\\ field"=1i,sel'ect=2i ${at(10)}`,
    `select,from=where time_=1i ${at(11)}`,
  ];
}
