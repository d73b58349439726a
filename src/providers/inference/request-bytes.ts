import { editObject, encodeJson } from '../../wire/json-edit.ts'
import { Members, scanObject } from '../../wire/json-scan.ts'
import type { Capability, ModelRequest } from '../provider.ts'

const encoder = new TextEncoder()
const streamOptionsKey = encoder.encode('stream_options')
const includeUsage = new Map([['include_usage', encoder.encode('true')]])
const onlyUsage = encoder.encode('{"include_usage":true}')

/** What `toRequestBytes` may do to a request. */
export interface RequestChanges {
  capability: Capability
  /** Top-level fields to set, or with undefined to remove. */
  edits: Readonly<Record<string, unknown>> | undefined
  /** Whether the upstream knows `stream_options`. */
  streamUsage: boolean
}

/** The body for the upstream: the caller's own bytes with the model spliced, the edits made, and usage asked for where the answer streams. */
export function toRequestBytes(request: ModelRequest<object>, { capability, edits, streamUsage }: RequestChanges): Uint8Array {
  const { bytes, model, told } = request
  const all = new Map<string, Uint8Array | undefined>()
  if (model !== told) all.set('model', encodeJson(model))
  if (capability === 'chat' || capability === 'completions') addStreamOptions(all, request, streamUsage)
  if (edits) for (const [key, value] of Object.entries(edits)) all.set(key, value === undefined ? undefined : encodeJson(value))
  return editObject(bytes, all)
}

interface StreamFields {
  stream?: unknown
  stream_options?: { include_usage?: unknown } | null
}

function addStreamOptions(edits: Map<string, Uint8Array | undefined>, request: ModelRequest<object>, streamUsage: boolean): void {
  const { stream, stream_options } = request.body as StreamFields
  if (!streamUsage) {
    if (stream_options !== undefined) edits.set('stream_options', undefined)
    return
  }
  if (stream !== true || stream_options?.include_usage === true) return
  edits.set('stream_options', stream_options ? withUsage(request.bytes) : onlyUsage)
}

/** The caller's own options, with usage asked for. */
function withUsage(bytes: Uint8Array): Uint8Array {
  const members = new Members()
  const member = scanObject(bytes, 0, bytes.length, members) ? members.find(bytes, streamOptionsKey) : -1
  if (member < 0) return onlyUsage
  return editObject(bytes.subarray(members.valueStart(member), members.valueEnd(member)), includeUsage)
}
