import { hash } from 'node:crypto'
import { linesOf } from './files.ts'
import { chainStart, type ChainLine, detailOf, marker, readLine } from './line.ts'

/** What was done to a chain where it is broken. `torn`: the last line was not written to its end. */
type Break = 'changed' | 'removed' | 'inserted' | 'reordered' | 'torn'

interface ChainFinding {
  readonly file: string
  /** From 1. */
  readonly line: number
  why: Break
  /** One sentence for people. */
  detail: string
}

/** The result for one chain. It is intact if there are no findings. */
export interface ChainReport {
  readonly chain: string
  readonly files: readonly string[]
  /** Lines that are what was written. */
  readonly lines: number
  readonly first: number | undefined
  readonly last: number | undefined
  /** The hash of the last line; to be kept elsewhere and compared later. */
  readonly head: string | undefined
  /** At most a thousand. */
  readonly findings: readonly ChainFinding[]
  /** Observations that are not breaks: lines torn by a crash, lost entries, files removed by retention. */
  readonly notes: readonly string[]
}

export interface FileContent {
  readonly name: string
  readonly bytes: Buffer
}

interface VerifyOptions {
  /** False if only some files of a chain are checked: it may begin anywhere. Default true. */
  readonly whole?: boolean
  /** Hashes to find; found ones are removed. */
  readonly wanted?: Set<string>
}

/** Checks the files of one chain, in their order, one at a time. Pure but for `options.wanted`. */
export async function verifyChain(
  chain: string,
  files: Iterable<FileContent> | AsyncIterable<FileContent>,
  options: VerifyOptions = {},
): Promise<ChainReport> {
  const check = new ChainCheck(options)
  for await (const file of files) check.add(file)
  return { chain, ...check.finish() }
}

interface LinePosition {
  readonly file: string
  readonly line: number
}

/** A run of lines that did not come where they should have. */
interface Gap {
  from: number
  readonly to: number
  readonly found: ChainFinding
  /** Those of them that came later. */
  came: number
}

const maxFindings = 1_000

class ChainCheck {
  readonly #whole: boolean
  readonly #wanted: Set<string> | undefined
  readonly #files: string[] = []
  readonly #findings: ChainFinding[] = []
  readonly #notes: string[] = []
  readonly #gaps: Gap[] = []
  #lines = 0
  #first: number | undefined
  #last: number | undefined
  #next = chainStart.seq + 1
  /** Undefined: unknown, because the line before cannot be read. */
  #head: string | undefined = chainStart.hash
  #started = false
  /** Lines that could not be read, since the last that could. */
  #unread: LinePosition[] = []
  #unfinished: LinePosition | undefined
  /** The last line so far continues the chain in this file. */
  #promised: { next: string; at: LinePosition } | undefined
  /** The line before the first, if that is not the first of the chain. */
  #beginning: { readonly found: ChainFinding; readonly seq: number; readonly prev: string } | undefined

  constructor({ whole = true, wanted }: VerifyOptions) {
    this.#whole = whole
    this.#wanted = wanted
  }

  add({ name, bytes }: FileContent): void {
    this.#files.push(name)
    this.#promised = undefined
    // An incomplete last line of a file that is not the newest is reported as unreadable.
    this.#unfinished = undefined
    let number = 0
    let tornFrom: number | undefined
    for (const raw of linesOf(bytes)) {
      const at = { file: name, line: ++number }
      const line = raw.unfinished ? undefined : readLine(raw.bytes)
      if (!line) {
        tornFrom ??= raw.start
        this.#unread.push(at)
        if (raw.unfinished) this.#unfinished = at
        continue
      }
      const torn = tornFrom === undefined ? undefined : bytes.subarray(tornFrom, Math.max(tornFrom, raw.start - 1))
      tornFrom = undefined
      this.#follow(line, at, torn)
      this.#promised = this.#whole ? promiseOf(line, at) : undefined
    }
  }

  finish(): Omit<ChainReport, 'chain'> {
    if (this.#promised) {
      const { next, at } = this.#promised
      this.#find({ ...at, why: 'removed', detail: `the chain continues in ${next}, which is missing` })
    }
    if (this.#unfinished) {
      this.#unread = this.#unread.filter((place) => place !== this.#unfinished)
      this.#find({ ...this.#unfinished, why: 'torn', detail: 'the last line ends in the middle' })
    }
    this.#reportUnread('changed')
    return {
      files: this.#files,
      lines: this.#lines,
      first: this.#first,
      last: this.#last,
      head: this.#lines > 0 ? this.#head : undefined,
      findings: this.#findings.toSorted((a, b) => this.#files.indexOf(a.file) - this.#files.indexOf(b.file) || a.line - b.line),
      notes: this.#notes,
    }
  }

