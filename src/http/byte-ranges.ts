import type { ByteRange } from './file-stream.ts'

/** What a representation is compared by. */
interface Validators {
  /** A strong entity tag with its quotes. */
  readonly etag: string | undefined
  /** Unix milliseconds; compared by whole seconds, as HTTP dates are. */
  readonly lastModified: number | undefined
}

/** What a GET or HEAD request asks for of a representation that is there. */
export type Selection =
  | { readonly status: 200 }
  | { readonly status: 206; readonly range: ByteRange }
  | { readonly status: 304 | 412 | 416 }

/**
 * RFC 9110 §13.2.2 and §14.2: the conditions in their order, then the range. A request for several ranges gets the whole, which §14.2 permits and
 * which costs a client that asks for overlapping ones nothing extra; so does one whose Range is malformed, and any range of an empty body.
 */
export function select(method: string, headers: Headers, { size, ...validators }: Validators & { readonly size: number }): Selection {
  const failed = failedCondition(headers, validators)
  if (failed !== undefined) return { status: failed }
  const range = headers.get('range')
  if (method !== 'GET' || range === null || size === 0 || !rangeStillApplies(headers.get('if-range'), validators)) return { status: 200 }
  return rangeOf(range, size)
}

function failedCondition(headers: Headers, { etag, lastModified }: Validators): 304 | 412 | undefined {
  const ifMatch = headers.get('if-match')
  if (ifMatch !== null) {
    if (!matches(ifMatch, etag, 'strong')) return 412
  } else if (lastModified !== undefined) {
    const since = dateOf(headers.get('if-unmodified-since'))
    if (since !== undefined && seconds(lastModified) > seconds(since)) return 412
  }
  const ifNoneMatch = headers.get('if-none-match')
  if (ifNoneMatch !== null) return matches(ifNoneMatch, etag, 'weak') ? 304 : undefined
  const since = dateOf(headers.get('if-modified-since'))
  return lastModified !== undefined && since !== undefined && seconds(lastModified) <= seconds(since) ? 304 : undefined
}

/** Whether one of the list's entity tags is `etag`. Weak comparison leaves `W/` out of account; ours are all strong. */
function matches(list: string, etag: string | undefined, comparison: 'strong' | 'weak'): boolean {
  if (list.trim() === '*') return true
  if (etag === undefined) return false
  return entityTags(list).some((tag) => tag === etag || (comparison === 'weak' && tag === `W/${etag}`))
}

function entityTags(list: string): string[] {
  return [...list.matchAll(/(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g)].map(([tag]) => tag)
}

/** RFC 9110 §13.1.5: a strong tag that is the same, or the date of the last change exactly. */
function rangeStillApplies(ifRange: string | null, { etag, lastModified }: Validators): boolean {
  if (ifRange === null) return true
  const value = ifRange.trim()
  if (value.includes('"')) return value === etag
  const date = dateOf(value)
  return date !== undefined && lastModified !== undefined && seconds(date) === seconds(lastModified)
}

function rangeOf(header: string, size: number): Selection {
  const [, unit = '', set = ''] = /^\s*([^\s=]+)\s*=(.*)$/s.exec(header) ?? []
  if (unit.toLowerCase() !== 'bytes') return { status: 200 }
  const ranges = set.split(',').map((text) => text.trim())
  const [only = ''] = ranges.filter((text) => text !== '')
  if (ranges.filter((text) => text !== '').length !== 1) return { status: 200 }
  const suffix = /^-(\d+)$/.exec(only)?.[1]
  if (suffix !== undefined) {
    const length = Number(suffix)
    return length === 0 ? { status: 416 } : { status: 206, range: { start: Math.max(0, size - length), end: size - 1 } }
  }
  const [, first, last = ''] = /^(\d+)-(\d*)$/.exec(only) ?? []
  if (first === undefined) return { status: 200 }
  const start = Number(first)
  const end = last === '' ? Infinity : Number(last)
  // Long numbers are compared before they are rounded to the same.
  if (last !== '' && BigInt(last) < BigInt(first)) return { status: 200 }
  return start >= size ? { status: 416 } : { status: 206, range: { start, end: Math.min(end, size - 1) } }
}

/** RFC 9110 §5.6.7: the one form in use and the two obsolete ones. */
const httpDate =
  /^(?:[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT|[A-Z][a-z]+, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/

/** Undefined if it is not an HTTP date: the header is then ignored. */
function dateOf(header: string | null): number | undefined {
  const text = header?.trim() ?? ''
  if (!httpDate.test(text)) return undefined
  const time = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(time) ? undefined : time
}

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000)
}
