import { hash } from 'node:crypto'
import { type FileHandle, open, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditEntry } from './audit-log.ts'
import { type ChainFile, chainFileOf, fileName, readChainEnd, listChains } from './files.ts'
import { type AuditRecord, type ChainState, marker, writeLine } from './line.ts'

interface ChainWriterOptions {
  readonly folder: string
  readonly chain: string
  /** Bytes after which the next file is begun. */
  readonly maxFileBytes: number
  /** Files older than so many days are removed; undefined: none. */
  readonly keepDays?: number | undefined
  /** At most so many files of the chain are kept; undefined: all. */
  readonly keepFiles?: number | undefined
  readonly clock: () => number
  /** Called with findings when a chain is continued. */
  readonly onFound: (what: string, fields: object) => void
}

const day = 86_400_000

/**
 * Appends to one chain: writes, and waits until it is on the disk (fdatasync). What it knows of the chain's state is what it wrote itself;
 * the file is asked only when a chain is continued. Not for two callers at once.
 */
export class ChainWriter implements AsyncDisposable {
  readonly #options: ChainWriterOptions
  readonly #files: ChainFile[]
  #state: ChainState
  #file: FileHandle | undefined
  #inode = 0
  #size = 0

  private constructor(options: ChainWriterOptions, files: ChainFile[], state: ChainState) {
    this.#options = options
    this.#files = files
    this.#state = state
  }

  /** Continues the chain where it was left, or begins it. Throws where the folder cannot be written to. */
  static async open(options: ChainWriterOptions): Promise<ChainWriter> {
    const files = (await listChains(options.folder)).get(options.chain) ?? []
    const { state, rotated, torn } = await readChainEnd(files, ({ event }) => event === marker.rotated)
    const writer = new ChainWriter(options, files, state)
    const newest = files.at(-1)
    try {
      if (!newest || (rotated && torn.length === 0)) await writer.#begin()
      else {
        await writer.#use(newest)
        if (torn.length > 0) await writer.#closeTorn(torn)
      }
      await writer.#removeOld()
    } catch (error) {
      await writer[Symbol.asyncDispose]()
      throw error
    }
    return writer
  }

  /** The hash of the last line. */
  get head(): ChainState {
    return this.#state
  }

  /** Writes all of them, or throws and has written none. */
  async append(records: readonly AuditRecord[]): Promise<void> {
    if (records.length === 0) return
    const disturbance = await this.#disturbance()
    if (disturbance !== undefined) await this.#continueInNewFile(disturbance)
    else if (this.#size >= this.#options.maxFileBytes) {
      await this.#write([this.#mark(marker.rotated, { detail: { next: await this.#makeNext() } })])
      await this.#begin()
      await this.#removeOld()
    }
    await this.#write(records)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file?.close()
  }

  async #write(records: readonly AuditRecord[], lead = ''): Promise<void> {
    let state = this.#state
    let text = lead
    for (const record of records) {
      const line = writeLine(state, record)
      text += `${line.text}\n`
      state = line.state
    }
    const bytes = Buffer.from(text)
    const file = this.#file
    if (!file) throw new Error('The audit log is closed.')
    try {
      await file.appendFile(bytes)
      await file.datasync()
    } catch (error) {
      // Part of it may be in the file. If that cannot be undone, the next attempt finds the file longer than expected.
      await file.truncate(this.#size).catch(() => undefined)
      throw error
    }
    this.#state = state
    this.#size += bytes.length
  }

  #mark(event: string, rest: Omit<AuditEntry, 'event'>): AuditRecord {
    return { time: this.#options.clock(), entry: { event, ...rest } }
  }

  /** What a process that was killed, or a machine that lost power, left of its last line stays as it is; a line behind it says what it was. */
  async #closeTorn(torn: Buffer): Promise<void> {
    const finished = torn.at(-1) === 0x0a
    const rest = finished ? torn.subarray(0, -1) : torn
    const detail = { bytes: rest.length, sha256: hash('sha256', rest), unfinished: !finished && !rest.includes(0x0a) }
    await this.#write([this.#mark(marker.torn, { reason: 'the last line was not written to its end', detail })], finished ? '' : '\n')
    this.#options.onFound('the last line of the audit log was torn: it stays, and a marker follows', {
      file: this.#files.at(-1)?.name,
      bytes: rest.length,
    })
  }

  /** Continues in the next file. */
  async #begin(): Promise<void> {
    const next = chainFileOf(join(this.#options.folder, await this.#makeNext())) as ChainFile
    await this.#use(next)
    this.#files.push(next)
  }

  /** The name of the next file, which is there, and empty, from now on: first the file, then the line that promises it. */
  async #makeNext(): Promise<string> {
    const { folder, chain } = this.#options
    for (let number = (this.#files.at(-1)?.number ?? 0) + 1; ; number++) {
      const name = fileName(chain, number)
      await using file = await open(join(folder, name), 'a', 0o600)
      // A file with content belongs to another process.
      if ((await file.stat()).size > 0) continue
      await syncFolder(folder)
      return name
    }
  }

  async #use(file: ChainFile): Promise<void> {
    const opened = await open(file.path, 'a', 0o600)
    const { ino, size } = await opened.stat()
    await this.#file?.close()
    this.#file = opened
    this.#inode = ino
    this.#size = size
  }

  /** What another process did to the file since the last write; undefined: nothing. */
  async #disturbance(): Promise<string | undefined> {
    const file = this.#files.at(-1)
    try {
      const { ino, size } = await stat(file?.path ?? '')
      if (ino !== this.#inode) return 'the file was replaced by another'
      if (size !== this.#size) return `the file has ${size} bytes where ${this.#size} were written`
      return undefined
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'the file was moved or removed'
      throw error
    }
  }

  /** The chain continues from the state of this process, so that changes to the file show as a break. */
  async #continueInNewFile(disturbance: string): Promise<void> {
    const old = this.#files.at(-1)
    await this.#begin()
    this.#options.onFound('the audit log was changed by another process while it was written: it continues in another file', {
      file: old?.name,
      found: disturbance,
    })
    await this.#write([this.#mark(marker.disturbed, { reason: disturbance, detail: { file: old?.name } })])
  }

  async #removeOld(): Promise<void> {
    const { keepDays, keepFiles, clock } = this.#options
    const oldest = clock() - (keepDays ?? Infinity) * day
    const leaving: ChainFile[] = []
    for (const file of this.#files.slice(0, -1)) {
      const tooMany = this.#files.length - leaving.length > (keepFiles ?? Infinity)
      if (!tooMany && (await modified(file)) >= oldest) break
      leaving.push(file)
    }
    const last = leaving.at(-1)
    if (!last) return
    const through = await readChainEnd(leaving, () => false)
    const detail = { files: leaving.map(({ name }) => name), through_seq: through.state.seq, through_hash: through.state.hash }
    await this.#write([this.#mark(marker.filesRemoved, { reason: 'older, or more, than is to be kept', detail })])
    for (const file of leaving) await rm(file.path, { force: true })
    this.#files.splice(0, leaving.length)
  }
}

async function modified({ path }: ChainFile): Promise<number> {
  return (await stat(path)).mtimeMs
}

/** A new file's name survives a loss of power only once its folder is synced as well. */
async function syncFolder(folder: string): Promise<void> {
  // Windows opens no folders.
  if (process.platform === 'win32') return
  await using handle = await open(folder, 'r')
  await handle.sync()
}
