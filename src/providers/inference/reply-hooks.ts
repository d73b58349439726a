import type { OperationName } from '../../operations/index.ts'
import type { JsonObject } from '../../operations/wire-format.ts'
import { editObject, encodeJson, type Edits } from '../../wire/json-edit.ts'
import type { Usage } from '../provider.ts'

/** Top-level fields to change: the value to set, or undefined to remove the field. */
export type FieldChanges = Readonly<Record<string, unknown>>

/** What of an upstream's replies differs from OpenAI's format. */
export interface ReplyHooks {
  /**
   * Changes one chunk of a stream, or a reply that does not stream, before anything else reads it; undefined: nothing. Each chunk is then parsed, which
   * costs a multiple of relaying its bytes.
   */
  readonly editFrame?: ((frame: JsonObject, operation: OperationName) => FieldChanges | undefined) | undefined
  /** The usage of a reply from its `usage` field. `usage`: as it is read for every upstream, undefined where it cannot be read. */
  readonly usageOf?: ((reported: JsonObject, usage: Usage | undefined) => Usage | undefined) | undefined
}

const decoder = new TextDecoder()

/** Edits as bytes. */
export function toEdits(changes: FieldChanges): Edits {
  return new Map(Object.entries(changes).map(([field, value]) => [field, value === undefined ? undefined : encodeJson(value)]))
}

/** The bytes of one chunk or reply after the hook. The same bytes where it changes nothing, or where they are not a JSON object. */
export function editedFrame(bytes: Uint8Array, operation: OperationName, editFrame: NonNullable<ReplyHooks['editFrame']>): Uint8Array {
  let frame: unknown
  try {
    frame = JSON.parse(decoder.decode(bytes))
  } catch {
    // Reported where the bytes are read next.
    return bytes
  }
  if (typeof frame !== 'object' || frame === null || Array.isArray(frame)) return bytes
  const changes = editFrame(frame as JsonObject, operation)
  return changes ? editObject(bytes, toEdits(changes)) : bytes
}
