/** Named values as the plain object that a route's schema reads: a query string's, or a form's. */
export interface NamedValues<V> {
  [key: string]: V | (V | NamedValues<V>)[] | NamedValues<V>
}

type QueryObject = NamedValues<string>

/**
 * `?limit=5&include[]=a&include[]=b&metadata[k]=v` → `{limit: '5', include: ['a', 'b'], metadata: {k: 'v'}}`:
 * the ways in which OpenAI's clients write lists and maps. A key that is repeated becomes a list.
 */
export function parseQuery(url: string): QueryObject {
  const start = url.indexOf('?')
  const query: QueryObject = Object.create(null)
  if (start < 0) return query
  for (const [name, value] of new URLSearchParams(url.slice(start + 1).split('#', 1)[0])) addNamedValue(query, name, value)
  return query
}

/** @param values without a prototype: names come from callers */
export function addNamedValue<V>(values: NamedValues<V>, name: string, value: V): void {
  const [, key = name, inner] = name.match(/^([^[\]]+)\[([^[\]]*)\]$/) ?? []
  const present = values[key]
  if (inner) {
    const isMap = typeof present === 'object' && present !== null && !Array.isArray(present) && Object.getPrototypeOf(present) === null
    const map = isMap ? (present as NamedValues<V>) : (Object.create(null) as NamedValues<V>)
    map[inner] = value
    values[key] = map
  } else if (Array.isArray(present)) present.push(value)
  else if (present !== undefined) values[key] = [present, value]
  else values[key] = inner === '' ? [value] : value
}
