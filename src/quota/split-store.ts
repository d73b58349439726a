import type { QuotaStore, CountingWindow } from './counters.ts'

/** Milliseconds. Counts of windows of a day and longer must outlive the process. */
const durableFrom = 86_400_000

/** Counts short windows and slots in one store, long windows in another; both are shared or neither is. Disposes both. */
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
