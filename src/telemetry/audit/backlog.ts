import type { AuditEntry } from './audit-log.ts'
import { type AuditRecord, marker } from './line.ts'

/** Denials of one second that get a line each; those after them are merged with their like. */
const maxSeparateDenials = 100
/** Different merged denials of one second; beyond it, only the denying part, status and address are distinguished. */
const maxKinds = 300
/** Of those, different addresses; beyond it, only the denying part and status. */
const maxAddresses = 200
/** Lines that wait while nothing can be written. */
const maxPending = 5_000

const second = 1_000
const denied = 'request.denied'

/**
 * The entries to write next, in bounded memory: the denials of a flood are merged and counted, changes are kept one by one, and changes that
 * arrive while thousands wait for a failing disk are counted as lost, which a later line of the chain reports.
 */
export class Backlog {
  #lines: AuditRecord[] = []
  #merged = new Map<string, AuditRecord>()
  #mergedSince = 0
  #windowStart = 0
  #separateDenials = 0
  #lost: AuditRecord | undefined
  /** Entries that were lost since the start. */
  lost = 0

  /** False: too many are waiting, and the entry is lost. */
  add(entry: AuditEntry, time: number): boolean {
    if (entry.event === denied) {
      if (this.#isSeparate(time)) this.#lines.push({ time, entry })
      else this.#merge(entry, time)
    } else if (this.#lines.length < maxPending) this.#lines.push({ time, entry })
    else {
      this.countLost(1, time)
      return false
    }
    return true
  }

  /** Counts entries that will not be written. */
  countLost(count: number, time: number): void {
    this.lost += count
    this.#lost ??= { time, entry: { event: marker.lost, reason: 'could not be written, and too many were waiting' }, count: 0 }
    this.#lost.count = (this.#lost.count ?? 0) + count
    this.#lost.until = time
  }

  /** Milliseconds until something should be written; undefined: there is nothing. */
  dueIn(now: number): number | undefined {
    if (this.#lost) return 0
    if (this.#lines.length > 0) return this.#lines.some(({ entry }) => entry.event !== denied) ? 0 : denialDelay
    return this.#merged.size > 0 ? Math.max(0, this.#mergedSince + second - now) : undefined
  }

  /** Takes out the entries to write now; merged denials after their second, or at the `last` call. */
  take(now: number, last = false): AuditRecord[] {
    const records = this.#lines
    this.#lines = []
    if (this.#merged.size > 0 && (last || now >= this.#mergedSince + second || now < this.#mergedSince)) {
      for (const record of this.#merged.values()) records.push(record)
      this.#merged = new Map()
    }
    if (this.#lost) {
      const { count, ...lost } = this.#lost
      records.push({ ...lost, entry: { ...lost.entry, detail: { lost: count } } })
      this.#lost = undefined
    }
    return records
  }

  #isSeparate(time: number): boolean {
    if (time >= this.#windowStart + second || time < this.#windowStart) {
      this.#windowStart = time
      this.#separateDenials = 0
    }
    return this.#separateDenials < maxSeparateDenials && this.#lines.length < maxPending && ++this.#separateDenials > 0
  }

  #merge(entry: AuditEntry, time: number): void {
    if (this.#merged.size === 0) this.#mergedSince = time
    for (const [key, kept] of kindsOf(entry, this.#merged.size)) {
      const existing = this.#merged.get(key)
      if (existing) {
        existing.count = (existing.count ?? 1) + 1
        existing.until = time
        return
      }
      if (kept) {
        this.#merged.set(key, { time, entry: kept, count: 1 })
        return
      }
    }
  }
}

/** Milliseconds that denials wait for others, so that a hundred of them are one write. */
const denialDelay = 100

/** The keys under which a denial may be merged, finest first, each with the entry to write, or undefined if there are too many. */
function* kindsOf(entry: AuditEntry, size: number): Generator<readonly [key: string, kept: AuditEntry | undefined]> {
  const { event, principal, key_id, client_address, action, resource, status, denied_by, reason } = entry
  const kind = [denied_by, status, client_address, principal, key_id, action, resource, reason]
  yield [JSON.stringify(kind), size < maxKinds ? entry : undefined]
  const summary: AuditEntry = { event, status, denied_by, reason: 'several kinds, too many to tell apart' }
  yield [JSON.stringify(kind.slice(0, 3)), size < maxKinds + maxAddresses ? { ...summary, client_address } : undefined]
  yield [JSON.stringify(kind.slice(0, 2)), summary]
}
