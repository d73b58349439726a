import { invalidRequest } from '../errors.ts'
import type { Members } from '../wire/json-scan.ts'

/** Maximum size of each of a route's `smallFields`, in bytes as sent. */
const maxSmallFieldBytes = 65_536

/** A field by its name, and by the name's bytes. */
export interface SmallField {
  readonly name: string
  readonly bytes: Uint8Array
}

const encoder = new TextEncoder()

export function toSmallFields(names: readonly string[] = []): readonly SmallField[] {
  return names.map((name) => ({ name, bytes: encoder.encode(name) }))
}

/** Rejects a body in which a small field is large, before it is parsed. `members`: those of the outermost object in `json`. Throws ApiError 400. */
export function rejectLargeFields(json: Uint8Array, members: Members, smallFields: readonly SmallField[]): void {
  for (let member = 0; member < members.count; member++) {
    const size = members.valueEnd(member) - members.valueStart(member)
    if (size <= maxSmallFieldBytes) continue
    const field = smallFields.find(({ bytes }) => members.isNamed(member, json, bytes))
    if (!field) continue
    throw invalidRequest(`'${field.name}' has ${size} bytes; the maximum is ${maxSmallFieldBytes}.`, {
      code: 'field_too_large',
      param: field.name,
    })
  }
}
