import type { z } from 'zod'
import { isNearMiss, nearest } from './nearest.ts'
import type { Position, Report } from './report.ts'
import { isPolicy } from './schema.ts'
import { knownKeys } from './schema-keys.ts'
import { absent, nodeAt, type ScalarNode, scalarsOf, type TreeNode } from './tree.ts'

/** What an unknown key is: always an error, or only where it looks like a slip of a known one. */
export type Strictness = 'strict' | 'lenient'

interface ValidationContext {
  readonly report: Report
  readonly strictness: Strictness
  /** Whether every unknown key at this place is an error, under either strictness. The path begins at the section and ends with the key. */
  readonly isStrictAt?: ((path: readonly PropertyKey[]) => boolean) | undefined
}

type SchemaIssue = z.core.$ZodIssue

/** Fields that are secrets whatever their schema says: they are read as text first. */
const secretName = /(^|_|-)(api_?keys?|api_?tokens?|passwords?|passwd|secrets?|token|credentials?|authorization|access_key)$/i

/** More rounds than any real section has doubtful values. */
const maxRounds = 500

/**
 * Reads a part of the tree by its schema. The schema decides what a scalar means: each is tried in its likeliest meaning, and where the schema wants
 * another type, in its next. Unknown keys are reported and left out. Returns undefined after reporting errors.
 */
export function validate<T>(root: TreeNode, schema: z.ZodType<T>, check: ValidationContext): T | undefined {
  return validateWritten(root, schema, check)?.value
}

/** As `validate`; gives what was written too, as the schema took it, without defaults: secrets are texts in it. */
export function validateWritten<T>(
  root: TreeNode,
  schema: z.ZodType<T>,
  check: ValidationContext,
): { value: T; written: unknown } | undefined {
  const reader = new SchemaSectionReader(root, schema, check)
  for (let round = 0; round < maxRounds; round++) {
    const written = reader.value()
    const result = attempt(schema, written)
    if (!result) {
      check.report.error(root, 'cannot validate this section: its schema failed')
      return undefined
    }
    if (result.success) return reader.failed ? undefined : { value: result.data, written }
    if (!reader.adapt(result.error.issues)) {
      reader.report(result.error.issues)
      return undefined
    }
  }
  check.report.error(root, 'cannot validate this section')
  return undefined
}

/** A schema of someone else's making may throw; its error could quote what it was given, so nothing of it is passed on. */
function attempt<T>(schema: z.ZodType<T>, value: unknown): z.ZodSafeParseResult<T> | undefined {
  try {
    return schema.safeParse(value)
  } catch {
    return undefined
  }
}

class SchemaSectionReader {
  failed = false
  readonly #root: TreeNode
  readonly #schema: z.ZodType
  readonly #check: ValidationContext
  readonly #chosen = new Map<ScalarNode, number>()
  readonly #firstIssue = new Map<ScalarNode, SchemaIssue>()
  readonly #dropped = new Set<TreeNode>()

  constructor(root: TreeNode, schema: z.ZodType, check: ValidationContext) {
    this.#root = root
    this.#schema = schema
    this.#check = check
  }

  value(): unknown {
    return this.#valueOf(this.#root, '')
  }

  #valueOf(node: TreeNode, key: string): unknown {
    if (node.kind === 'scalar') {
      const meaning = this.#meanings(node, key)[this.#chosen.get(node) ?? 0]
      return meaning === absent && node === this.#root ? undefined : meaning
    }
    if (node.kind === 'list') return node.items.map((item) => this.#valueOf(item, key)).map((item) => (item === absent ? null : item))
    const object: Record<string, unknown> = {}
    for (const [name, entry] of node.entries) {
      if (this.#dropped.has(entry.node)) continue
      const value = this.#valueOf(entry.node, name)
      if (value !== absent) object[name] = value
    }
    return object
  }

  #meanings(node: ScalarNode, key: string): readonly unknown[] {
    if (node.meanings.length !== 2 || !secretName.test(key) || typeof node.meanings[1] !== 'string') return node.meanings
    return node.meanings.toReversed()
  }

  /** Tries other meanings and leaves out unknown keys, as the issues suggest. False when there is nothing left to try. */
  adapt(issues: readonly SchemaIssue[]): boolean {
    let changed = false
    for (const issue of issues) {
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys) if (this.#dropUnknown(issue.path, key)) changed = true
      } else if (issue.code === 'invalid_type' || issue.code === 'invalid_union' || issue.code === 'invalid_value') {
        if (this.#reinterpret(issue)) changed = true
      }
    }
    return changed
  }

