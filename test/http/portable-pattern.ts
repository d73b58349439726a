/** Escapes that ECMAScript (with the flag `u`), Python's `re` and Go's RE2 read alike, besides escaped punctuation. */
const escapes = /^(?:[dDwWsSbBnrtfv]|x[0-9a-f]{2}|[\\^$.*+?()[\]{}|/-])/i

/** Go's limit of a repetition's bounds. */
const largestRepeat = 1000

/** What of a JSON Schema `pattern` one of these engines does not compile; undefined: all do. */
export function unportableSyntax(pattern: string): string | undefined {
  let inClass = false
  for (let at = 0; at < pattern.length; at++) {
    const rest = pattern.slice(at + 1)
    switch (pattern[at]) {
      case '\\':
        if (!escapes.test(rest)) return `\\${rest.slice(0, 3)}`
        at++
        break
      case '[':
        if (inClass) return '[ in a class'
        if (/^\^?\]/.test(rest)) return 'an empty class'
        inClass = true
        break
      case ']':
        inClass = false
        break
      case '(':
        if (!inClass && rest.startsWith('?') && !rest.startsWith('?:')) return `(${rest.slice(0, 3)}`
        break
      case '{': {
        const bounds = /^(\d+)(?:,(\d*))?\}/.exec(rest)
        if (!inClass && (!bounds || [bounds[1], bounds[2]].some((bound) => Number(bound ?? 0) > largestRepeat)))
          return `{${rest.slice(0, 8)}`
        break
      }
    }
  }
  try {
    RegExp(pattern, 'u')
    return undefined
  } catch (error) {
    return String(error)
  }
}
