/** Whether a text is JSON, without a value made of it that anybody keeps. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
