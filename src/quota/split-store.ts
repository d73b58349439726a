import type { QuotaStore, CountingWindow } from './counters.ts'

/** Milliseconds: windows of a day and longer, whose counts must outlive the process. */
const durableFrom = 86_400_000

/** Counts what is soon over, and what runs, in one store, and all else in another; both are shared or neither is. Disposes both. */
export function createSplitStore(shortTerm: QuotaStore, durable: QuotaStore): QuotaStore {
  const storeOf = ({ start, end }: CountingWindow): QuotaStore => (end - start >= durableFrom ? durable : shortTerm)
  return {
    shared: durable.shared,
    exchange: (request) => storeOf(request.window).exchange(request),
    hold: (request) => shortTerm.hold(request),
    async [Symbol.asyncDispose]() {
      await shortTerm[Symbol.asyncDispose]()
      await durable[Symbol.asyncDispose]()
    },
  }
}
