import { withSingleSlashes } from '../access/path-pattern.ts'

/**
 * The path of `Request.url` as it was sent: not decoded, without query, fragment and slashes at its end, and with single slashes. The
 * one place that takes a request's URL apart: for an HTTP/1.0 request without `Host` Bun gives a URL that is a path (`/readyz`), which `new URL()` does not take.
 */
export function pathOf(url: string): string {
  const start = url.charCodeAt(0) === 0x2f ? 0 : url.indexOf('/', url.indexOf('://') + 3)
  if (start < 0) return '/'
  let end = url.length
  const query = url.indexOf('?', start)
  if (query >= 0) end = query
  const hash = url.indexOf('#', start)
  if (hash >= 0 && hash < end) end = hash
  while (end > start + 1 && url.charCodeAt(end - 1) === 0x2f) end--
  return withSingleSlashes(url.slice(start, end))
}
