import type { AttemptFacts } from '../../call.ts'
import { ApiError, shortened } from '../../errors.ts'
import type { RequestFinished } from '../event-types.ts'
import type { WallClock } from './clock.ts'
import { addFailure, exceptionEvent } from './failure-facts.ts'
import type { RequestTrace } from './request-trace.ts'
import { boundedShapeOf } from './shape.ts'
import type { AttributeValue, RetentionReason, SpanRecord, TraceOwner } from './span.ts'

const maxLength = 512

/** HTTP's own methods; all others are `_OTHER` (HTTP conventions). */
const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', 'QUERY'])

interface ServerSpanFacts {
  readonly trace: RequestTrace
  readonly kept: RetentionReason
  readonly owner: TraceOwner
  readonly wall: WallClock
  /** `performance.now()` at the end. */
  readonly endedAt: number
  /** Whether there is no inference span that has the shape of the request. */
  readonly isOnlySpan: boolean
}

/** What a request is called: its method and its route as it was defined, never the path as the caller wrote it. */
export function serverSpan(event: RequestFinished, { trace, kept, owner, wall, endedAt, isOnlySpan }: ServerSpanFacts): SpanRecord {
  const error = event.disconnected ? undefined : (event.error ?? event.failure)
  const method = methods.has(event.request.method) ? event.request.method : 'HTTP'
  const failed = event.status >= 500 || event.failure !== undefined
  const attributes = attributesOf(event, owner, error)
  if (isOnlySpan && error !== undefined && event.failedBody !== undefined)
    attributes['corral.request.shape'] = boundedShapeOf(event.failedBody)
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    ...(trace.parentSpanId !== undefined && { parentIsRemote: true }),
    traceState: trace.state,
    name: event.route === undefined ? method : `${method} ${event.route}`,
    kind: 'server',
    start: wall(event.startedAt),
    end: wall(endedAt),
    attributes,
    // HTTP conventions: an error of the client is not an error of the server.
    status: failed ? 'error' : 'unset',
    ...(error !== undefined && { events: [exceptionEvent(error, wall(endedAt))] }),
    sampled: trace.sampled,
    kept,
    owner,
  }
}

function attributesOf(event: RequestFinished, owner: TraceOwner, error: unknown): Record<string, AttributeValue> {
  const { request, route, status } = event
  const attributes: Record<string, AttributeValue> = {
    'http.request.method': methods.has(request.method) ? request.method : '_OTHER',
    'url.path': shortened(event.path, maxLength),
    'http.response.status_code': status,
    'corral.request_id': owner.requestId,
  }
  if (!methods.has(request.method)) attributes['http.request.method_original'] = shortened(request.method, 32)
  if (route !== undefined) attributes['http.route'] = route
  addRequestHead(attributes, event)
  addPrincipal(attributes, owner)
  const { clientAddress, model, attempt } = event
  if (clientAddress !== undefined) attributes['client.address'] = clientAddress
  if (model !== undefined) attributes['corral.model'] = shortened(model, maxLength)
  if (attempt) addAttempt(attributes, attempt, event.startedAt)
  if (event.streaming) attributes['corral.stream'] = true
  if (event.disconnected) attributes['corral.client_disconnected'] = true
  if (error !== undefined) addFailure(attributes, error)
  // HTTP conventions: the status, where it has no code of its own.
  if (error instanceof ApiError && error.code === null && status >= 500) attributes['error.type'] = String(status)
  return attributes
}

function addAttempt(attributes: Record<string, AttributeValue>, attempt: AttemptFacts, startedAt: number): void {
  const { provider, inputTokens, outputTokens, costNanoDollars, firstTokenAt } = attempt
  attributes['corral.provider'] = provider
  if (inputTokens !== undefined) attributes['gen_ai.usage.input_tokens'] = inputTokens
  if (outputTokens !== undefined) attributes['gen_ai.usage.output_tokens'] = outputTokens
  if (costNanoDollars !== undefined) attributes['corral.cost_usd'] = costNanoDollars / 1e9
  if (firstTokenAt !== undefined) attributes['corral.time_to_first_token'] = (firstTokenAt - startedAt) / 1000
}

function addRequestHead(attributes: Record<string, AttributeValue>, { request }: RequestFinished): void {
  const url = request.url === undefined ? undefined : URL.parse(request.url)
  if (url) {
    attributes['url.scheme'] = url.protocol.slice(0, -1)
    attributes['server.address'] = shortened(url.hostname, 255)
    attributes['server.port'] = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
  }
  const agent = request.headers?.get('user-agent')
  if (agent) attributes['user_agent.original'] = shortened(agent, maxLength)
  const length = request.headers?.get('content-length')
  if (length && /^\d{1,15}$/.test(length)) attributes['http.request.body.size'] = Number(length)
}

/** The caller: a principal’s attributes as `corral.principal.<name>`. */
export function addPrincipal(attributes: Record<string, AttributeValue>, { principalId, keyId, attributes: of }: TraceOwner): void {
  if (principalId !== undefined) attributes['corral.principal'] = shortened(principalId, maxLength)
  if (keyId !== undefined) attributes['corral.key_id'] = keyId
  for (const [name, values] of Object.entries(of ?? {})) {
    if (values.length > 0) attributes[`corral.principal.${name}`] = values.slice(0, 32).map((value) => shortened(value, 128))
  }
}
