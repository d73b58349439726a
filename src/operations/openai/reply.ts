import type { JsonObject, ReplyFacts } from '../wire-format.ts'

const decoder = new TextDecoder()

interface ReplyChoice {
  readonly message?: unknown
  readonly delta?: unknown
  readonly text?: unknown
  readonly finish_reason?: unknown
}

/** Undefined where the text is not a JSON object: the relay passes on what is nearly JSON, and a report about a reply must not fail it. */
export function parseObject(json: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? (value as JsonObject) : undefined
  } catch {
    return undefined
  }
}

export function parseReply(bytes: Uint8Array): JsonObject | undefined {
  return parseObject(decoder.decode(bytes))
}

export function replyFacts(bytes: Uint8Array): ReplyFacts | undefined {
  const document = parseReply(bytes)
  if (!document) return undefined
  const { id, model } = document
  const reasons = choicesOf(document)?.map((choice) => choice?.finish_reason) ?? []
  return {
    id: typeof id === 'string' ? id : undefined,
    model: typeof model === 'string' ? model : undefined,
    finishReasons: reasons.filter((reason) => typeof reason === 'string'),
  }
}

export function replyText(bytes: Uint8Array): number {
  const document = parseReply(bytes)
  return sizeOf((document && choicesOf(document)) ?? [])
}

export function frameText(frame: string): number | undefined {
  const document = frame.startsWith('data: {') ? parseObject(frame.slice(6)) : undefined
  const choices = document && choicesOf(document)
  return choices && sizeOf(choices)
}

function choicesOf({ choices }: JsonObject): readonly (ReplyChoice | null)[] | undefined {
  return Array.isArray(choices) ? (choices as readonly (ReplyChoice | null)[]) : undefined
}

/** Bytes of the texts, and of everything else (tool calls) as JSON. */
function sizeOf(choices: readonly (ReplyChoice | null)[]): number {
  let size = 0
  for (const choice of choices) {
    if (typeof choice?.text === 'string') size += Buffer.byteLength(choice.text)
    const message = choice?.message ?? choice?.delta
    if (typeof message !== 'object' || message === null) continue
    for (const [name, value] of Object.entries(message)) {
      if (name === 'role' || value === null || value === undefined) continue
      size += Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value))
    }
  }
  return size
}
