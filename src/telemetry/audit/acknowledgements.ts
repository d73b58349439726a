/** Milliseconds that one entry is waited for: a file system that hangs reports no error. */
const maxWait = 10_000

interface AcknowledgementWaiter {
  /** The number of the last entry that is waited for. */
  readonly through: number
  resolve(): void
  reject(error: unknown): void
}

/** The calls that wait until entries of the audit log are synced to disk. Entries are numbered from 1; a write covers all that were added before it took them. */
export class Acknowledgements {
  #waiting: AcknowledgementWaiter[] = []
  #added = 0
  #taken = 0
  #synced = 0

  /** One more entry is to be written. */
  added(): void {
    this.#added += 1
  }

  /** A write begins with every entry added so far. */
  taken(): void {
    this.#taken = this.#added
  }

  /** That write is on disk. */
  synced(): void {
    this.#synced = this.#taken
    const { covered = [], later = [] } = Object.groupBy(this.#waiting, ({ through }) => (through <= this.#synced ? 'covered' : 'later'))
    this.#waiting = later
    for (const waiter of covered) waiter.resolve()
  }

  /** An attempt to write failed. Its entries are tried again, but no caller waits for that. */
  failed(error: unknown): void {
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error)
  }

  /** Resolves after every entry added so far is on disk. Rejects when an attempt to write fails first, or after ten seconds. */
  async wait(): Promise<void> {
    if (this.#synced >= this.#added) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiter: AcknowledgementWaiter = { through: this.#added, resolve, reject }
    this.#waiting.push(waiter)
    const timer = setTimeout(() => {
      this.#waiting = this.#waiting.filter((other) => other !== waiter)
      reject(new Error(`the audit log did not reach the disk within ${maxWait / 1000} seconds`))
    }, maxWait)
    try {
      await promise
    } finally {
      clearTimeout(timer)
    }
  }
}
