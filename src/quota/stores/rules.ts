import type { StoreExchange, StoreExchangeReply, HoldReply, HoldRequest } from '../counters.ts'

// What every store does, as pure functions: the memory store calls them, the others do the same in SQL and Lua, and a test compares them.

/** A lease takes at most this part of what is left (or what is needed), so that all processes get a part. */
export const leaseShare = 8

/** Milliseconds for which a refusal is recorded, so that holders return unused units. */
export const defaultContentionPeriod = 1000

interface Rules {
  /** Whether several processes count in the store. */
  readonly shared: boolean
  readonly contentionPeriod: number
  /** Unix milliseconds. */
  readonly now: number
}

/** The count of one counter in one window. */
export interface CountRow {
  readonly taken: number
  readonly leased: number
  readonly wantedUntil: number
}

export const emptyCount: CountRow = { taken: 0, leased: 0, wantedUntil: 0 }

export function applyExchange(row: CountRow, request: StoreExchange, { shared, contentionPeriod, now }: Rules) {
  const { limit, returned, owed, atLeast, wanted } = request
  const used = Math.max(row.taken - returned, 0) + owed
  const free = limit - used
  const share = shared ? (row.wantedUntil > now ? 0 : Math.floor(free / leaseShare)) : free
  const taken = wanted <= 0 || free < Math.max(atLeast, 1) ? 0 : Math.max(atLeast, Math.min(wanted, share))
  const next: CountRow = {
    taken: used + taken,
    leased: Math.max(row.leased + request.leased + taken, 0),
    wantedUntil: atLeast > 0 && taken === 0 ? now + contentionPeriod : row.wantedUntil,
  }
  const reply: StoreExchangeReply = { taken, remaining: limit - next.taken, leased: next.leased, contended: next.wantedUntil > now }
  return { row: next, reply }
}

/** The holders of a counter, as one of them sees them. */
interface HoldersNow {
  readonly shared: boolean
  /** Slots of all others whose hold has not expired. */
  readonly others: number
  /** The highest sequence of this holder. */
  readonly sequence: number
  readonly wantedUntil: number
  readonly now: number
}

/** `held` undefined: the request came too late and changes nothing. */
export function applyHold(known: HoldersNow, request: HoldRequest): { held: number | undefined; refused: boolean; reply: HoldReply } {
  const { limit, keep, atLeast, slots } = request
  const free = Math.max(limit - known.others, 0)
  const isWanted = known.wantedUntil > known.now
  if (request.sequence <= known.sequence) {
    return { held: undefined, refused: false, reply: { held: 0, others: known.others, contended: isWanted } }
  }
  const refused = free < atLeast
  const share = known.shared ? (isWanted ? 0 : Math.floor((free - atLeast) / leaseShare)) : free
  const held = refused ? Math.min(keep, free) : Math.min(slots, atLeast + share)
  return { held, refused, reply: { held, others: known.others, contended: isWanted || refused } }
}
