const quote = 0x22
const backslash = 0x5c

/** What is found on the way; of use where the text is valid. */
export interface Outline {
  /** The first byte and the end of each key of the outermost object, quotes left out. */
  readonly keys: number[]
  /** How many members stand in whatever lies within the outermost object or list. */
  nestedMembers: number
}

/**
 * Whether brackets nest deeper than `limit` in JSON text. `JSON.parse` takes millions of levels, and what walks the
 * result afterwards (schemas, `JSON.stringify`) runs out of stack: so the bytes are looked at first.
 */
export function nestsDeeperThan(limit: number, json: Uint8Array, outline?: Outline): boolean {
  const keys = outline?.keys
  let depth = 0
  let colons = 0
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case quote: {
        const start = at + 1
        at = closingQuote(json, start)
        if (depth === 1 && keys && isBeforeColon(json, at + 1)) keys.push(start, at)
        break
      }
      case 0x3a:
        if (depth > 1) colons++
        break
      case 0x7b:
      case 0x5b:
        if (++depth > limit) return true
        break
      case 0x7d:
      case 0x5d:
        depth--
        break
    }
  }
  if (outline) outline.nestedMembers = colons
  return false
}

export function isBeforeColon(json: Uint8Array, from: number): boolean {
  let at = from
  while (json[at] === 0x20 || json[at] === 0x0a || json[at] === 0x0d || json[at] === 0x09) at++
  return json[at] === 0x3a
}

/** The place of the quote that ends a string whose content begins at `from`, or the end of the text. */
export function closingQuote(json: Uint8Array, from: number): number {
  // Most strings are short, and a call costs more than they do; for pictures and documents the native search is far faster.
  const near = Math.min(json.length, from + 48)
  let at = from
  for (; at < near; at++) {
    if (json[at] === quote) return at
    if (json[at] === backslash) at++
  }
  for (at = json.indexOf(quote, at); at >= 0; at = json.indexOf(quote, at + 1)) {
    let start = at
    while (start > from && json[start - 1] === backslash) start--
    if ((at - start) % 2 === 0) return at
  }
  return json.length
}
