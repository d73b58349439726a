import type { Path, Position } from './report.ts'

/**
 * A configuration between text and meaning: every value has its position, and a scalar keeps all its possible readings.
 * Which meaning counts is asked of the schema: `0123` is a number where a number is wanted and the text `0123` where a key is wanted.
 */
export type TreeNode = ScalarNode | ListNode | MapNode

interface Placed {
  readonly path: Path
  readonly at: Position
}

/** Marks a key as absent: the meaning of an empty variable where null is not allowed. */
export const absent: unique symbol = Symbol('absent')

export interface ScalarNode extends Placed {
  readonly kind: 'scalar'
  /** What it may mean, the likeliest first. Never empty. */
  readonly meanings: readonly unknown[]
  /** As the file spells it, references unexpanded: what messages may show. */
  readonly source: string
  /** Whether an environment reference was expanded in it. */
  readonly expanded: boolean
  /** That it holds an unset variable has been reported: nothing more is to be said about it. */
  readonly failed?: boolean
}

export interface ListNode extends Placed {
  readonly kind: 'list'
  readonly items: readonly TreeNode[]
}

export interface MapEntry {
  /** The position of the key. */
  readonly at: Position
  readonly node: TreeNode
}

export interface MapNode extends Placed {
  readonly kind: 'map'
  readonly entries: ReadonlyMap<string, MapEntry>
}

/** The node that a schema's path leads to; lists are counted as they are in the tree, not in the file. */
export function nodeAt(root: TreeNode, path: readonly PropertyKey[]): TreeNode | undefined {
  let node: TreeNode | undefined = root
  for (const step of path) {
    if (node?.kind === 'map') node = node.entries.get(String(step))?.node
    else if (node?.kind === 'list') node = node.items[Number(step)]
    else return undefined
  }
  return node
}

export function child(node: TreeNode | undefined, key: string): TreeNode | undefined {
  return node?.kind === 'map' ? node.entries.get(key)?.node : undefined
}

/** The text of a scalar, or undefined where there is none: null, an empty variable, a list. */
export function textOf(node: TreeNode | undefined): string | undefined {
  if (node?.kind !== 'scalar') return undefined
  const text = node.meanings.find((meaning) => typeof meaning === 'string')
  if (text !== undefined && text !== '') return text
  const first = node.meanings[0]
  return typeof first === 'number' || typeof first === 'boolean' ? String(first) : undefined
}

/** Whether the scalar is null, empty, or came out empty. */
export function isEmpty(node: TreeNode | undefined): boolean {
  return node?.kind === 'scalar' && textOf(node) === undefined
}

/** Null, empty, an empty map or list, or a map of only such values. */
export function holdsNothing(node: TreeNode | undefined): boolean {
  if (!node) return true
  if (node.kind === 'scalar') return isEmpty(node)
  if (node.kind === 'list') return node.items.length === 0
  return [...node.entries.values()].every((entry) => holdsNothing(entry.node))
}

/** How a message may show a scalar: as the file spells it, so that no variable's value is shown; a conditional one as its result. */
export function shown(node: TreeNode | undefined): string {
  return node?.kind === 'scalar' ? `'${node.source.replaceAll(/\$\{env\.[A-Z0-9_]+:?\+([^}]*)\}/g, '$1')}'` : 'this'
}

export function scalarsOf(node: TreeNode): ScalarNode[] {
  if (node.kind === 'scalar') return [node]
  const inner = node.kind === 'list' ? node.items : [...node.entries.values()].map((entry) => entry.node)
  return inner.flatMap(scalarsOf)
}

/** The number that a text spells; undefined where it spells none, or one that cannot be held exactly. */
export function numberOf(text: string): number | undefined {
  const number = Number(text)
  if (/^[+-]?\d+$/.test(text)) return Number.isSafeInteger(number) ? number : undefined
  return /^[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?$/.test(text) && Number.isFinite(number) ? number : undefined
}

export function isNonEmpty(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== ''
}

export function emptyMap(path: Path, at: Position): MapNode {
  return { kind: 'map', path, at, entries: new Map() }
}
