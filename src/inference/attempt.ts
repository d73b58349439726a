import type { Call } from '../call.ts'
import { ApiError } from '../errors.ts'
import type { Operation } from '../operations/operation.ts'
import type { WireFormat } from '../operations/wire-format.ts'
import type { AnyInvoke, FallbackModel, JsonReply, ModelRequest, Reply, StreamFacts, StreamReply, Usage } from '../providers/provider.ts'
import type { Target } from '../registry/catalog.ts'
import type { InferenceFinished, InferenceOutcome } from '../telemetry/event-types.ts'
import { StreamedContent } from '../telemetry/traces/streamed-content.ts'
import type { Members } from '../wire/json-scan.ts'
import { StreamMeter, tokensOfReply } from './token-estimate.ts'

/** What all attempts of one execution share. */
export interface AttemptContext {
  readonly operation: Operation
  /** Of the request. */
  readonly format: WireFormat
  /** As the caller named it. */
  readonly requestedModel: string
  readonly body: unknown
  readonly bytes: Uint8Array
  readonly members: Members | undefined
  readonly fallbacks: readonly FallbackModel[] | undefined
  readonly call: Call
  /** Whether the output is counted where the provider reports no usage. */
  readonly estimatesTokens: boolean
  /** Called once for each attempt, when its reply, or its stream, has ended. */
  ended(attempt: Attempt, end: AttemptEnd): void
}

/** How an attempt ended. */
export interface AttemptEnd {
  readonly outcome: InferenceOutcome
  readonly usage: Usage | undefined
  /** Output tokens that were received, where they were counted. */
  readonly received: number | undefined
  readonly error?: unknown
}

/** A result that is neither JSON nor a stream, e.g. a ranking. */
interface PlainResult {
  readonly usage?: Usage | undefined
}

/** One call of one target, from its request to its end: the unit that has a span, and that retries and fallback repeat. */
export class Attempt {
  readonly target: Target
  readonly #context: AttemptContext
  readonly #request: ModelRequest<unknown>
  readonly #startedAt = performance.now()
  #hasEnded = false
  /** Set once the reply streams. */
  facts: StreamFacts | undefined
  /** Counts the output of a stream, for providers that report no usage. */
  #meter: StreamMeter | undefined
  /** The provider's own bytes of a complete reply. */
  #original: Uint8Array | undefined
  /** The frames of a stream, where the trace captures content. */
  #content: StreamedContent | undefined

  constructor(target: Target, context: AttemptContext) {
    const { call, operation, format, requestedModel, body, bytes, members, fallbacks } = context
    this.target = target
    this.#context = context
    this.#request = {
      model: target.model,
      requestedModel,
      catalogueId: target.catalogueId,
      operation,
      format,
      body,
      bytes,
      members,
      fallbacks,
      trace: call.trace && { spanId: call.trace.newSpanId() },
    }
  }

  /** Sends the request. Rejects with the provider's error, after the attempt has ended. */
  async send(): Promise<unknown> {
    try {
      const invoke = this.target.invoke as unknown as (...parameters: Parameters<AnyInvoke>) => Promise<Reply | PlainResult>
      const reply = await invoke(this.#request as ModelRequest<never>, this.#context.call)
      if ('kind' in reply) return reply.kind === 'json' ? this.#complete(reply) : this.#stream(reply)
      this.end('completed', { usage: reply.usage })
      return reply
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  #complete(reply: JsonReply): JsonReply {
    this.#original = reply.original
    const { estimatesTokens, format } = this.#context
    this.end('completed', { usage: reply.usage, received: estimatesTokens && !reply.usage ? tokensOfReply(reply.bytes, format) : 0 })
    return reply
  }

  #stream({ facts, frames }: StreamReply): StreamReply {
    const { estimatesTokens, format, call } = this.#context
    this.facts = facts
    if (estimatesTokens) this.#meter = new StreamMeter(facts, format)
    if (call.trace?.capturesContent) this.#content = new StreamedContent()
    return { kind: 'stream', facts, frames: new AttemptFrames(frames, this, listenerOf(this.#meter, this.#content)) }
  }

  fail(error: unknown): void {
    const usage = this.facts?.usage
    if (this.#context.call.signal.aborted) this.end('cancelled', { usage })
    else if (this.facts && error instanceof ApiError && error.code === 'upstream_interrupted') this.end('truncated', { usage, error })
    else this.end('failed', { usage, error })
  }

  end(outcome: InferenceOutcome, { usage, received, error }: { usage: Usage | undefined; received?: number; error?: unknown }): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#context.ended(this, { outcome, usage, received: received ?? this.#meter?.tokens(), error })
  }

  get firstTokenAt(): number | undefined {
    return this.facts?.firstTokenAt
  }

  /** What telemetry reports of it. */
  event({ outcome, usage, error }: AttemptEnd): InferenceFinished {
    const { call, operation, format, body } = this.#context
    const { target } = this
    const { trace } = this.#request
    const firstTokenAt = this.facts?.firstTokenAt
    return {
      call,
      provider: target.providerId,
      providerName: target.providerName,
      model: target.model,
      operation,
      format,
      streamed: this.facts !== undefined,
      outcome,
      duration: performance.now() - this.#startedAt,
      firstToken: firstTokenAt === undefined ? undefined : firstTokenAt - this.#startedAt,
      usage,
      startedAt: this.#startedAt,
      spanId: trace?.spanId,
      endpoint: trace?.endpoint,
      resentWithout: trace?.resentWithout,
      requestBody: body,
      reply: this.facts ?? this.#original,
      streamedContent: this.#content,
      ...(error !== undefined && { error }),
    }
  }
}

interface FrameListener {
  add(item: Uint8Array): void
}

function listenerOf(meter: StreamMeter | undefined, content: StreamedContent | undefined): FrameListener | undefined {
  if (!meter || !content) return meter ?? content
  return {
    add(item) {
      meter.add(item)
      content.add(item)
    },
  }
}

/** The frames of a reply: their end is the end of the attempt. */
class AttemptFrames implements AsyncIterator<Uint8Array, void, undefined> {
  readonly #frames: StreamReply['frames']
  readonly #attempt: Attempt
  readonly #listener: FrameListener | undefined

  constructor(frames: StreamReply['frames'], attempt: Attempt, listener: FrameListener | undefined) {
    this.#frames = frames
    this.#attempt = attempt
    this.#listener = listener
  }

  get idleTimeout(): number | undefined {
    return this.#frames.idleTimeout
  }

  async next(): Promise<IteratorResult<Uint8Array, void>> {
    try {
      const result = await this.#frames.next()
      if (result.done) this.#attempt.end('completed', { usage: this.#attempt.facts?.usage })
      else this.#listener?.add(result.value)
      return result
    } catch (error) {
      this.#attempt.fail(error)
      throw error
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, void>> {
    const { facts } = this.#attempt
    // Clients disconnect once they have read the end.
    this.#attempt.end(facts?.complete ? 'completed' : 'cancelled', { usage: facts?.usage })
    return (await this.#frames.return?.()) ?? { done: true, value: undefined }
  }
}
