import { randomBytes } from 'node:crypto'

/** A secret that is marked, so that it is known wherever it turns up. */
export interface Canary {
  /** Where it was put. */
  readonly name: string
  readonly value: string
  /** Parts of it that no text may hold, in any of the forms of `formsOf`. */
  readonly parts: readonly string[]
}

/** A text that works as a key, a password or a token, and occurs nowhere else. */
export function canary(name: string): Canary {
  const mark = randomBytes(20).toString('hex')
  return { name, value: `canary-${name.replaceAll(/[^a-z0-9]+/gi, '-')}-${mark}`, parts: endsOf(mark) }
}

/** A secret that somebody else made. `core`: what of it must not be shown, where that is less than all of it. */
export function canaryOf(name: string, value: string, core = value): Canary {
  return { name, value, parts: endsOf(core) }
}

/** The lines of a PEM file's body. */
export function canaryOfPem(name: string, pem: string): Canary {
  const lines = pem.split('\n').filter((line) => line.length > 40 && !line.startsWith('-----'))
  return { name, value: pem, parts: lines.flatMap(endsOf) }
}

/** Halves of secrets are secrets: what shows the first twenty characters shows too much. */
function endsOf(text: string): string[] {
  return text.length < 24 ? [text] : [text.slice(0, 16), text.slice(-16)]
}

/** How a text looks where it was not printed as it is. */
function formsOf(part: string): Readonly<Record<string, string>> {
  return {
    plain: part,
    // Somewhere within a longer text that was encoded: from one of three beginnings, without what hangs on the neighbours.
    ...Object.fromEntries([0, 1, 2].map((offset) => [`base64 at ${offset}`, base64Within(part, offset)])),
    hex: Buffer.from(part).toString('hex'),
    backwards: part.split('').toReversed().join(''),
  }
}

function base64Within(part: string, offset: number): string {
  const encoded = Buffer.from('x'.repeat(offset) + part).toString('base64')
  return encoded.slice(offset === 0 ? 0 : 4, -4)
}

/** The canaries that a text holds, as `name (form)`. */
export function leaksIn(text: string, canaries: readonly Canary[]): string[] {
  const lower = text.toLowerCase()
  return canaries.flatMap(({ name, parts }) =>
    parts.flatMap((part) =>
      Object.entries(formsOf(part)).flatMap(([form, shown]) => {
        const found = text.includes(shown) || (form === 'hex' && lower.includes(shown))
        return found ? [`${name} (${form})`] : []
      }),
    ),
  )
}
