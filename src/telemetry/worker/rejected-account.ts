import type { PartialSuccess } from './partial-success.ts'

/** Milliseconds between two accounts. */
const betweenAccounts = 60_000

/** Sums up what a collector rejects, so that it is told once a minute and not with every message. */
export class RejectedAccount {
  #dueAt = -Infinity
  #untold: PartialSuccess | undefined

  add({ rejected, why }: PartialSuccess): void {
    this.#untold = { rejected: (this.#untold?.rejected ?? 0) + rejected, why }
  }

  /** What is to be told at `now` in milliseconds, with the collector's last reason; Infinity: whatever is left, at the end. */
  due(now: number): PartialSuccess | undefined {
    const untold = this.#untold
    if (!untold || now < this.#dueAt) return undefined
    this.#untold = undefined
    this.#dueAt = now + betweenAccounts
    return untold
  }
}
