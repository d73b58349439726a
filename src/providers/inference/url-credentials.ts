import { CallerUrl } from '../../egress/egress.ts'

const secretByName = /key|token|passw|secret|signature|^sig$|auth|credential|^code$/i
/** Parts of callers' URLs that are shorter are words, not keys. */
const minValueLength = 8
const minSegmentLength = 16

/**
 * What of a URL must not show in an error that echoes it: user and password, and values of the query that are secrets by their name. Of a
 * caller's own URL, whose form is unknown, every longer value and path segment.
 */
export function credentialsInUrl(url: string | CallerUrl): string[] {
  const isCallers = url instanceof CallerUrl
  if (!isCallers && !URL.canParse(url)) return []
  const { username, password, pathname, searchParams } = isCallers ? url.url : new URL(url)
  const [user, pass] = [decoded(username), decoded(password)]
  const values = [...searchParams].filter(([name, value]) => (isCallers ? value.length >= minValueLength : secretByName.test(name)))
  const segments = isCallers ? pathname.split('/').filter((segment) => segment.length >= minSegmentLength) : []
  return [
    ...(username || password ? [user, pass, username, password, Buffer.from(`${user}:${pass}`).toString('base64')] : []),
    ...values.map(([, value]) => value),
    ...segments.flatMap((segment) => [segment, decoded(segment)]),
  ].filter((secret) => secret !== '')
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // It was not encoded: unchanged.
    return text
  }
}
