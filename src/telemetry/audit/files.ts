import { readdir, readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { chainStart, type ChainState, readLine } from './line.ts'

/** One file of a chain. */
export interface ChainFile {
  readonly path: string
  readonly name: string
  readonly chain: string
  /** From 1, in the order in which they were written. */
  readonly number: number
}

const named = /^(?<chain>[a-z0-9][\w.-]*)-(?<number>\d{6,})\.jsonl$/i

export function fileName(chain: string, number: number): string {
  return `${chain}-${String(number).padStart(6, '0')}.jsonl`
}

/** Undefined where the name is none of an audit log's. */
export function chainFileOf(path: string): ChainFile | undefined {
  const name = basename(path)
  const { chain, number } = named.exec(name)?.groups ?? {}
  if (chain === undefined || number === undefined) return undefined
  return { path: join(dirname(path), name), name, chain, number: Number(number) }
}

/** The files of a folder by chain, each chain's in order. Throws where the folder cannot be read. */
export async function listChains(folder: string): Promise<Map<string, ChainFile[]>> {
  return byChain((await readdir(folder)).map((name) => join(folder, name)))
}

export function byChain(paths: readonly string[]): Map<string, ChainFile[]> {
  const files = paths.flatMap((path) => chainFileOf(path) ?? [])
  files.sort((a, b) => (a.chain < b.chain ? -1 : a.chain > b.chain ? 1 : a.number - b.number))
  return Map.groupBy(files, ({ chain }) => chain)
}

/** The end of a chain: its last complete line, and what follows it in the newest file. */
interface ChainEnd {
  readonly state: ChainState
  /** Whether the newest file ends with a line that continues the chain in another file. */
  readonly rotated: boolean
  /** The bytes behind the last whole line of the newest file; empty where it ends as it should. */
  readonly torn: Buffer
}

/** Reads from the end of the newest file, and of earlier ones while there is no complete line. */
export async function readChainEnd(
  files: readonly ChainFile[],
  isRotation: (fields: Readonly<Record<string, unknown>>) => boolean,
): Promise<ChainEnd> {
  let torn: Buffer | undefined
  for (const { path } of files.toReversed()) {
    const bytes = await readFile(path)
    const found = lastWholeLine(bytes)
    torn ??= found ? bytes.subarray(found.end) : bytes
    if (!found) continue
    const { seq, hash, fields } = found.line
    return { state: { seq, hash }, rotated: path === files.at(-1)?.path && isRotation(fields), torn }
  }
  return { state: chainStart, rotated: false, torn: torn ?? Buffer.alloc(0) }
}

const lineBreak = 0x0a

function lastWholeLine(bytes: Buffer) {
  let end = bytes.lastIndexOf(lineBreak)
  while (end > 0) {
    const start = bytes.lastIndexOf(lineBreak, end - 1) + 1
    const line = start < end ? readLine(bytes.subarray(start, end)) : undefined
    if (line) return { line, end: end + 1 }
    end = start - 1
  }
  return undefined
}

/** One line of a file, without its line break. */
interface RawLine {
  readonly bytes: Buffer
  /** Where it begins in the file. */
  readonly start: number
  /** The file ends without a line break behind it. */
  readonly unfinished: boolean
}

export function* linesOf(bytes: Buffer): Generator<RawLine> {
  let start = 0
  while (start < bytes.length) {
    const end = bytes.indexOf(lineBreak, start)
    yield { bytes: bytes.subarray(start, end < 0 ? bytes.length : end), start, unfinished: end < 0 }
    if (end < 0) return
    start = end + 1
  }
}
