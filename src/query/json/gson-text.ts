/** As Gson writes by default: some signs escaped, so that the text may stand in HTML. */
export const gsonText = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[<>&='\u2028\u2029]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
