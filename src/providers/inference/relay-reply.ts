import { encodeJson, Splice } from '../../wire/json-edit.ts'
import { JsonPatches } from '../../wire/json-patches.ts'
import { endOfValue, Members, openBracket, quote, scanObject } from '../../wire/json-scan.ts'
import { decodeText } from '../../wire/decode-text.ts'
import type { OperationName } from '../../operations/index.ts'
import type { JsonReply } from '../provider.ts'
import { ChoicesRepair, choicesForms } from './choices-repair.ts'
import { isErrorBody } from './upstream-error-body.ts'
import { isText, isTimestampAt } from './json-values.ts'
import { makeId } from './frame-editor.ts'
import { invalidResponse, toProviderError, type UpstreamIdentity } from './upstream-error.ts'
import { editedFrame, type ReplyHooks } from './reply-hooks.ts'
import { readUsage } from './usage.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const keys = {
  model: encoder.encode('model'),
  usage: encoder.encode('usage'),
  error: encoder.encode('error'),
  choices: encoder.encode('choices'),
  data: encoder.encode('data'),
  embedding: encoder.encode('embedding'),
  id: encoder.encode('id'),
  object: encoder.encode('object'),
  created: encoder.encode('created'),
  index: encoder.encode('index'),
}
const comma = encoder.encode(',')
const colon = encoder.encode(':')
/** The value of `object`, as JSON. */
const objects: Readonly<Partial<Record<OperationName, Uint8Array>>> = {
  chat: encodeJson('chat.completion'),
  completions: encodeJson('text_completion'),
  embeddings: encodeJson('list'),
}

export interface JsonReplyContext {
  upstream: UpstreamIdentity
  /** The provider's HTTP status, for the fault that its body may be. */
  status: number
  requestedModel: string
  operation: OperationName
  hooks?: ReplyHooks | undefined
  /** Embeddings: how the caller wants the vectors; undefined: as they come. */
  encoding?: 'float' | 'base64' | undefined
}

/**
 * The response as the caller gets it: `model` is the requested one, `object` the one that the schema requires; `id` and `created` stand where
 * the upstream left them out, and choices have what OpenAI's schema requires; the rest is the upstream's own bytes, without their byte order mark. Throws ApiError when it is an error in
 * disguise or not a reply at all.
 */
export function toJsonReply(body: Uint8Array, reply: JsonReplyContext): JsonReply {
  const { upstream, operation, hooks } = reply
  const original = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body
  const bytes = hooks?.editFrame ? editedFrame(original, operation, hooks.editFrame) : original
  const members = new Members()
  if (!scanObject(bytes, 0, bytes.length, members)) throw notJson(bytes, upstream)
  const main = members.find(bytes, operation === 'embeddings' ? keys.data : keys.choices)
  if (main < 0) throw missingMain(bytes, members, reply)
  const usageAt = members.find(bytes, keys.usage)
  const reported: unknown = usageAt < 0 ? undefined : JSON.parse(decodeText(bytes, members.valueStart(usageAt), members.valueEnd(usageAt)))
  const usage = readUsage(reported, hooks?.usageOf)
  const requestedModel = patched(bytes, members, reply)
  if (operation !== 'embeddings') return { kind: 'json', bytes: requestedModel, usage, original }
  return { kind: 'json', bytes: embeddingBytes(requestedModel, reply, countsInput(reported)), usage }
}

/** Whether the usage of embeddings has the members that OpenAI's schema requires. */
function countsInput(usage: unknown): boolean {
  if (typeof usage !== 'object' || usage === null) return false
  const { prompt_tokens: input, total_tokens: total } = usage as Readonly<Record<string, unknown>>
  return typeof input === 'number' && typeof total === 'number'
}

function notJson(bytes: Uint8Array, upstream: UpstreamIdentity): Error {
  const start = decoder.decode(bytes.subarray(0, 200)).trimStart()
  if (start === '') return invalidResponse(upstream, 'returned an empty body')
  return invalidResponse(
    upstream,
    start.startsWith('<') ? 'returned an HTML page instead of JSON' : 'returned a response that is not a JSON object',
  )
}

function missingMain(bytes: Uint8Array, members: Members, { upstream, status, operation }: JsonReplyContext): Error {
  const other = members.find(bytes, operation === 'embeddings' ? keys.choices : keys.data)
  const body = JSON.parse(decoder.decode(bytes)) as Record<string, unknown>
  if (other < 0 && isErrorBody(body)) return toProviderError(upstream, { status, body })
  return invalidResponse(upstream, `returned a response without '${operation === 'embeddings' ? 'data' : 'choices'}'`)
}

interface HeadField {
  key: Uint8Array
  value: Uint8Array
  /** Its current position; -1: none. */
  member: number
}

