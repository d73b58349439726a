import { shortened } from '../../errors.ts'
import type { StreamReplyFacts, InferenceFinished } from '../events.ts'
import type { WallClock } from './clock.ts'
import { contentOf } from './content.ts'
import { addFailure, exceptionEvent } from './failure-facts.ts'
import type { RequestTrace } from './request-trace.ts'
import { type Names, operations, providerName } from './semconv.ts'
import { addPrincipal } from './server-span.ts'
import { boundedShapeOf } from './shape.ts'
import type { AttributeValue, RetentionReason, SpanRecord, TraceOwner } from './span.ts'

const maxLength = 512

export interface InferenceSpanFacts {
  readonly trace: RequestTrace
  readonly kept: RetentionReason
  readonly owner: TraceOwner
  readonly wall: WallClock
  readonly names: Names
  /** UTF-16 units of a text, where content is wanted. */
  readonly contentLength: number
  /** Billionths of a US dollar, where known. */
  readonly cost?: number | undefined
}

/**
 * One response of a model (GenAI conventions: the span "inference", "embeddings"). One span however often the request is sent:
 * `corral.request.resent_without` names the fields of a first attempt that the provider refused.
 */
export function inferenceSpan(event: InferenceFinished, facts: InferenceSpanFacts): SpanRecord {
  const { trace, kept, owner, wall } = facts
  const start = event.startedAt ?? performance.now() - event.duration
  const operation = operations[event.capability] ?? event.capability
  const end = wall(start + event.duration)
  return {
    traceId: trace.traceId,
    spanId: event.spanId ?? trace.newSpanId(),
    parentSpanId: trace.spanId,
    traceState: trace.state,
    name: `${operation} ${shortened(event.model, maxLength)}`,
    kind: 'client',
    start: wall(start),
    end,
    attributes: attributesOf(event, operation, facts),
    status: event.outcome === 'failed' || event.outcome === 'truncated' ? 'error' : 'unset',
    ...(event.error !== undefined && { events: [exceptionEvent(event.error, end)] }),
    sampled: trace.sampled,
    kept,
    owner,
    ...(trace.capturesContent && { content: contentOf(event.requestBody, replyOf(event), facts.contentLength) }),
  }
}

function replyOf({ reply, streamedContent }: InferenceFinished): unknown {
  return streamedContent ? streamedContent.toReply() : reply instanceof Uint8Array ? parsed(reply) : undefined
}

function attributesOf(event: InferenceFinished, operation: string, { owner, names, kept, cost }: InferenceSpanFacts) {
  const { usage, endpoint, error, firstToken } = event
  const attributes: Record<string, AttributeValue> = {
    'gen_ai.operation.name': operation,
    'gen_ai.provider.name': providerName(event.providerType, event.provider),
    'gen_ai.request.model': shortened(event.model, maxLength),
    'corral.provider': event.provider,
    'corral.request_id': owner.requestId,
    'corral.outcome': event.outcome,
  }
  if (endpoint) {
    attributes['server.address'] = endpoint.address
    attributes['server.port'] = endpoint.port
  }
  if (event.resentWithout) attributes['corral.request.resent_without'] = [...event.resentWithout]
  addPrincipal(attributes, owner)
  addRequest(attributes, event, names)
  addReply(attributes, event)
  if (usage) {
    attributes['gen_ai.usage.input_tokens'] = usage.input
    if (event.capability !== 'embeddings') attributes['gen_ai.usage.output_tokens'] = usage.output
    if (usage.cached !== undefined) attributes['gen_ai.usage.cache_read.input_tokens'] = usage.cached
    if (usage.cacheWrite !== undefined) attributes[names.cacheWrite] = usage.cacheWrite
    if (usage.reasoning !== undefined) attributes['gen_ai.usage.reasoning.output_tokens'] = usage.reasoning
  }
  if (firstToken !== undefined) attributes['gen_ai.response.time_to_first_chunk'] = firstToken / 1000
  if (cost !== undefined) attributes['corral.cost_usd'] = cost / 1e9
  if (error !== undefined) addFailure(attributes, error)
  if (kept !== 'sampled' || error !== undefined) attributes['corral.request.shape'] = boundedShapeOf(event.requestBody)
  return attributes
}

