import { regexPattern, type TextPattern, plainPattern } from './text-pattern.ts'

/**
 * One of a rule's `paths` as a pattern, spelled as requests are once they have been read: percent-encoding undone, single slashes, none at the
 * end. Throws an Error that says what to write instead where no request could ever match: a `forbid` of such a path would protect nothing.
 */
export function pathPattern(text: string): TextPattern {
  if (text === '*') return { kind: 'any' }
  const regex = regexOf(text)
  if (regex) return regex
  if (!text.startsWith('/')) throw new Error("must begin with '/' (or be '*', or 'regex:…')")
  const pattern = plainPattern(text)
  if (!pattern || (pattern.kind !== 'exact' && pattern.kind !== 'prefix')) {
    throw new Error("'*' is allowed only at the end: use 'regex:…' for other patterns")
  }
  rejectImpossibleCharacters(pattern.text)
  const plain = decoded(pattern.text).replaceAll(/\/{2,}/g, '/')
  rejectDotSegments(plain, pattern.kind === 'prefix')
  rejectUppercase(plain)
  return pattern.kind === 'exact' ? { kind: 'exact', text: withoutLastSlashes(plain) } : { kind: 'prefix', text: plain }
}

/** Without the slashes at its end; `/` itself stays. */
export function withoutLastSlashes(path: string): string {
  let end = path.length
  while (end > 1 && path.charCodeAt(end - 1) === 0x2f) end--
  return end === path.length ? path : path.slice(0, end)
}

/** Runs of slashes count as one, as with nginx's `merge_slashes`: a request is routed, authenticated, permitted and logged by the result. */
export function withSingleSlashes(path: string): string {
  return path.includes('//') ? path.replaceAll(/\/{2,}/g, '/') : path
}

function regexOf(text: string): TextPattern | undefined {
  let pattern: TextPattern | undefined
  try {
    pattern = regexPattern(text)
  } catch (error) {
    throw new Error(`invalid regular expression: ${(error as Error).message}`, { cause: error })
  }
  // Matched from the beginning, where every path has its slash.
  if (pattern && /^regex:\^?\w(?![?*{|])/.test(text)) throw new Error("cannot match any path: paths begin with '/'")
  return pattern
}

function rejectImpossibleCharacters(text: string): void {
  const mark = /[?#]/.exec(text)?.[0]
  if (mark) throw new Error(`'${mark}' and what follows it are not part of a path, so this cannot match: remove it`)
  if (text.includes('\\')) throw new Error("a path cannot contain '\\': use '/'")
  const placeholder = text.split('/').find((segment) => /[{}]|^:[^:]+$/.test(segment))
  if (placeholder)
    throw new Error(`'${placeholder}' is taken literally and cannot match: use '*' at the end, or 'regex:…' ([^/]+ is one segment)`)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    throw new Error("invalid percent-encoding: write '%25' for a literal '%'", { cause: error })
  }
}

/** Clients and servers resolve them before a path is matched. */
function rejectDotSegments(path: string, isPrefix: boolean): void {
  const segments = path.split('/')
  // What a prefix ends in may go on.
  const whole = isPrefix ? segments.slice(0, -1) : segments
  if (!whole.some((segment) => segment === '.' || segment === '..')) return
  throw new Error("paths are normalized and have no '.' or '..' segments, so this cannot match: write the normalized path")
}

/** Paths are compared exactly, and routes have upper-case letters only in ids. */
function rejectUppercase(path: string): void {
  const current = path.replace(/^\/v1\/openai\/(?=v1\/)/i, '/')
  const [, version = '', api = '', rest = ''] = current.split('/')
  const fixed = [version, api, ...(/^v1$/i.test(version) && !/^chat$/i.test(api) ? [] : [rest])]
  const wrong = fixed.find((segment) => segment !== segment.toLowerCase())
  if (wrong === undefined || !/^v1(alpha|beta)?$/i.test(version)) return
  throw new Error(`no route has '${wrong}'; paths are case-sensitive: write '${wrong.toLowerCase()}'`)
}
