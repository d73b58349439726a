/** A query string as the plain object that a route's schema reads. */
export interface QueryObject {
  [key: string]: string | (string | QueryObject)[] | QueryObject
}

/**
 * `?limit=5&include[]=a&include[]=b&metadata[k]=v` → `{limit: '5', include: ['a', 'b'], metadata: {k: 'v'}}`:
 * the ways in which OpenAI's clients write lists and maps. A key that is repeated becomes a list.
 */
export function parseQuery(url: string): QueryObject {
  const start = url.indexOf('?')
  const query: QueryObject = Object.create(null)
  if (start < 0) return query
  for (const [name, value] of new URLSearchParams(url.slice(start + 1).split('#', 1)[0])) {
    const [, key = name, inner] = name.match(/^([^[\]]+)\[([^[\]]*)\]$/) ?? []
    const present = query[key]
    if (inner) {
      const map = typeof present === 'object' && !Array.isArray(present) ? present : (Object.create(null) as QueryObject)
      map[inner] = value
      query[key] = map
    } else if (Array.isArray(present)) present.push(value)
    else if (present !== undefined) query[key] = [present, value]
    else query[key] = inner === '' ? [value] : value
  }
  return query
}
