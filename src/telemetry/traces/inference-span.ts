import { shortened } from '../../errors.ts'
import type { InferenceFinished } from '../event-types.ts'
import type { WallClock } from './clock.ts'
import { contentOf } from './content.ts'
import { addFailure, exceptionEvent } from './failure-facts.ts'
import type { RequestTrace } from './request-trace.ts'
import type { Names } from './semconv.ts'
import { addRequestParameters } from './request-attributes.ts'
import { addPrincipal } from './server-span.ts'
import { boundedShapeOf } from './shape.ts'
import type { AttributeValue, RetentionReason, SpanRecord, TraceOwner } from './span.ts'

const maxLength = 512

interface InferenceSpanFacts {
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
  const { genAiName } = event.operation
  const end = wall(start + event.duration)
  return {
    traceId: trace.traceId,
    spanId: event.spanId ?? trace.newSpanId(),
    parentSpanId: trace.spanId,
    traceState: trace.state,
    name: `${genAiName} ${shortened(event.model, maxLength)}`,
    kind: 'client',
    start: wall(start),
    end,
    attributes: attributesOf(event, facts),
    status: event.outcome === 'failed' || event.outcome === 'truncated' ? 'error' : 'unset',
    ...(event.error !== undefined && { events: [exceptionEvent(event.error, end)] }),
    sampled: trace.sampled,
    kept,
    owner,
    ...(trace.capturesContent && { content: contentOf(event, facts.contentLength) }),
  }
}

function attributesOf(event: InferenceFinished, { owner, names, kept, cost }: InferenceSpanFacts) {
  const { operation, usage, endpoint, error, firstToken } = event
  const attributes: Record<string, AttributeValue> = {
    'gen_ai.operation.name': operation.genAiName,
    'gen_ai.provider.name': event.providerName ?? event.provider,
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
  addRequestParameters(attributes, event, names)
  addReply(attributes, event)
  if (usage) {
    attributes['gen_ai.usage.input_tokens'] = usage.input
    if (operation.producesText) attributes['gen_ai.usage.output_tokens'] = usage.output
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

/** Bytes: parsing longer replies would delay other requests. */
const maxReadSize = 65_536

function addReply(attributes: Record<string, AttributeValue>, { reply, format }: InferenceFinished): void {
  const isUnread = reply instanceof Uint8Array && reply.length > maxReadSize
  const facts = isUnread ? undefined : reply instanceof Uint8Array ? format.replyFacts(reply) : reply
  if (!facts) return
  const { id, model, finishReasons } = facts
  if (id !== undefined) attributes['gen_ai.response.id'] = shortened(id, maxLength)
  if (model !== undefined) attributes['gen_ai.response.model'] = shortened(model, maxLength)
  if (finishReasons && finishReasons.length > 0) {
    attributes['gen_ai.response.finish_reasons'] = finishReasons.map((reason) => shortened(reason, 64))
  }
}
