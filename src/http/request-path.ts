import { withSingleSlashes } from '../access/path-pattern.ts'

/** The path by which a request is routed: `rawPathOf` with single slashes. */
export function routingPath(url: string): string {
  return withSingleSlashes(rawPathOf(url))
}

/**
 * The path of `Request.url` as it was sent: not decoded, without query, fragment and slashes at its end. The one place that takes a
 * request's URL apart: for an HTTP/1.0 request without `Host` Bun gives a URL that is a path (`/readyz`), which `new URL()` does not take.
 */
export function rawPathOf(url: string): string {
  const start = url.charCodeAt(0) === 0x2f ? 0 : url.indexOf('/', url.indexOf('://') + 3)
  if (start < 0) return '/'
  let end = url.length
  const query = url.indexOf('?', start)
  if (query >= 0) end = query
  const hash = url.indexOf('#', start)
  if (hash >= 0 && hash < end) end = hash
  while (end > start + 1 && url.charCodeAt(end - 1) === 0x2f) end--
  return url.slice(start, end)
}
