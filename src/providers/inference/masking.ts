/** Hides what must not be shown, in every spelling in which an upstream may echo it. */
export interface Masker {
  text(text: string): string
  /** The same in every string of a parsed JSON value, keys included. */
  value(value: unknown): unknown
}

/** Shorter values are not secrets; masking them would damage ordinary words. */
const minSecretLength = 4

/** `secrets`: values of headers as they were sent; of `Bearer x` both the whole and `x` are hidden. */
export function createMasker(secrets: readonly string[]): Masker {
  const spellings = [...new Set(secrets.flatMap(secretsOf).flatMap(spellingsOf))].toSorted((a, b) => b.length - a.length)
  const text = (plain: string): string => spellings.reduce((masked, spelling) => masked.replaceAll(spelling, '***'), plain)
  const value = (plain: unknown, depth = 0): unknown => {
    if (typeof plain === 'string') return text(plain)
    if (typeof plain !== 'object' || plain === null || spellings.length === 0) return plain
    if (depth > maxDepth) return '…'
    if (Array.isArray(plain)) return plain.map((item) => value(item, depth + 1))
    return Object.fromEntries(Object.entries(plain).map(([key, item]) => [text(key), value(item, depth + 1)]))
  }
  return { text, value }
}

/** An error's body is never this deep; a hostile one is not followed. */
const maxDepth = 100

function secretsOf(secret: string): string[] {
  const scheme = /^[A-Za-z][\w-]* +(\S.*)$/.exec(secret)
  return [secret.trim(), ...(scheme?.[1] ? [scheme[1].trim()] : [])].filter((candidate) => candidate.length >= minSecretLength)
}

function spellingsOf(secret: string): string[] {
  const escaped = JSON.stringify(secret).slice(1, -1)
  return [
    secret,
    escaped,
    escaped.replaceAll('/', String.raw`\/`),
    encodeURIComponent(secret),
    secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
  ]
}
