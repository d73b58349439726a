import type { Call } from '../call.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { ApiError } from '../errors.ts'
import { type Frames, responseNotRead, sseResponse, type Ticker } from '../http/sse.ts'
import type { Reply } from '../providers/provider.ts'
import { within } from '../timing.ts'

const defaultHeadTimeout = 15_000

/** Of streams; in milliseconds. */
export interface StreamTimes {
  /**
   * How long a stream's head may wait for the upstream's, so that the upstream's 401 can be a 401; and, once that is there, for the first frame. Default
   * 15 s.
   */
  readonly headTimeout?: number | undefined
  /** Silence after which a heartbeat is sent. Default 15 s. */
  readonly heartbeatInterval?: number | undefined
  /** How long a stream may take. Default: no limit. */
  readonly maxDuration?: number | undefined
  /** For tests: in place of the system's clock, where the time of a caller that does not read is counted. */
  readonly ticker?: Ticker | undefined
}

interface ReplyOptions {
  /** Whether the caller requested a stream. */
  stream: boolean
  times?: StreamTimes | undefined
  /** Of errors and heartbeats in a stream. */
  dialect: Dialect
}

/**
 * The response for a provider's reply. Rejects with the provider's error as long as no head was sent; a stream that takes longer than
 * `headTimeout` to start begins with heartbeats, and a later failure is an error event.
 */
export async function toResponse(pending: Promise<Reply>, call: Call, options: ReplyOptions): Promise<Response> {
  const { times, dialect } = options
  if (!options.stream) return respond(await pending, call, options)
  const headTimeout = times?.headTimeout ?? defaultHeadTimeout
  const startedAt = performance.now()
  const reply = await within(headTimeout, pending, undefined)
  if (!reply) return respondWithStream(pending.then(framesOf), call, options)
  return respond(reply, call, { dialect, times: { ...times, headTimeout: Math.max(0, headTimeout - (performance.now() - startedAt)) } })
}

/** `times.headTimeout`: the remainder of it. */
function respond(reply: Reply, call: Call, options: Omit<ReplyOptions, 'stream'>): Response {
  if (reply.kind === 'stream') return respondWithStream(reply.frames, call, options)
  if (call.record) call.record.responseBytes = reply.bytes.length
  return new Response(reply.bytes as BodyInit, { headers: { 'content-type': 'application/json' } })
}

function respondWithStream(frames: Frames | Promise<Frames>, call: Call, { times, dialect }: Omit<ReplyOptions, 'stream'>): Response {
  const { record, signal, requestId } = call
  if (record) record.streaming = true
  return sseResponse(frames, {
    dialect,
    requestId,
    traceId: call.trace?.traceId,
    signal,
    heartbeatInterval: times?.heartbeatInterval ?? 15_000,
    maxDuration: times?.maxDuration,
    headTimeout: times?.headTimeout,
    ticker: times?.ticker,
    onEnd(failure, bytes) {
      if (!record) return
      record.responseBytes = bytes
      record.closesConnection = failure instanceof ApiError && failure.code === responseNotRead
      if (failure !== undefined) record.failure = failure
      record.complete?.()
    },
  })
}

function framesOf(reply: Reply): Frames {
  if (reply.kind === 'stream') return reply.frames
  throw new ApiError('upstream_error', 'The provider returned a complete response to a streaming request.', {
    code: 'upstream_invalid_response',
  })
}
