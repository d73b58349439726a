import { write } from 'node:fs'

/** Milliseconds that a line may wait for others to be written together with it. */
const gather = 25
/** Characters that are written without waiting any longer. */
const enough = 65_536
/** Once so many characters wait for a reader that does not read, lines are dropped rather than the server stopped. */
const mostWaiting = 4_000_000
/** Milliseconds that closing waits for such a reader. */
const longestClose = 1000

/** Writes lines to a file descriptor in order, many with one system call, and never makes whoever logs wait. */
export class LineWriter {
  readonly #fd: number
  #waiting = ''
  #busy = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #dropped = 0
  /** Lines that nobody read, since the start. */
  dropped = 0
  #closed = false
  #whenDone: (() => void) | undefined

  constructor(fd: number) {
    this.#fd = fd
  }

  write(line: string): void {
    if (this.#closed) return
    if (this.#waiting.length > mostWaiting) {
      this.#dropped++
      this.dropped++
      return
    }
    this.#waiting += line
    if (!this.#busy) this.#schedule()
  }

  /** Resolves once everything is written, or after a second when nobody reads. What comes later is dropped. */
  close(): Promise<void> {
    this.#closed = true
    return new Promise((resolve) => {
      this.#whenDone = resolve
      setTimeout(resolve, longestClose).unref()
      if (!this.#busy) this.#flush()
    })
  }

  #schedule(): void {
    if (this.#waiting.length >= enough || this.#closed) this.#flush()
    else if (this.#waiting !== '') this.#timer ??= setTimeout(() => this.#flush(), gather)
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#dropped > 0) {
      this.#waiting += `${JSON.stringify({ level: 'warn', msg: 'log lines dropped: nobody reads them', dropped: this.#dropped })}\n`
      this.#dropped = 0
    }
    if (this.#waiting === '') {
      this.#whenDone?.()
      return
    }
    const bytes = Buffer.from(this.#waiting)
    this.#waiting = ''
    this.#busy = true
    this.#writeAll(bytes)
  }

  #writeAll(bytes: Buffer): void {
    write(this.#fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.#writeAll(bytes), gather)
      } else if (error) {
        // The reader went away (`corral run 2>&1 | head`): the server goes on without a log.
        this.#closed = true
        this.#waiting = ''
        this.#whenDone?.()
      } else if (written < bytes.length) {
        this.#writeAll(bytes.subarray(written))
      } else {
        this.#busy = false
        this.#schedule()
      }
    })
  }
}
