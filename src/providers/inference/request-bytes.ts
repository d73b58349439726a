import { editObject, encodeJson, type Edits } from '../../wire/json-edit.ts'
import type { ModelRequest } from '../provider.ts'
import { toEdits, type FieldChanges } from './reply-hooks.ts'

/** The changes that `toRequestBytes` makes to a request beside its model. */
interface RequestChanges {
  /** Top-level fields that the provider's definition sets, or with undefined removes. */
  edits: FieldChanges | undefined
  /** Fields that Corral adds. */
  additions: Edits
  /** Top-level fields to leave out. */
  omitted: readonly string[]
}

/** The body for the upstream: the caller's own bytes with the model spliced, the additions and the edits made. */
export function toRequestBytes(request: ModelRequest<object>, { edits, additions, omitted }: RequestChanges): Uint8Array {
  const { bytes, members, model, requestedModel } = request
  const all = new Map<string, Uint8Array | undefined>(additions)
  if (model !== requestedModel) all.set('model', encodeJson(model))
  for (const field of omitted) if (Object.hasOwn(request.body, field)) all.set(field, undefined)
  if (edits) for (const [field, value] of toEdits(edits)) all.set(field, value)
  return editObject(bytes, all, members)
}
