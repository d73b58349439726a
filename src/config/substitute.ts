import type { Report } from './report.ts'
import { absent, isEmpty, type MapEntry, type MapNode, numberOf, type ScalarNode, textOf, type TreeNode } from './tree.ts'

/**
 * Llama Stack's grammar: upper-case names, no nesting, no escape; the default of `:=` and the value of `:+` end at the first `}`. Before
 * Llama Stack 0.2.13 they were written `:` and `+`; where both grammars match, the newer counts.
 */
const reference = /\$\{env\.([A-Z0-9_]+)(?:(:[=+]|[:+])([^}]*))?\}/g

/** Something that looks like a reference but is none: it would be taken literally. */
const nearlyReference = /\$\{env\.[^}]*\}?/

export interface Substitution {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The folder that `~` refers to. */
  readonly home: string
  readonly report: Report
}

/** Which entries of lists are dropped when this key is empty, before the rest of the entry is looked at. */
const identifiers = [
  'model_id',
  'shield_id',
  'vector_store_id',
  'vector_db_id',
  'dataset_id',
  'scoring_fn_id',
  'benchmark_id',
  'toolgroup_id',
]

/**
 * Expands environment references in a tree. An unset variable without default is reported with its name and place; its value is never shown.
 * In lists, entries whose `provider_id` is `__disabled__` or whose own id is empty are dropped before their other fields are expanded.
 */
export function substitute(node: TreeNode, using: Substitution): TreeNode {
  if (node.kind === 'scalar') return substituteScalar(node, using)
  if (node.kind === 'list') {
    const items = node.items.filter((item) => !isDropped(item, using)).map((item) => substitute(item, using))
    return { ...node, items }
  }
  const entries = new Map<string, MapEntry>()
  for (const [key, entry] of node.entries) entries.set(key, { ...entry, node: substitute(entry.node, using) })
  return { ...node, entries }
}

function isDropped(item: TreeNode, using: Substitution): boolean {
  if (item.kind !== 'map') return false
  const providerId = item.entries.get('provider_id')?.node
  if (providerId && providerIdOf(providerId, using) === disabled) return true
  return identifiers.some((key) => {
    const id = item.entries.get(key)?.node
    return id?.kind === 'scalar' && hasReference(id) && isEmpty(substituteScalar(id, { ...using, report: using.report }))
  })
}

const disabled = '__disabled__'

/** The id that a `provider_id` comes out as; undefined when the entry is switched off by null, an empty text or `__disabled__`. */
export function enabledId(node: TreeNode | undefined, using: Substitution): string | undefined {
  const id = node && providerIdOf(node, using)
  return id === disabled ? undefined : id
}

function providerIdOf(node: TreeNode, using: Substitution): string | undefined {
  return node.kind === 'scalar' ? textOf(substituteScalar(node, using)) : undefined
}

/** The id that a conditional reference (`${env.X:+name}`) would give if it were switched on, for telling disabled from unknown. */
export function idIfEnabled(node: TreeNode | undefined): string | undefined {
  if (node?.kind !== 'scalar') return undefined
  const id = node.source.replaceAll(reference, (_match, _name, operator: string | undefined, value = '') => (operator ? value : ''))
  return id === '' || id === disabled ? undefined : id
}

export function hasReference(node: ScalarNode): boolean {
  return typeof node.meanings[0] === 'string' && node.meanings[0].search(reference) >= 0
}

/** The names of the variables that a text refers to. */
export function variablesIn(text: string): string[] {
  return [...text.matchAll(reference)].map((match) => match[1]!)
}

function substituteScalar(node: ScalarNode, using: Substitution): ScalarNode {
  const text = node.meanings[0]
  if (typeof text !== 'string' || !text.includes('${env.')) return node
  let failed = false
  const expanded = text.replaceAll(reference, (_match, name: string, operator: string | undefined, value = '') => {
    if (value.includes('${env.'))
      using.report.warn('notice', node, `references cannot be nested: the default of ${name} ends at the first '}'`)
    if (operator?.length === 1) warnOfLegacyGrammar(node, { name, operator }, using)
    const result = expand({ name, isConditional: isConditional(operator), value: operator === undefined ? undefined : value }, using)
    if (result !== undefined) return result
    failed = true
    using.report.error(node, `the environment variable ${name} is not set. Set it, or give a default: \${env.${name}:=...}`)
    return ''
  })
  const left = nearlyReference.exec(text.replaceAll(reference, ''))
  if (left) {
    using.report.warn(
      'notice',
      node,
      `'${left[0]}' is not an environment reference and is used literally: write \${env.NAME}, \${env.NAME:=default} or \${env.NAME:+value}, the name in capitals`,
    )
  }
  if (failed) return { ...node, meanings: [null, absent, ''], expanded: true, failed }
  if (expanded === text) return node
  return { ...node, meanings: retyped(expanded), expanded: true }
}

function isConditional(operator: string | undefined): boolean {
  return operator === ':+' || operator === '+'
}

/** The value after the operator is not shown: a default may be a secret. */
function warnOfLegacyGrammar(node: ScalarNode, { name, operator }: { name: string; operator: string }, { report }: Substitution): void {
  const older = `\${env.${name}${operator}...}`
  const newer = `\${env.${name}${isConditional(operator) ? ':+' : ':='}...}`
  report.warn('notice', node, `'${older}' is the grammar of before Llama Stack 0.2.13, which is deprecated: write '${newer}'`)
}

interface VariableReference {
  readonly name: string
  /** Its value if the variable is set, else nothing. */
  readonly isConditional: boolean
  /** The default, or the conditional value. Absent: the variable must be set. */
  readonly value: string | undefined
}

function expand({ name, isConditional: conditional, value }: VariableReference, { env, home, report }: Substitution): string | undefined {
  // Keys often arrive with the newline of the file they were read from.
  const set = env[name]?.trim() ?? ''
  if (conditional) return set === '' ? '' : expandHome(value ?? '', home)
  if (set === '') return value === undefined ? undefined : expandHome(value, home)
  report.hide(set)
  return expandHome(set, home)
}

export function expandHome(path: string, home: string): string {
  return path === '~' || path.startsWith('~/') ? home + path.slice(1) : path
}

/**
 * What an expanded text may mean: Llama Stack's conversion (empty → null, booleans, numbers) first, then the text itself.
 * The schema chooses, so a key that consists of digits stays a key. A number that would be spelled otherwise (`007`, `1e9`) is rather text.
 */
function retyped(text: string): unknown[] {
  if (text === '') return [null, absent]
  if (/^(true|false)$/i.test(text)) return [text.toLowerCase() === 'true', text]
  const number = numberOf(text)
  if (number === undefined) return [text]
  return String(number) === text ? [number, text] : [text, number]
}

/** A map's entries, with one of them replaced: for parts that are switched off before they are expanded. */
export function withEntry(map: MapNode, key: string, node: TreeNode): MapNode {
  const entry = map.entries.get(key)
  return { ...map, entries: new Map([...map.entries, [key, { at: entry?.at ?? node.at, node }]]) }
}