type RequestBodyFields = Readonly<Record<string, unknown>>

const numbers: readonly (readonly [field: string, attribute: string])[] = [
  ['temperature', 'gen_ai.request.temperature'],
  ['top_p', 'gen_ai.request.top_p'],
  ['top_k', 'gen_ai.request.top_k'],
  ['max_tokens', 'gen_ai.request.max_tokens'],
  ['max_completion_tokens', 'gen_ai.request.max_tokens'],
  ['frequency_penalty', 'gen_ai.request.frequency_penalty'],
  ['presence_penalty', 'gen_ai.request.presence_penalty'],
  ['seed', 'gen_ai.request.seed'],
  ['dimensions', 'gen_ai.embeddings.dimension.count'],
]

function addRequest(attributes: Record<string, AttributeValue>, { requestBody, streamed }: InferenceFinished, names: Names): void {
  if (typeof requestBody !== 'object' || requestBody === null) return
  const fields = requestBody as RequestBodyFields
  for (const [field, attribute] of numbers) {
    const value = fields[field]
    if (typeof value === 'number' && Number.isFinite(value)) attributes[attribute] = value
  }
  const { n, stop, encoding_format: encoding, response_format: format, reasoning_effort: effort } = fields
  if (streamed || fields['stream'] === true) attributes['gen_ai.request.stream'] = true
  if (typeof n === 'number' && n !== 1) attributes['gen_ai.request.choice.count'] = n
  const stops = typeof stop === 'string' ? [stop] : stop
  if (Array.isArray(stops) && stops.every((one) => typeof one === 'string')) {
    attributes['gen_ai.request.stop_sequences'] = stops.slice(0, 16).map((one) => shortened(one, 64))
  }
  if (typeof encoding === 'string') attributes['gen_ai.request.encoding_formats'] = [shortened(encoding, 32)]
  const type = typeof format === 'object' && format !== null ? (format as RequestBodyFields)['type'] : undefined
  if (type === 'json_object' || type === 'json_schema') attributes['gen_ai.output.type'] = 'json'
  else if (type === 'text') attributes['gen_ai.output.type'] = 'text'
  if (names.reasoningLevel !== undefined && typeof effort === 'string') attributes[names.reasoningLevel] = shortened(effort, 32)
}

function addReply(attributes: Record<string, AttributeValue>, { reply, capability }: InferenceFinished): void {
  const facts = reply instanceof Uint8Array ? readReply(reply, capability) : reply
  if (!facts) return
  const { id, model, finishReasons } = facts
  if (id !== undefined) attributes['gen_ai.response.id'] = shortened(id, maxLength)
  if (model !== undefined) attributes['gen_ai.response.model'] = shortened(model, maxLength)
  if (finishReasons && finishReasons.length > 0) attributes['gen_ai.response.finish_reasons'] = [...finishReasons]
}

/** Bytes: reading longer ones would be felt. */
const maxReadSize = 65_536

function readReply(bytes: Uint8Array, capability: string): StreamReplyFacts | undefined {
  if (bytes.length > maxReadSize || capability === 'embeddings') return undefined
  const document = parsed(bytes)
  if (!document) return undefined
  const { id, model, choices } = document
  const reasons = Array.isArray(choices) ? (choices as (RequestBodyFields | null)[]).map((choice) => choice?.['finish_reason']) : []
  return {
    id: typeof id === 'string' ? id : undefined,
    model: typeof model === 'string' ? model : undefined,
    finishReasons: reasons.filter((reason) => typeof reason === 'string').map((reason) => shortened(reason, 64)),
  }
}

function parsed(bytes: Uint8Array): RequestBodyFields | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null ? (value as RequestBodyFields) : undefined
  } catch {
    // The rest of the span is worth having.
    return undefined
  }
}
