import { startBackgroundTimer, within } from '../timing.ts'
import { write } from 'node:fs'

/** Milliseconds that a line may wait for others to be written together with it. */
const batchDelay = 25
/** Characters that are written without waiting any longer. */
const flushSize = 65_536
/** Once so many characters wait for a reader that does not read, lines are dropped rather than the server stopped. */
const maxPending = 4_000_000
/** Milliseconds that closing waits for such a reader. */
const closeTimeout = 1000
/** What a disk says that takes nothing for now: what was to be written is lost, what comes later is tried. */
const transientErrors = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO'])
/** So many EIO in a row are a terminal that hung up, not a disk that stumbled. */
const maxConsecutiveEio = 100
const lineEnd = 0x0a

/** The text before the lines of one write: how many lines were lost. */
interface WriteHead {
  readonly lost: number
  /** Bytes of it that are not written yet. */
  readonly length: number
}

/** Writes what it can of some bytes at the end of a file, as `write` of node:fs does. */
export type WriteBytes = (fd: number, bytes: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void) => void

const writeBytes: WriteBytes = (fd, bytes, done) => write(fd, bytes, 0, bytes.length, null, done)

/** Writes lines to a file descriptor in order, several with one system call, without blocking the caller. */
export class LineWriter {
  readonly #fd: number
  readonly #write: WriteBytes
  #pending = ''
  #busy = false
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Lost lines that were not reported yet. */
  #unreported = 0
  /** Lines lost since the start: no reader, or a full disk. */
  dropped = 0
  #closed = false
  /** The reader went away for good. */
  #readerClosed = false
  /** EIO in a row. */
  #consecutiveEio = 0
  /** What was written last ends within a line. */
  #endsMidLine = false
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
    if (this.#readerClosed || this.#pending.length > maxPending) {
      this.#countLost(1)
      return
    }
    this.#pending += line
    if (!this.#busy) this.#schedule()
  }

  /** Resolves once everything is written, or after a second without a reader. Later lines are dropped. */
  close(): Promise<void> {
    this.#closed = true
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#whenDone = resolve
    if (!this.#busy) this.#flush()
    return within(closeTimeout, promise, undefined, { timer: startBackgroundTimer })
  }

  #countLost(lines: number): void {
    this.#unreported += lines
    this.dropped += lines
  }

  #schedule(): void {
    if (this.#pending.length >= flushSize || this.#closed) this.#flush()
    else if (this.#pending !== '') this.#timer ??= setTimeout(() => this.#flush(), batchDelay)
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#pending === '') {
      this.#whenDone?.()
      return
    }
    const lost = this.#unreported
    const head = `${this.#endsMidLine ? '\n' : ''}${lost > 0 ? noticeOf(lost) : ''}`
    const bytes = Buffer.from(head + this.#pending)
    this.#pending = ''
    this.#unreported = 0
    this.#busy = true
    this.#writeAll(bytes, { lost, length: Buffer.byteLength(head) })
  }

  #writeAll(bytes: Buffer, head: WriteHead): void {
    this.#write(this.#fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.#writeAll(bytes, head), batchDelay)
        return
      }
      if (error) {
        this.#fail(error.code, bytes, head)
        return
      }
      this.#consecutiveEio = 0
      if (written > 0) this.#endsMidLine = bytes[written - 1] !== lineEnd
      if (written < bytes.length) {
        this.#writeAll(bytes.subarray(written), { lost: head.lost, length: Math.max(head.length - written, 0) })
      } else {
        this.#busy = false
        this.#schedule()
      }
    })
  }

  #fail(code: string | undefined, bytes: Buffer, head: WriteHead): void {
    this.#busy = false
    // A line that lacks only its end is not lost: the next write begins with that.
    const ended = this.#endsMidLine && bytes[0] === lineEnd ? 1 : 0
    this.#countLost(linesIn(bytes.subarray(Math.max(head.length, ended))))
    if (head.length > ended) this.#unreported += head.lost
    if (code === 'EIO') this.#consecutiveEio += 1
    if (code !== undefined && transientErrors.has(code) && this.#consecutiveEio < maxConsecutiveEio) {
      // While closing there is no later write.
      if (this.#closed) this.#whenDone?.()
      else this.#schedule()
      return
    }
    // The reader went away (`corral run 2>&1 | head`): the server continues without a log.
    this.#readerClosed = true
    this.#countLost(linesIn(Buffer.from(this.#pending)))
    this.#pending = ''
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
