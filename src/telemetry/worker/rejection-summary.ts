import type { PartialSuccess } from './partial-success.ts'

/** Milliseconds between two accounts. */
const reportInterval = 60_000

/** Sums up what a collector rejects, so that it is told once a minute and not with every message. */
export class RejectionSummary {
  #dueAt = -Infinity
  #unreported: PartialSuccess | undefined

  add({ rejected, why }: PartialSuccess): void {
    this.#unreported = { rejected: (this.#unreported?.rejected ?? 0) + rejected, why }
  }

  /** What is to be told at `now` in milliseconds, with the collector's last reason; Infinity: whatever is left, at the end. */
  due(now: number): PartialSuccess | undefined {
    const unreported = this.#unreported
    if (!unreported || now < this.#dueAt) return undefined
    this.#unreported = undefined
    this.#dueAt = now + reportInterval
    return unreported
  }
}
