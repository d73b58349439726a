import { type StoreExchange, type StoreExchangeReply, type HoldReply, type QuotaStore, WindowExpired } from '../counters.ts'
import { graceOf } from '../windows.ts'
import { type CountRow, emptyCount, applyExchange, applyHold, defaultContentionPeriod } from './rules.ts'

interface MemoryHolder {
  held: number
  until: number
  sequence: number
}

interface CounterHolders {
  readonly byName: Map<string, MemoryHolder>
  wantedUntil: number
}

interface MemoryStoreOptions {
  /** Several limiters count in it, as if they were processes. Default: false. */
  readonly shared?: boolean
  readonly contentionPeriod?: number
  /** Unix milliseconds. */
  readonly now?: () => number
}

/**
 * Counts of one process, lost when it ends. Rows are kept by their windows' ends, and a window's go all at once; slots' rows as long as somebody
 * holds some.
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): QuotaStore {
  const { shared = false, contentionPeriod = defaultContentionPeriod, now = Date.now } = options
  const windows = new Map<string, { readonly forgetAt: number; readonly rows: Map<string, CountRow> }>()
  const slots = new Map<string, CounterHolders>()
  let nextSweep = 0

  const sweep = (at: number): void => {
    if (at < nextSweep) return
    nextSweep = at + 1000
    for (const [key, { forgetAt }] of windows) if (forgetAt <= at) windows.delete(key)
  }
  const rowsOf = ({ window }: StoreExchange, at: number): Map<string, CountRow> => {
    const key = `${window.start}-${window.end}`
    const forgetAt = window.end + graceOf(window)
    if (forgetAt <= at) throw new WindowExpired(window)
    const known = windows.get(key)
    if (known) return known.rows
    const rows = new Map<string, CountRow>()
    windows.set(key, { forgetAt, rows })
    return rows
  }

  return {
    shared,
    async exchange(request): Promise<StoreExchangeReply> {
      const at = now()
      sweep(at)
      const rows = rowsOf(request, at)
      const { row, reply } = applyExchange(rows.get(request.counter) ?? emptyCount, request, { shared, contentionPeriod, now: at })
      if (row.taken === 0 && row.leased === 0 && row.wantedUntil <= at) rows.delete(request.counter)
      else rows.set(request.counter, row)
      return reply
    },
    async hold(request): Promise<HoldReply> {
      const at = now()
      const holders = slots.get(request.counter) ?? { byName: new Map<string, MemoryHolder>(), wantedUntil: 0 }
      const own = holders.byName.get(request.holder)
      let others = 0
      for (const [name, { held, until }] of holders.byName) {
        if (until <= at && name !== request.holder) holders.byName.delete(name)
        else if (name !== request.holder) others += held
      }
      const known = { shared, others, sequence: own?.sequence ?? 0, wantedUntil: holders.wantedUntil, now: at }
      const { held, refused, reply } = applyHold(known, request)
      if (held !== undefined) {
        if (request.slots === 0) holders.byName.delete(request.holder)
        else holders.byName.set(request.holder, { held, until: at + request.ttl, sequence: request.sequence })
        if (refused) holders.wantedUntil = at + contentionPeriod
      }
      if (holders.byName.size === 0 && holders.wantedUntil <= at) slots.delete(request.counter)
      else slots.set(request.counter, holders)
      return reply
    },
    async [Symbol.asyncDispose]() {},
  }
}
