import type { QuotaStore, Window } from './counters.ts'

/** Milliseconds: windows of a day and longer, whose counts must outlive the process. */
const lasting = 86_400_000

/** Counts what is soon over, and what runs, in one store, and all else in another; both are shared or neither is. Disposes both. */
export function createSplitStore(passing: QuotaStore, keeping: QuotaStore): QuotaStore {
  const storeOf = ({ start, end }: Window): QuotaStore => (end - start >= lasting ? keeping : passing)
  return {
    shared: keeping.shared,
    exchange: (request) => storeOf(request.window).exchange(request),
    hold: (request) => passing.hold(request),
    async [Symbol.asyncDispose]() {
      await passing[Symbol.asyncDispose]()
      await keeping[Symbol.asyncDispose]()
    },
  }
}
