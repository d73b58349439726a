import { write } from 'node:fs'

/** Milliseconds that a line may wait for others to be written together with it. */
const gather = 25
/** Characters that are written without waiting any longer. */
const enough = 65_536
/** Once so many characters wait for a reader that does not read, lines are dropped rather than the server stopped. */
const mostWaiting = 4_000_000
/** Milliseconds that closing waits for such a reader. */
const longestClose = 1000
/** What a disk says that takes nothing for now: what was to be written is lost, what comes later is tried. */
const full = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO'])
/** So many EIO in a row are a terminal that hung up, not a disk that stumbled. */
const mostBroken = 100
const lineEnd = 0x0a

/** What stands before the lines of one write: how many were lost before them. */
interface Head {
  readonly told: number
  /** Bytes of it that are not written yet. */
  readonly length: number
}

/** Writes what it can of some bytes at the end of a file, as `write` of node:fs does. */
export type WriteBytes = (fd: number, bytes: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void) => void

const writeBytes: WriteBytes = (fd, bytes, done) => write(fd, bytes, 0, bytes.length, null, done)

/** Writes lines to a file descriptor in order, many with one system call, and never makes whoever logs wait. */
export class LineWriter {
  readonly #fd: number
  readonly #write: WriteBytes
  #waiting = ''
  #busy = false
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Lines that were lost and are not told yet. */
  #untold = 0
  /** Lines that were lost since the start: nobody read them, or the disk was full. */
  dropped = 0
  #closed = false
  /** The reader went away for good. */
  #gone = false
  /** EIO in a row. */
  #broken = 0
  /** What was written last ends within a line. */
  #torn = false
  #whenDone: (() => void) | undefined

  constructor(fd: number, writes: WriteBytes = writeBytes) {
    this.#fd = fd
    this.#write = writes
  }

  /** Nothing is on its way to the file. */
  get isIdle(): boolean {
    return !this.#busy
  }

  write(line: string): void {
    if (this.#closed) return
    if (this.#gone || this.#waiting.length > mostWaiting) {
      this.#lose(1)
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

  #lose(lines: number): void {
    this.#untold += lines
    this.dropped += lines
  }

  #schedule(): void {
    if (this.#waiting.length >= enough || this.#closed) this.#flush()
    else if (this.#waiting !== '') this.#timer ??= setTimeout(() => this.#flush(), gather)
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting === '') {
      this.#whenDone?.()
      return
    }
    const told = this.#untold
    const head = `${this.#torn ? '\n' : ''}${told > 0 ? noticeOf(told) : ''}`
    const bytes = Buffer.from(head + this.#waiting)
    this.#waiting = ''
    this.#untold = 0
    this.#busy = true
    this.#writeAll(bytes, { told, length: Buffer.byteLength(head) })
  }

  #writeAll(bytes: Buffer, head: Head): void {
    this.#write(this.#fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.#writeAll(bytes, head), gather)
        return
      }
      if (error) {
        this.#fail(error.code, bytes, head)
        return
      }
      this.#broken = 0
      if (written > 0) this.#torn = bytes[written - 1] !== lineEnd
      if (written < bytes.length) {
        this.#writeAll(bytes.subarray(written), { told: head.told, length: Math.max(head.length - written, 0) })
      } else {
        this.#busy = false
        this.#schedule()
      }
    })
  }

  #fail(code: string | undefined, bytes: Buffer, head: Head): void {
    this.#busy = false
    // A line that lacks only its end is not lost: the next write begins with that.
    const ended = this.#torn && bytes[0] === lineEnd ? 1 : 0
    this.#lose(linesIn(bytes.subarray(Math.max(head.length, ended))))
    if (head.length > ended) this.#untold += head.told
    if (code === 'EIO') this.#broken += 1
    if (code !== undefined && full.has(code) && this.#broken < mostBroken) {
      // Once it is closing there is no later.
      if (this.#closed) this.#whenDone?.()
      else this.#schedule()
      return
    }
    // The reader went away (`corral run 2>&1 | head`): the server goes on without a log.
    this.#gone = true
    this.#lose(linesIn(Buffer.from(this.#waiting)))
    this.#waiting = ''
    this.#whenDone?.()
  }
}

function noticeOf(lines: number): string {
  const notice = { level: 'warn', time: new Date().toISOString(), msg: 'log lines dropped: they could not be written', dropped: lines }
  return `${JSON.stringify(notice)}\n`
}

function linesIn(bytes: Buffer): number {
  let count = 0
  for (let at = bytes.indexOf(lineEnd); at >= 0; at = bytes.indexOf(lineEnd, at + 1)) count += 1
  return count
}
