import { invalidRequest, shortened } from '../errors.ts'
import { isGoverned } from './governed-fields.ts'
import { closingQuote, isBeforeColon, type Outline } from './json-depth.ts'

/**
 * Refuses a body in which a member stands twice in one object anywhere inside of a governed field: JSON.parse takes the last, some readers take the
 * first, and policy, limits and reservation must judge what the upstream reads. `value` is what the valid JSON `bytes` say. Throws ApiError 400.
 */
export function refuseRepeatedMembers(value: unknown, bytes: Uint8Array, { nestedMembers }: Pick<Outline, 'nestedMembers'>): void {
  // Nearly always it is enough to count.
  if (membersOf(value, 0) === nestedMembers) return
  const repeated = firstRepeated(bytes)
  if (!repeated) return
  const { field, name } = repeated
  throw invalidRequest(`In '${field}' the field '${shortened(name)}' stands more than once in one object.`, {
    code: 'ambiguous_field',
    param: field,
  })
}

/** `own`: what each member of `value` itself counts; those below it count 1. */
function membersOf(value: unknown, own: 0 | 1): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const item of value as unknown[]) if (typeof item === 'object') count += membersOf(item, 1)
    return count
  }
  const fields = value as Record<string, unknown>
  for (const name in fields) {
    count += own
    const field = fields[name]
    if (typeof field === 'object') count += membersOf(field, 1)
  }
  return count
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

function firstRepeated(bytes: Uint8Array): { field: string; name: string } | undefined {
  // The names seen in each object that is open; of lists nothing.
  const open: (Set<string> | undefined)[] = []
  let field = ''
  for (let at = 0; at < bytes.length; at++) {
    switch (bytes[at]) {
      case 0x22: {
        const start = at
        at = closingQuote(bytes, start + 1)
        if (!isBeforeColon(bytes, at + 1)) break
        const name = JSON.parse(decoder.decode(bytes.subarray(start, at + 1))) as string
        const seen = open.at(-1)
        if (open.length === 1) field = name
        else if (seen?.has(name) && isGoverned(field)) return { field, name }
        seen?.add(name)
        break
      }
      case 0x7b:
        open.push(new Set())
        break
      case 0x5b:
        open.push(undefined)
        break
      case 0x7d:
      case 0x5d:
        open.pop()
        break
    }
  }
  return undefined
}