  #follow(line: ChainLine, at: LinePosition, torn: Buffer | undefined): void {
    this.#lines++
    this.#first ??= line.seq
    this.#last = Math.max(this.#last ?? 0, line.seq)
    this.#wanted?.delete(line.hash)
    if (!this.#started) this.#start(line, at)
    if (line.fields['event'] === marker.torn) this.#closeTorn(line, at, torn)
    if (line.seq < this.#next) return this.#startsLate(line, at)
    const unread = this.#unread.length
    const follows = this.#head === undefined || line.prev === this.#head
    const missing = line.seq - this.#next
    // Lines that cannot be read, and yet nothing is missing: they were put there.
    this.#reportUnread(missing === 0 && follows && this.#head !== undefined ? 'inserted' : 'changed')
    if (missing > unread) this.#miss(this.#next + unread, line.seq - 1, at)
    else if (missing === 0 && !follows) {
      this.#find({ ...at, why: 'changed', detail: `line ${line.seq} of the chain does not follow from the line before it` })
    }
    this.#next = line.seq + 1
    this.#head = line.hash
    this.#note(line, at)
  }

  #start(line: ChainLine, at: LinePosition): void {
    this.#started = true
    if (line.seq - this.#unread.length <= chainStart.seq + 1) return
    if (this.#whole) {
      const detail = `the chain begins with line ${line.seq}: those before it are missing`
      const found = this.#find({ ...at, why: 'removed', detail })
      this.#gaps.push({ from: chainStart.seq + 1, to: line.seq - this.#unread.length - 1, found, came: 0 })
      this.#beginning = { found, seq: line.seq, prev: line.prev }
    } else this.#notes.push(`${at.file} begins with line ${line.seq} of the chain; earlier lines were not checked`)
    this.#next = line.seq - this.#unread.length
    this.#head = this.#unread.length > 0 ? undefined : line.prev
  }

  /** A line that belongs earlier, or not to the chain. */
  #startsLate(line: ChainLine, at: LinePosition): void {
    this.#reportUnread('changed')
    const gap = this.#gaps.find(({ from, to }) => line.seq >= from && line.seq <= to)
    if (!gap) {
      this.#find({ ...at, why: 'inserted', detail: `line ${line.seq} of the chain is repeated here` })
      return
    }
    gap.came++
    gap.found.why = 'reordered'
    gap.found.detail = `line ${span(gap)} of the chain is expected here; ${gap.came === 1 ? 'one follows' : `${gap.came} follow`} later (${at.file}:${at.line})`
  }

  #miss(from: number, to: number, at: LinePosition): void {
    const detail = `line ${span({ from, to })} of the chain is expected before this one and is missing`
    const found = this.#find({ ...at, why: 'removed', detail })
    this.#gaps.push({ from, to, found, came: 0 })
  }

  /** Unreadable bytes before this line are not a break if they are what it says: the rest of a line cut off by a crash. */
  #closeTorn(line: ChainLine, at: LinePosition, torn: Buffer | undefined): void {
    if (!torn) {
      this.#find({ ...at, why: 'removed', detail: 'this line speaks of a torn line before it, and there is none' })
      return
    }
    const { bytes, sha256, unfinished } = detailOf(line)
    const follows = line.seq === this.#next && line.prev === this.#head
    const same = bytes === torn.length && sha256 === hash('sha256', torn)
    if (!follows || !same || unfinished !== true) return this.#reportUnread('changed')
    this.#notes.push(`${at.file}:${at.line - 1}: a line was torn by a crash (${torn.length} bytes), and closed by a marker`)
    this.#unread = []
  }

  #reportUnread(why: 'changed' | 'inserted'): void {
    const detail = why === 'changed' ? 'this line is not what was written' : 'this line was put between two lines of the chain'
    for (const place of this.#unread) this.#find({ ...place, why, detail })
    this.#unread = []
  }

  #find(finding: ChainFinding): ChainFinding {
    if (this.#findings.length < maxFindings) this.#findings.push(finding)
    return finding
  }

  #note(line: ChainLine, at: LinePosition): void {
    const detail = detailOf(line)
    switch (line.fields['event']) {
      case marker.lost:
        this.#notes.push(`${at.file}:${at.line}: ${String(detail['lost'])} entries could not be written before this line`)
        break
      case marker.disturbed:
        this.#notes.push(`${at.file}:${at.line}: ${String(line.fields['reason'])} (${String(detail['file'])})`)
        break
      case marker.filesRemoved:
        this.#notes.push(`${at.file}:${at.line}: lines up to ${String(detail['through_seq'])} were removed, as old files are to be`)
        this.#acceptMissingStart(detail)
        break
      default:
    }
  }

  /** The chain's beginning is missing because Corral removed it, and says so further on. */
  #acceptMissingStart({ through_seq: seq, through_hash: through }: Readonly<Record<string, unknown>>): void {
    if (!this.#beginning || seq !== this.#beginning.seq - 1 || through !== this.#beginning.prev) return
    const index = this.#findings.indexOf(this.#beginning.found)
    if (index >= 0) this.#findings.splice(index, 1)
    this.#beginning = undefined
  }
}

function promiseOf(line: ChainLine, at: LinePosition): { next: string; at: LinePosition } | undefined {
  const { next } = detailOf(line)
  return line.fields['event'] === marker.rotated && typeof next === 'string' ? { next, at } : undefined
}

function span({ from, to }: Pick<Gap, 'from' | 'to'>): string {
  return from === to ? String(from) : `${from} to ${to}`
}
