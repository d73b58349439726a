import type { PartialSuccess } from './partial-success.ts'

/** Milliseconds between two accounts. */
const reportInterval = 60_000

/** Sums up what a collector rejects, to report it once a minute. */
export class RejectionSummary {
  #dueAt = -Infinity
  #unreported: PartialSuccess | undefined

  add({ rejected, why }: PartialSuccess): void {
    this.#unreported = { rejected: (this.#unreported?.rejected ?? 0) + rejected, why }
  }

  /** The summary due at `now` (milliseconds), with the last reason; Infinity: what is left, at the end. */
  due(now: number): PartialSuccess | undefined {
    const unreported = this.#unreported
    if (!unreported || now < this.#dueAt) return undefined
    this.#unreported = undefined
    this.#dueAt = now + reportInterval
    return unreported
  }
}
