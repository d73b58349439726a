import { invalidRequest, shortened } from '../errors.ts'
import { decoded, governedFieldAt } from './governed-fields.ts'
import { closingQuote, isFollowedByColon, type Outline } from '../wire/json-outline.ts'

/**
 * Refuses a body in which a member stands twice in one object anywhere inside of a governed field: JSON.parse takes the last, some readers take the
 * first, and policy, limits and reservation must judge what the upstream reads. `value` is what the valid JSON `bytes` say. Throws ApiError 400.
 */
export function rejectRepeatedMembers(value: unknown, bytes: Uint8Array, { top, nested }: Pick<Outline, 'top' | 'nested'>): void {
  // Nearly always it is enough to count.
  for (let member = 0; member < top.count; member++) {
    if (nested[member] === 0) continue
    const field = governedFieldAt(bytes, top.at[member * 4] as number, top.at[member * 4 + 1] as number)
    if (field === undefined || countMembers((value as Record<string, unknown>)[field]) === nested[member]) continue
    rejectFirstRepeated(bytes)
  }
}

function rejectFirstRepeated(bytes: Uint8Array): void {
  const repeated = firstRepeated(bytes)
  if (!repeated) return
  const { field, name } = repeated
  throw invalidRequest(`Duplicate field '${shortened(name)}' in an object in '${field}'.`, {
    code: 'ambiguous_field',
    param: field,
  })
}

/** Members of all objects in a value. */
function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) if (typeof item === 'object') count += countMembers(item)
    return count
  }
  const fields = value as Record<string, unknown>
  for (const name in fields) {
    count++
    const field = fields[name]
    if (typeof field === 'object') count += countMembers(field)
  }
  return count
}

/** Looks into governed fields alone: elsewhere there may be millions of names, and only brackets and strings are skipped. */
function firstRepeated(bytes: Uint8Array): { field: string; name: string } | undefined {
  let depth = 0
  // The governed field that is being read.
  let field: string | undefined
  // The names seen in each object that is open within it; of lists nothing.
  const open: (Set<string> | undefined)[] = []
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case 0x22: {
        const start = at + 1
        at = closingQuote(bytes, start)
        if (depth === 1) {
          if (isFollowedByColon(bytes, at + 1)) field = governedFieldAt(bytes, start, at)
        } else if (field !== undefined && isFollowedByColon(bytes, at + 1)) {
          const name = decoded(bytes, start, at)
          const seen = open.at(-1)
          if (seen?.has(name)) return { field, name }
          seen?.add(name)
        }
        break
      }
      case 0x7b:
        depth++
        if (field !== undefined) open.push(new Set())
        break
      case 0x5b:
        depth++
        if (field !== undefined) open.push(undefined)
        break
      case 0x7d:
      case 0x5d:
        depth--
        if (field !== undefined) open.pop()
        break
    }
  }
  return undefined
}
