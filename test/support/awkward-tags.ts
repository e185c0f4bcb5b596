/** Tags whose names and values need escaping, or sort otherwise than they seem to. */
export const awkwardTags: Readonly<Record<string, string>> = {
  'k:1=x': 'v=1:y',
  ':': '=',
  'a b': '::==',
  été: 'ü',
  10: 'ten',
  9: 'nine',
  '～': 'fullwidth',
  '😀': 'emoji',
};
