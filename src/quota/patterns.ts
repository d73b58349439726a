/** Whether a text is as `pattern` says: `*` matches any characters, everything else itself. */
export function compileWildcard(pattern: string): (text: string) => boolean {
  if (!pattern.includes('*')) return (text) => text === pattern
  const parts = pattern.split('*')
  const first = parts[0] ?? ''
  const last = parts[parts.length - 1] ?? ''
  const middle = parts.slice(1, -1)
  // Part by part, each as early as it can be: linear in the text, whatever the pattern.
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
    let at = first.length
    for (const part of middle) {
      const found = text.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at + last.length <= text.length
  }
}
