import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Scalar,
  type YAMLMap,
  type YAMLParseError,
} from 'yaml'
import type { Path, Position, Report } from './report.ts'
import { absent, type MapEntry, type MapNode, numberOf, type TreeNode } from './tree.ts'

/** Enough for any configuration; a few lines of nested aliases would otherwise grow to gigabytes. */
const maxNodes = 100_000
const maxDepth = 100
const maxCharacters = 2_000_000

/** Turns YAML (JSON included) into a tree with positions. Returns undefined after reporting why it cannot. */
export function parseConfigText(text: string, report: Report): MapNode | undefined {
  const lines = new LineCounter()
  const start: Position = { line: 1, column: 1 }
  if (text.length > maxCharacters) {
    report.error({ path: [], at: start }, 'the file is larger than 2 MB')
    return undefined
  }
  let document: Document.Parsed
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true, uniqueKeys: true, logLevel: 'error' })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    report.error({ path: [], at: start }, 'the file is nested too deeply')
    return undefined
  }
  const reader = new TreeReader(document, lines, report)
  for (const error of reportableErrors(document.errors))
    report.error({ path: [], at: reader.position(error.pos[0]) }, explain(error.code, error.message))
  if (document.errors.length > 0) return undefined
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    report.error({ path: [], at: start }, "the file is empty: it needs at least 'version: 2' and 'providers:'")
    return undefined
  }
  const root = reader.read(document.contents, [], 0)
  if (root?.kind === 'map') return root
  if (root)
    report.error(
      root,
      `the file must hold keys and values ('version: 2', 'providers:' …), not a ${root.kind === 'list' ? 'list' : 'single value'}`,
    )
  return undefined
}

/** A tab makes the rest of the file unreadable: what else seems wrong follows from it. */
function reportableErrors(errors: readonly YAMLParseError[]): readonly YAMLParseError[] {
  const tabs = errors.filter((error) => error.code === 'TAB_AS_INDENT')
  return tabs.length > 0 ? tabs : errors
}

function explain(code: string, message: string): string {
  if (code === 'TAB_AS_INDENT') return 'a tab indents this line: YAML wants spaces'
  if (code === 'DUPLICATE_KEY') return 'duplicate key'
  if (code === 'MULTIPLE_DOCS') return "a second document starts here ('---'): a configuration is one document"
  return `not valid YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`
}

class TreeReader {
  readonly #document: Document.Parsed
  readonly #lines: LineCounter
  readonly #report: Report
  #nodes = 0

  constructor(document: Document.Parsed, lines: LineCounter, report: Report) {
    this.#document = document
    this.#lines = lines
    this.#report = report
  }

  position(offset: number | undefined): Position {
    const { line, col } = this.#lines.linePos(offset ?? 0)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }

  read(node: unknown, path: Path, depth: number): TreeNode | undefined {
    const at = this.position(rangeOf(node))
    if (++this.#nodes > maxNodes || depth > maxDepth) {
      const why = depth > maxDepth ? `nested more than ${maxDepth} levels deep` : `more than ${maxNodes} values once aliases are expanded`
      if (this.#nodes <= maxNodes * 2) this.#report.error({ path: path.slice(0, 5), at }, why)
      this.#nodes = maxNodes * 2
      return undefined
    }
    if (isAlias(node)) {
      const target = node.resolve(this.#document)
      if (target) return this.read(target, path, depth + 1)
      this.#report.error({ path, at }, `the alias *${node.source} names no anchor before it`)
      return undefined
    }
    if (isMap(node)) return this.#readMap(node, path, depth)
    if (isSeq(node)) {
      const items = node.items.map((item, index) => this.read(item, [...path, index], depth + 1))
      return { kind: 'list', path, at, items: items.filter((item) => item !== undefined) }
    }
    if (isScalar(node)) return { kind: 'scalar', path, at, meanings: meaningsOf(node), source: sourceOf(node), expanded: false }
    return { kind: 'scalar', path, at, meanings: [null, absent], source: '', expanded: false }
  }

  #readMap(map: YAMLMap, path: Path, depth: number): MapNode {
    const own = new Map<string, MapEntry>()
    const merged = new Map<string, MapEntry>()
    for (const pair of map.items) {
      const at = this.position(rangeOf(pair.key))
      if (isScalar(pair.key) && (pair.key.value === '<<' || typeof pair.key.value === 'symbol')) {
        this.#merge(pair.value, merged, { path, at, depth })
        continue
      }
      const key = isScalar(pair.key) ? keyText(pair.key) : undefined
      if (key === undefined || key === '__proto__') {
        this.#report.error({ path, at }, key === undefined ? 'a key must be plain text' : "'__proto__' cannot be a key")
        continue
      }
      const node = this.read(pair.value, [...path, key], depth + 1)
      // Errors about a value are shown at its key: that is where the eye looks.
      if (node) own.set(key, { at, node: { ...node, at } })
    }
    const entries = new Map([...merged].filter(([key]) => !own.has(key)).concat([...own]))
    return { kind: 'map', path, at: this.position(rangeOf(map)), entries }
  }

  /** `<<: *anchor` or a list of them: earlier ones win, the map's own keys win over all. */
  #merge(value: unknown, into: Map<string, MapEntry>, place: { path: Path; at: Position; depth: number }): void {
    const node = this.read(value, place.path, place.depth + 1)
    const sources = node?.kind === 'list' ? node.items : node ? [node] : []
    for (const source of sources) {
      if (source.kind !== 'map') {
        this.#report.error(place, "'<<' merges maps only")
        continue
      }
      for (const [key, entry] of source.entries)
        if (!into.has(key)) into.set(key, { ...entry, node: relocate(entry.node, [...place.path, key]) })
    }
  }
}

function relocate(node: TreeNode, path: Path): TreeNode {
  if (node.kind === 'list') return { ...node, path, items: node.items.map((item, index) => relocate(item, [...path, index])) }
  if (node.kind === 'scalar') return { ...node, path }
  const entries = new Map([...node.entries].map(([key, entry]) => [key, { ...entry, node: relocate(entry.node, [...path, key]) }]))
  return { ...node, path, entries }
}

function rangeOf(node: unknown): number | undefined {
  return (node as { range?: [number, number, number] } | null)?.range?.[0]
}

function keyText(key: Scalar): string | undefined {
  if (typeof key.value === 'string') return key.value
  return key.source
}

function sourceOf(node: Scalar): string {
  return node.source ?? String(node.value)
}

/**
 * Text is text first, also where it spells a number or a boolean: templates (Helm) and printed configurations quote both. A plain number or word may
 * also be meant as the text it is; YAML 1.1 read yes, no, on and off as booleans.
 */
function meaningsOf(node: Scalar): unknown[] {
  const source = sourceOf(node)
  if (node.value === null) return [null, absent]
  if (typeof node.value === 'string') {
    if (/^(true|yes|on)$/i.test(node.value)) return [node.value, true]
    if (/^(false|no|off)$/i.test(node.value)) return [node.value, false]
    const number = numberOf(node.value)
    return number === undefined ? [node.value] : [node.value, number]
  }
  // Digits that a number cannot hold, or that begin with a zero, are rather a name or a key.
  if (typeof node.value === 'number' && (/^[+-]?0\d/.test(source) || (Number.isInteger(node.value) && !Number.isSafeInteger(node.value)))) {
    return [source, node.value]
  }
  return [node.value, source]
}
