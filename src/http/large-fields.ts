import { invalidRequest } from '../errors.ts'
import type { Members } from '../wire/json-scan.ts'

/** Largest size of each of the `smallFields` in a request body, in bytes as sent. */
export const maxSmallFieldBytes = 65_536

const encoder = new TextEncoder()

/** Top-level fields that hold a few names, which are then looked up or stored one by one. */
const smallFields = ['metadata', 'models'].map((name) => ({ name, bytes: encoder.encode(name) }))

/** Refuses a body in which a small field is large, before it is parsed. `members`: those of the outermost object in `json`. Throws ApiError 400. */
export function rejectLargeFields(json: Uint8Array, members: Members): void {
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
