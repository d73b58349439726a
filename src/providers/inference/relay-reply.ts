import { encodeJson, Splice } from '../../wire/json-edit.ts'
import { endOfValue, Members, scanObject } from '../../wire/json-scan.ts'
import type { Capability, JsonReply } from '../provider.ts'
import { isFault } from './fault.ts'
import { nonsense, toProviderError, type Upstream } from './upstream-error.ts'
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
}
const modelField = encoder.encode('"model":')
const comma = encoder.encode(',')

export interface WholeReply {
  upstream: Upstream
  /** The provider's HTTP status, for the fault that its body may be. */
  status: number
  told: string
  capability: Capability
  /** Embeddings: how the caller wants the vectors. */
  encoding?: 'float' | 'base64' | undefined
}

/**
 * A whole answer as the caller gets it: `model` is the one that was asked for, the rest is the upstream's own bytes. Throws ApiError when it is an error
 * in disguise or no answer at all.
 */
export function toJsonReply(bytes: Uint8Array, reply: WholeReply): JsonReply {
  const { upstream, capability } = reply
  const members = new Members()
  if (!scanObject(bytes, 0, bytes.length, members)) throw notJson(bytes, upstream)
  const main = members.find(bytes, capability === 'embeddings' ? keys.data : keys.choices)
  if (main < 0) throw withoutMain(bytes, members, reply)
  const usageAt = members.find(bytes, keys.usage)
  const usage = usageAt < 0 ? undefined : readUsage(JSON.parse(decoder.decode(valueOf(bytes, members, usageAt))))
  const told = withModel(bytes, members, encodeJson(reply.told))
  if (capability !== 'embeddings') return { kind: 'json', bytes: told, usage }
  return { kind: 'json', bytes: embeddingBytes(told, reply, usageAt >= 0 && usage !== undefined), usage }
}

function notJson(bytes: Uint8Array, upstream: Upstream): Error {
  const start = decoder.decode(bytes.subarray(0, 200)).trimStart()
  if (start === '') return nonsense(upstream, 'answered with an empty body')
  return nonsense(
    upstream,
    start.startsWith('<') ? 'answered with an HTML page in place of JSON' : 'answered with something that is not a JSON object',
  )
}

function withoutMain(bytes: Uint8Array, members: Members, { upstream, status, capability }: WholeReply): Error {
  const other = members.find(bytes, capability === 'embeddings' ? keys.choices : keys.data)
  const body = JSON.parse(decoder.decode(bytes)) as Record<string, unknown>
  if (other < 0 && isFault(body)) return toProviderError(upstream, { status, body })
  return nonsense(upstream, `answered without '${capability === 'embeddings' ? 'data' : 'choices'}'`)
}

function valueOf(bytes: Uint8Array, members: Members, member: number): Uint8Array {
  return bytes.subarray(members.valueStart(member), members.valueEnd(member))
}

function withModel(bytes: Uint8Array, members: Members, model: Uint8Array): Uint8Array {
  const member = members.find(bytes, keys.model)
  const out = new Splice()
  if (member < 0) {
    out.add(bytes, 0, members.open)
    out.add(modelField)
    out.add(model)
    out.add(comma)
    out.add(bytes, members.open)
  } else {
    out.add(bytes, 0, members.valueStart(member))
    out.add(model)
    out.add(bytes, members.valueEnd(member))
  }
  return out.join()
}

interface EmbeddingItem {
  embedding?: unknown
}

/** Vectors in the encoding that was asked for, and usage even where the upstream counts none. Parsed only when something must change. */
function embeddingBytes(bytes: Uint8Array, { encoding, upstream }: WholeReply, hasUsage: boolean): Uint8Array {
  const members = new Members()
  scanObject(bytes, 0, bytes.length, members)
  const data = members.find(bytes, keys.data)
  const found = encodingOfFirst(bytes, members.valueStart(data))
  const wanted = encoding ?? 'float'
  if ((found === undefined || found === wanted) && hasUsage) return bytes
  const body = JSON.parse(decoder.decode(bytes)) as { data: unknown; usage?: unknown }
  if (!Array.isArray(body.data)) throw nonsense(upstream, "answered with 'data' that is not a list")
  for (const item of body.data as EmbeddingItem[]) if (item) item.embedding = recoded(item.embedding, wanted)
  if (!hasUsage) body.usage = { prompt_tokens: 0, total_tokens: 0 }
  return encodeJson(body)
}

function encodingOfFirst(bytes: Uint8Array, dataStart: number): 'float' | 'base64' | undefined {
  const first = bytes.indexOf(0x7b, dataStart)
  if (first < 0) return undefined
  const members = new Members()
  if (!scanObject(bytes, first, endOfValue(bytes, first), members)) return undefined
  const embedding = members.find(bytes, keys.embedding)
  if (embedding < 0) return undefined
  const start = bytes[members.valueStart(embedding)]
  return start === 0x5b ? 'float' : start === 0x22 ? 'base64' : undefined
}

/** Floats ↔ base64 of their little-endian 32-bit form; anything else is left alone. */
function recoded(embedding: unknown, wanted: 'float' | 'base64'): unknown {
  if (wanted === 'base64' && Array.isArray(embedding)) {
    const view = new DataView(new ArrayBuffer(embedding.length * 4))
    for (const [at, value] of (embedding as number[]).entries()) view.setFloat32(at * 4, value, true)
    return Buffer.from(view.buffer).toString('base64')
  }
  if (wanted === 'float' && typeof embedding === 'string') {
    const bytes = Buffer.from(embedding, 'base64')
    return Array.from({ length: Math.floor(bytes.length / 4) }, (_, at) => bytes.readFloatLE(at * 4))
  }
  return embedding
}
