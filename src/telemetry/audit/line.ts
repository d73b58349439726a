import { hash } from 'node:crypto'
import type { AuditEntry } from './audit-log.ts'

/** An entry on its way into the chain: when it happened, and how often where several alike were merged. */
export interface AuditRecord {
  /** Unix milliseconds. */
  readonly time: number
  readonly entry: AuditEntry
  /** How many entries this one represents. Absent: 1. */
  count?: number
  /** Unix milliseconds of the last of them. */
  until?: number
}

/** The state of a chain: number and hash of its last line. */
export interface ChainState {
  readonly seq: number
  readonly hash: string
}

/** One line as read back, its own hash checked; whether it follows from the line before it is another question. */
export interface ChainLine extends ChainState {
  readonly prev: string
  /** All members, with `seq`, `time`, `prev` and `hash`. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** What the first line of a chain names as the hash before it. */
export const chainStart: ChainState = Object.freeze({ seq: 0, hash: '0'.repeat(64) })

/** What Corral itself writes about the chain, beside the entries. */
export const marker = {
  /** The bytes before this line are a line that was being written when the process or machine stopped. */
  torn: 'audit.torn',
  /** Entries that could not be kept until they could be written. */
  lost: 'audit.lost',
  /** The chain continues in another file. */
  rotated: 'audit.rotated',
  /** The oldest files were removed because they are older, or more, than is to be kept. */
  filesRemoved: 'audit.files_removed',
  /** The file was changed, moved or removed by another process while it was written. */
  disturbed: 'audit.disturbed',
} as const

/** `,"hash":"` + 64 digits + `"}`: how every line ends. */
const endLength = 75
const lineEnd = /^,"hash":"[0-9a-f]{64}"\}$/
const maxTextLength = 1_000
const maxDetailLength = 8_000

/**
 * The line that follows `before`, without its line break. Its hash is SHA-256 over the line's own bytes up to the comma before `"hash"`,
 * `prev` included, so that nothing has to be canonicalised.
 */
export function writeLine(before: ChainState, record: AuditRecord): { text: string; state: ChainState } {
  const seq = before.seq + 1
  const fields = { seq, prev: before.hash, time: isoTime(record.time), ...bounded(record.entry), ...repetition(record) }
  const body = JSON.stringify(fields).slice(0, -1)
  const own = hash('sha256', body)
  return { text: `${body},"hash":"${own}"}`, state: { seq, hash: own } }
}

/** Undefined: not a line that this program wrote, or one that has been changed since. `bytes` without the line break. */
export function readLine(bytes: Buffer): ChainLine | undefined {
  const end = bytes.length - endLength
  if (end < 2) return undefined
  const closing = bytes.toString('latin1', end)
  const own = closing.slice(9, 73)
  if (!lineEnd.test(closing) || hash('sha256', bytes.subarray(0, end)) !== own) return undefined
  const fields = parsed(bytes)
  const { seq, prev } = fields ?? {}
  if (!fields || !Number.isSafeInteger(seq) || typeof prev !== 'string') return undefined
  return { seq: seq as number, prev, hash: own, fields }
}

/** The object of a line, whether or not the chain holds; undefined: none. */
export function parsed(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** The object under `detail` of a line. */
export function detailOf(line: Pick<ChainLine, 'fields'>): Readonly<Record<string, unknown>> {
  const { detail } = line.fields
  return typeof detail === 'object' && detail !== null ? (detail as Record<string, unknown>) : {}
}

function repetition({ count, until }: AuditRecord): object {
  return count === undefined || count < 2 ? {} : { count, ...(until !== undefined && { until: isoTime(until) }) }
}

/** What callers send may be megabytes long, and one line of the log must not be. The names of the chain's own fields are not an entry's. */
function bounded(entry: AuditEntry): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(entry)) {
    if (typeof value === 'string') fields[name] = value.length > maxTextLength ? `${value.slice(0, maxTextLength)}…` : value
    else if (name !== 'detail') fields[name] = value
    else if (value !== undefined) fields[name] = boundedDetail(value)
  }
  for (const own of ['seq', 'prev', 'time', 'hash', 'count', 'until']) delete fields[own]
  return fields
}

function boundedDetail(detail: unknown): unknown {
  try {
    const text = JSON.stringify(detail) ?? 'null'
    return text.length > maxDetailLength ? { left_out: `${text.length} characters` } : JSON.parse(text)
  } catch (error) {
    // The line must be written whatever the value is.
    return { left_out: `no JSON (${(error as Error).name})` }
  }
}

function isoTime(time: number): string {
  return new Date(time).toISOString()
}