/** The top-level fields of a reply that must change. */
function headOf(bytes: Uint8Array, members: Members, { requestedModel, operation }: JsonReplyContext): HeadField[] {
  const fields: HeadField[] = []
  const object = objects[operation]
  if (operation === 'chat' || operation === 'completions') {
    const id = members.find(bytes, keys.id)
    const created = members.find(bytes, keys.created)
    const makeFrom = operation === 'chat' ? 'chatcmpl-' : 'cmpl-'
    if (!hasText(bytes, members, id)) fields.push({ key: keys.id, value: encodeJson(makeId(makeFrom)), member: id })
    if (created < 0 || !isTimestampAt(bytes, members.valueStart(created), members.valueEnd(created)))
      fields.push({ key: keys.created, value: encodeJson(Math.floor(Date.now() / 1000)), member: created })
  }
  if (object !== undefined) {
    const member = members.find(bytes, keys.object)
    if (member < 0 || !members.hasValue(member, bytes, object)) fields.push({ key: keys.object, value: object, member })
  }
  fields.push({ key: keys.model, value: encodeJson(requestedModel), member: members.find(bytes, keys.model) })
  return fields
}

function hasText(bytes: Uint8Array, members: Members, member: number): boolean {
  return member >= 0 && isText(bytes, members.valueStart(member))
}

/** Each field in its place, and at the object's start where it has none. The object is not empty. */
function patched(bytes: Uint8Array, members: Members, reply: JsonReplyContext): Uint8Array {
  const patches = new JsonPatches()
  for (const { key, value, member } of headOf(bytes, members, reply)) {
    if (member >= 0) patches.replace(members.valueStart(member), members.valueEnd(member), value)
    else for (const part of [encodeJson(decoder.decode(key)), colon, value, comma]) patches.replace(members.open, members.open, part)
  }
  const { operation, upstream } = reply
  if (operation === 'chat' || operation === 'completions') {
    const repair = new ChoicesRepair(choicesForms[operation], patches)
    const choices = members.find(bytes, keys.choices)
    if (!repair.examine(bytes, members.valueStart(choices))) throw invalidResponse(upstream, "sent a response whose 'choices' are invalid")
  }
  const out = new Splice()
  out.add(bytes, patches.write(out, bytes, 0))
  return out.join()
}

interface EmbeddingItem {
  object?: unknown
  index?: unknown
  embedding?: unknown
}

/**
 * Vectors in the requested encoding, each with its `object` and `index`, and usage even where the upstream counts none. Parsed only when
 * something must change; what the first vector is like, all are.
 */
function embeddingBytes(bytes: Uint8Array, { encoding, upstream }: JsonReplyContext, hasUsage: boolean): Uint8Array {
  const members = new Members()
  scanObject(bytes, 0, bytes.length, members)
  const data = members.find(bytes, keys.data)
  const start = members.valueStart(data)
  if (bytes[start] !== openBracket) throw invalidResponse(upstream, "sent embeddings whose 'data' is not a list")
  if (hasUsage && isEmbedding(bytes, start, encoding)) return bytes
  const body = JSON.parse(decoder.decode(bytes)) as { data: (EmbeddingItem | null)[]; usage?: unknown }
  for (const [at, item] of body.data.entries()) {
    if (!item) continue
    item.object ||= 'embedding'
    item.index ??= at
    item.embedding = recoded(item.embedding, encoding)
  }
  if (!hasUsage) body.usage = { prompt_tokens: 0, total_tokens: 0 }
  return encodeJson(body)
}

/** Whether the first vector of the list has the requested encoding; true also for anything but a vector. */
function isEmbedding(bytes: Uint8Array, dataStart: number, encoding: JsonReplyContext['encoding']): boolean {
  const first = bytes.indexOf(0x7b, dataStart)
  const members = new Members()
  if (first < 0 || !scanObject(bytes, first, endOfValue(bytes, first), members)) return true
  const embedding = members.find(bytes, keys.embedding)
  if (embedding < 0) return true
  const start = bytes[members.valueStart(embedding)]
  if (encoding && start === (encoding === 'float' ? quote : openBracket)) return false
  const index = members.find(bytes, keys.index)
  return hasText(bytes, members, members.find(bytes, keys.object)) && index >= 0 && bytes[members.valueStart(index)] !== 0x6e
}

/** Floats ↔ base64 of their little-endian 32-bit form; anything else, such as a list of vectors, is left alone. */
function recoded(embedding: unknown, encoding: JsonReplyContext['encoding']): unknown {
  if (encoding === 'base64' && Array.isArray(embedding) && typeof embedding[0] === 'number') {
    const view = new DataView(new ArrayBuffer(embedding.length * 4))
    for (const [at, value] of (embedding as number[]).entries()) view.setFloat32(at * 4, value, true)
    return Buffer.from(view.buffer).toString('base64')
  }
  if (encoding === 'float' && typeof embedding === 'string') {
    const bytes = Buffer.from(embedding, 'base64')
    return Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => bytes.readFloatLE(at * 4))
  }
  return embedding
}
