import { mkdir } from 'node:fs/promises'
import type { Log } from '../logger.ts'
import type { AuditEntry, AuditLog } from './audit-log.ts'
import { Backlog } from './backlog.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { ChainWriter } from './chain-writer.ts'
import { claimChain, type ChainClaim } from './claim.ts'
import type { AuditRecord } from './line.ts'

export interface AuditLogOptions {
  /** Absolute; made where it is missing (mode 0700). */
  readonly folder: string
  /** Whose chain, e.g. `server`, `worker-0`, `cli`. Where another process has that chain, the next free one is taken: `server.2` … */
  readonly name: string
  /** Bytes after which the chain continues in another file. Default 32 MiB. */
  readonly maxFileBytes?: number | undefined
  /** Files last written to before so many days are removed. Default: none are. */
  readonly keepDays?: number | undefined
  /** So many files of this chain are kept at most. Default: all. */
  readonly keepFiles?: number | undefined
  /** Logs when writing fails, when it recovers, and findings when a chain is continued. */
  readonly log?: Pick<Log, 'error' | 'warn' | 'info'> | undefined
  /** Unix milliseconds. Default `Date.now`. */
  readonly clock?: (() => number) | undefined
}

interface OpenAuditLog extends AuditLog {
  /** The chain that this process writes to. */
  readonly chain: string
  /** Resolves once everything recorded so far is on the disk, and true; false: it could not be written yet. */
  flush(): Promise<boolean>
}

/** Milliseconds between two attempts to write while none succeeds. */
const retryAfter = 1_000
/** On a disk with little room left, some is better than nothing. */
const maxBatchLines = 256
const maxFileBytes = 32 * 1024 * 1024

/**
 * Opens the audit log of this process. `record` only notes the entry; it is written and synced to the disk (fdatasync) by itself: a change
 * at once (`recordDurably` waits for that), denials with those of the same tenth of a second, merged denials of a flood once their second is over. So `kill -9` loses at
 * most that. Throws where the folder cannot be made or written to; what cannot be written later is kept, within bounds, and tried again.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<OpenAuditLog> {
  const { folder, clock = Date.now, log } = options
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const claim = await claimChain(folder, options.name)
  try {
    const onFound = (what: string, fields: object) => log?.warn({ ...fields, folder }, what)
    const { chain } = claim
    const writer = await ChainWriter.open({ maxFileBytes, ...withoutUndefined(options), chain, clock, onFound })
    return new ChainedLog({ claim, writer, clock, log })
  } catch (error) {
    await claim[Symbol.asyncDispose]()
    throw error
  }
}

interface Parts {
  readonly claim: ChainClaim
  readonly writer: ChainWriter
  readonly clock: () => number
  readonly log: AuditLogOptions['log']
}

class ChainedLog implements OpenAuditLog {
  readonly #parts: Parts
  readonly #backlog = new Backlog()
  /** What an attempt to write failed with stays here until it is written. */
  #batch: AuditRecord[] = []
  readonly #acknowledgements = new Acknowledgements()
  #timer: ReturnType<typeof setTimeout> | undefined
  #timerAt = Infinity
  #writing: Promise<boolean> | undefined
  #failing = false
  #closed = false

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get chain(): string {
    return this.#parts.claim.chain
  }

  get lost(): number {
    return this.#backlog.lost
  }

  record(entry: AuditEntry): void {
    this.#add(entry)
  }

  async recordDurably(entry: AuditEntry): Promise<void> {
    if (!this.#add(entry)) throw new Error(this.#closed ? 'the audit log is closed' : 'too many entries wait to be written')
    this.#acknowledgements.added()
    // Also while writing fails: the caller waits for this attempt, not for the next regular one.
    this.#plan(0)
    await this.#acknowledgements.wait()
  }

  async synced(): Promise<void> {
    await this.#acknowledgements.wait()
  }

  /** False: the entry is lost. */
  #add(entry: AuditEntry): boolean {
    const { clock, log } = this.#parts
    if (this.#closed) {
      log?.error({ event: entry.event, principal: entry.principal, resource: entry.resource }, 'too late for the audit log: it is closed')
      return false
    }
    const isKept = this.#backlog.add(entry, clock())
    if (!this.#failing) this.#plan()
    return isKept
  }

  async flush(): Promise<boolean> {
    for (;;) {
      await this.#writing
      if (this.#batch.length === 0 && this.#backlog.dueIn(this.#parts.clock()) === undefined) return true
      if (!(await this.#write(true))) return false
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    const { claim, writer, log } = this.#parts
    try {
      if (!(await this.flush())) log?.error({ lines: this.#batch.length }, 'the audit log was closed before everything could be written')
    } finally {
      await writer[Symbol.asyncDispose]()
      await claim[Symbol.asyncDispose]()
    }
  }

  /** One timer, for whatever is due first. */
  #plan(delay = this.#backlog.dueIn(this.#parts.clock())): void {
    if (delay === undefined || this.#closed || this.#writing) return
    const at = performance.now() + delay
    if (at >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity
      void this.#write(false)
    }, delay)
    this.#timer.unref()
  }

  /** One write at a time; plans the next. False: it failed. */
  #write(last: boolean): Promise<boolean> {
    this.#writing ??= this.#writeBatch(last).finally(() => {
      this.#writing = undefined
      this.#plan(this.#failing ? retryAfter : undefined)
    })
    return this.#writing
  }

  async #writeBatch(last: boolean): Promise<boolean> {
    const { writer, clock, log } = this.#parts
    if (this.#batch.length === 0) {
      this.#batch = this.#backlog.take(clock(), last)
      this.#acknowledgements.taken()
    }
    try {
      while (this.#batch.length > 0) {
        await writer.append(this.#batch.slice(0, maxBatchLines))
        this.#batch.splice(0, maxBatchLines)
      }
      if (this.#failing) log?.info({ chain: this.chain }, 'the audit log is written again')
      this.#failing = false
      this.#acknowledgements.synced()
      return true
    } catch (error) {
      this.#acknowledgements.failed(error)
      if (!this.#failing) log?.error({ chain: this.chain, err: error }, 'the audit log cannot be written: entries are kept and tried again')
      this.#failing = true
      return false
    }
  }
}

function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}
