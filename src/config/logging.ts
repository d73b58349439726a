import { nearest } from './nearest.ts'
import type { Report } from './report.ts'
import { loggingSchema } from './schema.ts'
import { type Substitution, substitute } from './substitute.ts'
import { child, isEmpty, type MapNode } from './tree.ts'
import { type Strictness, validate } from './validate.ts'

/** Every spelling of a level, Python's included, and ours. */
const levels: Readonly<Record<string, string>> = {
  trace: 'debug',
  debug: 'debug',
  info: 'info',
  warn: 'warn',
  warning: 'warn',
  error: 'error',
  critical: 'error',
  fatal: 'error',
  silent: 'silent',
  off: 'silent',
  none: 'silent',
}

type Levels = Readonly<Record<string, string>>

/** Reads `logging.category_levels`: category → `debug`, `info`, `warn`, `error` or `silent`. */
export function readLogging(root: MapNode, context: Substitution & { strictness: Strictness }): Levels {
  const section = child(root, 'logging')
  if (!section || isEmpty(section)) return {}
  const expanded = substitute(section, context)
  const values = validate(expanded, loggingSchema, context)
  const result: Record<string, string> = {}
  for (const [category, spelled] of Object.entries(values?.category_levels ?? {})) {
    const level = levelOf(spelled)
    const node = child(child(expanded, 'category_levels'), category) ?? expanded
    if (level) result[category] = level
    else context.report.error(node, 'is not a level: use debug, info, warn, error or silent')
  }
  return result
}

/** Reads the grammar of `CORRAL_LOGGING`: `all=info;core=debug`, with `;` or `,` between; one level alone is meant for all. */
export function parseLoggingSpec(text: string, origin: string, report: Report): Levels {
  const result: Record<string, string> = {}
  for (const part of text.split(/[;,]/).map((piece) => piece.trim())) {
    if (part === '') continue
    const [left = '', right] = part.split('=', 2).map((piece) => piece.trim())
    const level = levelOf(right ?? left)
    if (right !== undefined && left === '') report.errorOf(origin, "a category is missing: write e.g. 'all=info;server=debug'")
    else if (level) result[right === undefined ? 'all' : left.toLowerCase()] = level
    else
      report.errorOf(
        origin,
        "not every level is one of debug, info, warn, error and silent: write e.g. 'all=info;server=debug'",
        nearest(right ?? left, Object.keys(levels)),
      )
  }
  return result
}

function levelOf(spelled: string): string | undefined {
  const name = spelled.toLowerCase()
  return Object.hasOwn(levels, name) ? levels[name] : undefined
}
