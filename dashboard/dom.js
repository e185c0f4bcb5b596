/** Elements in one call. Text is always text: nothing here parses HTML. */

const SVG = 'http://www.w3.org/2000/svg';
const svgTags = new Set([
  'svg',
  'g',
  'path',
  'rect',
  'text',
  'title',
  'line',
  'polyline',
  'circle',
  'tspan',
  'defs',
  'marker',
  'ellipse',
]);

/**
 * `h('a', { href, onclick, class }, 'text', child, null)`. Attributes that are null, undefined or false are left
 * out; `on…` are listeners; `style` is an object of properties, set one by one as the page's policy demands. `svg:a` is a link within a drawing.
 */
export function h(tag, attributes = {}, ...children) {
  const isSvg = svgTags.has(tag) || tag.startsWith('svg:');
  const element = isSvg
    ? document.createElementNS(SVG, tag.replace('svg:', ''))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'style') setStyle(element, value);
    else if (name === 'value' || name === 'checked') element[name] = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  append(element, children);
  return element;
}

export function setStyle(element, properties) {
  for (const [name, value] of Object.entries(properties))
    element.style.setProperty(name, String(value));
}

function append(element, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Only touches the page when the text differs, so that selections and screen readers are left in peace. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/** Children by key, of each parent that `reconcile` keeps. */
const rowsOf = new WeakMap();

/**
 * Keeps one child per item, in order: made once by `make(item)`, brought up to date by `update(element, item)`.
 * What has the focus stays where it is.
 */
export function reconcile(parent, items, { key, make, update }) {
  if (!rowsOf.has(parent)) rowsOf.set(parent, new Map());
  const rows = rowsOf.get(parent);
  const seen = new Set();
  let before = null;
  for (const item of items) {
    const id = key(item);
    seen.add(id);
    let element = rows.get(id);
    if (element === undefined) {
      element = make(item);
      rows.set(id, element);
    }
    update?.(element, item);
    const wanted = before === null ? parent.firstChild : before.nextSibling;
    if (wanted !== element) parent.insertBefore(element, wanted);
    before = element;
  }
  for (const [id, element] of rows) {
    if (seen.has(id)) continue;
    element.remove();
    rows.delete(id);
  }
}

/** For people who do not see the page change. */
export function say(text) {
  const place = document.getElementById('say');
  if (place) place.textContent = text;
}
