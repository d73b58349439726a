import type { z } from 'zod'
import { type ApiError, invalidRequest } from '../errors.ts'

type ValidationIssue = z.core.$ZodIssue

/** The 400 that says what is wrong with `value`, and where: `param` is the path, e.g. `messages[0].role`. */
export function toInvalidRequest(error: z.core.$ZodError, value: unknown): ApiError {
  const [first] = error.issues
  if (!first) return invalidRequest('The request is not valid.')
  const issue = bestIssue(first)
  const path = issue.code === 'unrecognized_keys' ? [...issue.path, ...issue.keys.slice(0, 1)] : issue.path
  const param = toParam(path)
  const { message, code } = explain(issue, param, valueAt(value, path))
  return invalidRequest(message, { code, param: param || null })
}

/** `['messages', 0, 'role']` → `messages[0].role`. */
function toParam(path: readonly PropertyKey[]): string {
  return path.map((key, at) => (typeof key === 'number' ? `[${key}]` : `${at ? '.' : ''}${String(key).slice(0, 100)}`)).join('')
}

/** A union fails in every branch; the branch that came furthest is the one that was meant. */
function bestIssue(issue: ValidationIssue): ValidationIssue {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue
  let best: ValidationIssue | undefined
  for (const [first] of issue.errors) {
    if (!first) continue
    const candidate = bestIssue(first)
    if (best ? isFurther(candidate.path, best.path) : candidate.path.length > 0 || candidate.code !== 'invalid_type') best = candidate
  }
  return best ? { ...best, path: [...issue.path, ...best.path] } : issue
}

/** Deeper; or, at the same depth, later in the first list where the two part. */
function isFurther(path: readonly PropertyKey[], other: readonly PropertyKey[]): boolean {
  if (path.length !== other.length) return path.length > other.length
  const at = path.findIndex((key, index) => key !== other[index])
  return at >= 0 && Number(path[at]) > Number(other[at])
}

interface ValidationExplanation {
  message: string
  code: string
}

function explain(issue: ValidationIssue, param: string, value: unknown): ValidationExplanation {
  const where = param ? `'${param}'` : 'the request body'
  if (value === undefined && param) return { message: `Missing required parameter: ${where}.`, code: 'missing_required_parameter' }
  switch (issue.code) {
    case 'invalid_type':
      if (typeof value === 'string' && isParsedNumber(issue)) {
        const expected = issue.expected === 'int' ? 'an integer' : 'a number'
        return { message: `Invalid type for ${where}: expected ${expected}, but got ${printable(value)}.`, code: 'invalid_type' }
      }
      return {
        message: `Invalid type for ${where}: expected ${withArticle(issue.expected)}, but got ${kindOf(value)}.`,
        code: 'invalid_type',
      }
    case 'invalid_union':
      return issue.discriminator === undefined
        ? { message: `Invalid type for ${where}: expected ${expectedOf(issue)}, but got ${kindOf(value)}.`, code: 'invalid_type' }
        : unsupported(where, value, 'options' in issue ? (issue.options as unknown[]) : [])
    case 'invalid_value':
      return unsupported(where, value, issue.values)
    case 'too_small':
      return outOfBounds({ where, value, origin: issue.origin, bound: `at least ${issue.minimum}`, side: 'below_min' })
    case 'too_big':
      return outOfBounds({ where, value, origin: issue.origin, bound: `at most ${issue.maximum}`, side: 'above_max' })
    case 'unrecognized_keys':
      return { message: `Unknown parameter: ${where}.`, code: 'unknown_parameter' }
    default:
      return { message: `Invalid value for ${where}: ${issue.message}.`, code: 'invalid_value' }
  }
}

/** A query holds texts: what is wrong is then the number that one was read as. */
function isParsedNumber(issue: ValidationIssue): boolean {
  return ('received' in issue && (issue.received === 'NaN' || issue.received === 'Infinity')) || 'format' in issue
}

interface Bounds {
  where: string
  value: unknown
  origin: string
  /** In words, e.g. `at least 1`. */
  bound: string
  side: 'below_min' | 'above_max'
}

/** With OpenAI's codes: `string_below_min_length`, `empty_array`, `integer_above_max_value`, `decimal_below_min_value` … */
function outOfBounds({ where, value, origin, bound, side }: Bounds): ValidationExplanation {
  if (Array.isArray(value)) {
    const code = value.length === 0 ? 'empty_array' : `array_${side}_length`
    return { message: `Invalid ${where}: expected an array of ${bound} item(s), but got one of ${value.length}.`, code }
  }
  if (typeof value === 'string' && origin === 'string') {
    const message = `Invalid ${where}: expected a string with a length of ${bound}, but got one with a length of ${value.length}.`
    return { message, code: `string_${side}_length` }
  }
  const code = origin === 'int' || Number.isInteger(Number(value)) ? `integer_${side}_value` : `decimal_${side}_value`
  return {
    message: `Invalid ${where}: expected a value of ${bound}, but got ${typeof value === 'string' && value !== '' ? value.slice(0, 60) : printable(value)}.`,
    code,
  }
}

function unsupported(where: string, value: unknown, options: readonly unknown[]): ValidationExplanation {
  const list = options.map((option) => `'${String(option)}'`).join(', ')
  return { message: `Invalid value for ${where}: ${printable(value)}. Supported values are: ${list}.`, code: 'invalid_value' }
}

function expectedOf(issue: ValidationIssue & { code: 'invalid_union' }): string {
  const kinds = issue.errors.flatMap(([first]) => (first?.code === 'invalid_type' ? [withArticle(first.expected)] : []))
  return [...new Set(kinds)].join(' or ') || 'another value'
}

function withArticle(kind: string): string {
  if (kind === 'record') return 'an object'
  return `${/^[aeiou]/.test(kind) ? 'an' : 'a'} ${kind}`
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'number' && !Number.isFinite(value)) return 'a non-finite number'
  return withArticle(Array.isArray(value) ? 'array' : typeof value)
}

/** A value for a message: short, and never all of a large value. */
function printable(value: unknown): string {
  if (typeof value === 'string') return value.length > 60 ? `'${value.slice(0, 60)}…'` : `'${value}'`
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : kindOf(value)
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value
  for (const key of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Record<PropertyKey, unknown>)[key]
  }
  return at
}