  #reinterpret(issue: SchemaIssue): boolean {
    const node = nodeAt(this.#root, issue.path)
    if (!node) return false
    if (node.kind === 'scalar') return this.#next(node, issue)
    if (issue.code !== 'invalid_union') return false
    // The branch that fits best says what is amiss within.
    const branch = bestBranch(issue.errors)
    const inner = branch.map((sub) => ({ ...sub, path: [...issue.path, ...sub.path] }))
    if (branch.length > 0 && inner.some((sub) => sub.path.length > issue.path.length || sub.code === 'unrecognized_keys'))
      return this.adapt(inner)
    return scalarsOf(node).filter((scalar) => this.#next(scalar, issue)).length > 0
  }

  #next(node: ScalarNode, issue: SchemaIssue): boolean {
    const at = this.#chosen.get(node) ?? 0
    if (at + 1 >= node.meanings.length) return false
    this.#chosen.set(node, at + 1)
    if (!this.#firstIssue.has(node)) this.#firstIssue.set(node, issue)
    return true
  }

  #dropUnknown(path: readonly PropertyKey[], key: string): boolean {
    const parent = nodeAt(this.#root, path)
    const entry = parent?.kind === 'map' ? parent.entries.get(key) : undefined
    if (!parent || !entry || this.#dropped.has(entry.node)) return false
    this.#dropped.add(entry.node)
    const { report, isStrictAt } = this.#check
    const strictness = isStrictAt?.([...path, key]) ? 'strict' : this.#check.strictness
    const slip = reportUnknownKey({ key, at: entry.at, parent }, knownKeys(this.#schema, path), { report, strictness })
    if (slip) this.failed = true
    return true
  }

  report(issues: readonly SchemaIssue[]): void {
    for (const issue of issues) this.#reportIssue(issue)
  }

  #reportIssue(issue: SchemaIssue): void {
    const branch = issue.code === 'invalid_union' ? bestBranch(issue.errors) : []
    if (issue.code === 'invalid_union' && branch.some((sub) => sub.path.length > 0)) {
      for (const sub of branch) this.#reportIssue({ ...sub, path: [...issue.path, ...sub.path] })
      return
    }
    const node = nodeAt(this.#root, issue.path)
    if (node?.kind === 'scalar' && node.failed) return
    const first = node?.kind === 'scalar' ? this.#firstIssue.get(node) : undefined
    const telling = first && issue.code === 'invalid_type' ? first : issue
    const holder = node ?? nodeAt(this.#root, issue.path.slice(0, -1)) ?? this.#root
    const path = node ? node.path : [...this.#root.path, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))]
    this.#check.report.error({ path, at: holder.at }, withoutValue(explain(telling, node), node))
  }
}

/**
 * Reports a key that is not known; true when that makes the section wrong: under `--strict`, for a policy in the wrong place, and where it is close to
 * a key that is served.
 * @param served those of the known keys that are; default all
 */
export function reportUnknownKey(
  found: { key: string; at: Position; parent: TreeNode },
  known: readonly string[],
  { report, strictness }: ValidationContext,
  served: readonly string[] = known,
): boolean {
  const place = { path: [...found.parent.path, found.key], at: found.at }
  if (isPolicy(found.key) && !known.some(isPolicy)) {
    report.error(place, 'has no effect here: policies belong in server.auth')
    return true
  }
  const meant = nearest(found.key, known)
  if (strictness === 'strict' || isNearMiss(found.key, served)) {
    report.error(place, 'unknown key.', meant)
    return true
  }
  report.warn('unknown_key', place, 'unknown key, ignored.', meant)
  return false
}

/** The branch of a union that the value came closest to: the one whose complaints lie deepest, then the one with the fewest. */
function bestBranch(branches: readonly (readonly SchemaIssue[])[]): readonly SchemaIssue[] {
  const rank = (branch: readonly SchemaIssue[]) =>
    (branch.some((issue) => issue.path.length === 0 && issue.code === 'invalid_type') ? 1000 : 0) + branch.length
  return branches.toSorted((a, b) => rank(a) - rank(b))[0] ?? []
}

function explain(issue: SchemaIssue, node: TreeNode | undefined): string {
  if (issue.code === 'invalid_type') {
    if (!node) return 'is required'
    if (node.kind === 'scalar' && node.expanded && node.meanings[0] === null) return `is required, but ${node.source} is empty`
    return `must be ${article(issue.expected)}, not ${kindOf(node)}`
  }
  // A discriminated union has no branches if its discriminator is unknown.
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const expected = issue.errors.flatMap((branch) =>
      branch.map((sub) => (sub.code === 'invalid_type' ? article(sub.expected) : sub.message)),
    )
    return node ? `must be ${[...new Set(expected)].join(' or ')}, not ${kindOf(node)}` : 'is required'
  }
  if (issue.code === 'too_small' || issue.code === 'too_big') return limit(issue) ?? issue.message
  return issue.message.replace(/^Invalid option: expected one of/, 'must be one of').replace(/^Invalid input: expected/, 'must be')
}

/** Zod's own words for a limit, in ours; a schema's own message stays. */
function limit(issue: SchemaIssue & { code: 'too_small' | 'too_big' }): string | undefined {
  if (!/^Too (small|big)/.test(issue.message)) return undefined
  const [word, bound] = issue.code === 'too_small' ? ['at least', issue.minimum] : ['at most', issue.maximum]
  const edge = issue.inclusive ? word : word === 'at least' ? 'more than' : 'less than'
  if (issue.origin === 'string') return `must have ${edge} ${bound} characters`
  return issue.origin === 'array' ? `must have ${edge} ${bound} entries` : `must be ${edge} ${bound}`
}

const names: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
  null: 'null',
}

function article(expected: string): string {
  return names[expected] ?? expected
}

function kindOf(node: TreeNode): string {
  if (node.kind === 'list') return 'a list'
  if (node.kind === 'map') return 'a map'
  const value = node.meanings[0]
  if (value === null) return 'empty'
  return names[typeof value] ?? typeof value
}

/** A schema of someone else's making may quote what it was given. */
function withoutValue(message: string, node: TreeNode | undefined): string {
  if (node?.kind !== 'scalar' || !node.expanded) return message
  return node.meanings
    .filter((meaning) => typeof meaning === 'string' && meaning.length >= 3 && !/^(true|false|\d{1,5})$/i.test(meaning))
    .reduce<string>((text, value) => text.replaceAll(String(value), '***'), message)
}
