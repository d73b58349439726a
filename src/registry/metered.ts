import type { AttemptFacts, Call } from '../call.ts'
import { ApiError } from '../errors.ts'
import { mapInvoke } from '../providers/provider.ts'
import type {
  Capability,
  InferenceProvider,
  InvokeRecord,
  JsonReply,
  ModelRequest,
  StreamFacts,
  StreamReply,
  Usage,
} from '../providers/provider.ts'
import { operations } from '../operations/index.ts'
import type { AdmittedInference, Governance, InferenceFacts, TokensUsed } from '../quota/governance.ts'
import { StreamedContent } from '../telemetry/traces/streamed-content.ts'
import type { InferenceFinished, InferenceOutcome } from '../telemetry/events.ts'
import { StreamMeter, tokensOfReply } from './metered-tokens.ts'

type ReportInference = (event: InferenceFinished) => void

/**
 * Wraps what a provider can do: each answer, whole or streamed, is reserved for before it is asked for (`governance`, absent: nothing is
 * limited), settled and reported once it is over, and noted on its call.
 */
export function metered(
  provider: InferenceProvider,
  providerId: string,
  report: ReportInference,
  governance?: Pick<Governance, 'admitInference'>,
): InferenceProvider {
  const meter = new Meter(provider, { providerId, report, governance })
  return {
    get hasOwnKey() {
      return provider.hasOwnKey
    },
    ...(provider.fallbackModels && { fallbackModels: provider.fallbackModels }),
    ...(provider.acceptsKeyOf && { acceptsKeyOf: (call: Call) => provider.acceptsKeyOf?.(call) === true }),
    ...(provider.listModels && { listModels: (call: Call) => provider.listModels!(call) }),
    ...(provider.pendingReason && { pendingReason: () => provider.pendingReason!() }),
    ...(provider.checkHealth && { checkHealth: (call: Call) => provider.checkHealth!(call) }),
    invoke: mapInvoke(provider.invoke, (_, operation) => (request, call) => meter.run(operation as Capability, request, call)),
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]?.()
    },
  }
}

type AnyModelRequest = ModelRequest<unknown>
/** What a capability answers: `Reply`, `JsonReply`, or a value of its own. */
type ResultOf<C extends Capability> = Awaited<ReturnType<NonNullable<InvokeRecord[C]>>>

interface MeterOptions {
  readonly providerId: string
  readonly report: ReportInference
  readonly governance: Pick<Governance, 'admitInference'> | undefined
}

class Meter {
  readonly providerId: string
  readonly report: ReportInference
  readonly #provider: InferenceProvider
  readonly #governance: MeterOptions['governance']

  constructor(provider: InferenceProvider, { providerId, report, governance }: MeterOptions) {
    this.providerId = providerId
    this.report = report
    this.#provider = provider
    this.#governance = governance
  }

  /** Rejects where there is no room: then nothing has begun. Waits for nothing where the limits are at hand. */
  run<C extends Capability>(capability: C, request: AnyModelRequest, call: Call): Promise<ResultOf<C>> {
    try {
      const admitted = this.#admit(capability, request, call)
      if (admitted instanceof Promise) return this.#afterWait(admitted, capability, request, call)
      return this.#begin(capability, request, call, admitted)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  invoke<C extends Capability>(capability: C, request: AnyModelRequest, call: Call): Promise<ResultOf<C>> {
    const invoke = this.#provider.invoke[capability] as unknown as (request: AnyModelRequest, call: Call) => Promise<ResultOf<C>>
    return invoke(request, call)
  }

  async #afterWait<C extends Capability>(
    pending: Promise<AdmittedInference | undefined>,
    capability: C,
    request: AnyModelRequest,
    call: Call,
  ): Promise<ResultOf<C>> {
    const admitted = await pending
    // Who has left meanwhile has used nothing.
    if (call.signal.aborted) admitted?.settle({ outcome: 'failed', usage: undefined })
    call.signal.throwIfAborted()
    return this.#begin(capability, request, call, admitted)
  }

  #admit(
    capability: Capability,
    request: AnyModelRequest,
    call: Call,
  ): AdmittedInference | undefined | Promise<AdmittedInference | undefined> {
    const { providerId } = this
    const { record } = call
    if (record) {
      record.model = request.requestedModel
      record.attempt = newAttempt(providerId, request.model)
    }
    if (!this.#governance) return undefined
    const operation = operations[capability]
    const facts: InferenceFacts = {
      call,
      provider: providerId,
      model: request.catalogueId ?? `${providerId}/${request.model}`,
      upstreamModel: request.model,
      requestedModel: request.requestedModel,
      fallbacks: request.fallbacks,
      capability,
      operation,
      format: operation.format,
      body: request.body,
      bytes: request.bytes.length,
    }
    return this.#governance.admitInference(facts, record?.responseHeaders)
  }

  #begin<C extends Capability>(
    capability: C,
    request: AnyModelRequest,
    call: Call,
    admitted: AdmittedInference | undefined,
  ): Promise<ResultOf<C>> {
    if (call.trace) request.trace = { spanId: call.trace.newSpanId() }
    return new Measurement({ meter: this, capability, request, call, admitted }).run() as Promise<ResultOf<C>>
  }
}

/** All of its members at once: the objects then have one shape. */
function newAttempt(provider: string, model: string): AttemptFacts {
  return {
    provider,
    model,
    inputTokens: undefined,
    outputTokens: undefined,
    costNanoDollars: undefined,
    firstTokenAt: undefined,
    failure: undefined,
  }
}

interface Measured {
  readonly meter: Meter
  readonly capability: Capability
  readonly request: AnyModelRequest
  readonly call: Call
  /** Absent: nothing is limited, and nothing is written down. */
  readonly admitted: AdmittedInference | undefined
}

/** One answer, from its request to its end. */
class Measurement {
  readonly #measured: Measured
  readonly #startedAt = performance.now()
  #over = false
  /** Set once the answer streams. */
  facts: StreamFacts | undefined
  /** Counts what a stream brings, for the case that nobody says how many tokens it was. */
  #stream: StreamMeter | undefined
  /** What the provider sent as a whole answer. */
  #original: Uint8Array | undefined
  /** What a stream says, where traces want it. */
  #content: StreamedContent | undefined

  constructor(measured: Measured) {
    this.#measured = measured
  }

  async run(): Promise<unknown> {
    const { meter, capability, request, call } = this.#measured
    try {
      const reply = await meter.invoke(capability, request, call)
      // A rerank is a value of its own.
      if ('kind' in reply) return reply.kind === 'json' ? this.#whole(reply) : this.#streamed(reply)
      this.end('completed', { usage: reply.usage })
      return reply
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  #whole(reply: JsonReply): JsonReply {
    const { admitted, capability } = this.#measured
    this.#original = reply.original
    const came = admitted && !reply.usage ? tokensOfReply(reply.bytes, operations[capability].format) : 0
    this.end('completed', { usage: reply.usage, came })
    return reply
  }

  #streamed({ facts, frames }: StreamReply): StreamReply {
    const { admitted, capability, call } = this.#measured
    this.facts = facts
    if (admitted) this.#stream = new StreamMeter(facts, operations[capability].format)
    if (call.trace?.capturesContent) this.#content = new StreamedContent()
    return { kind: 'stream', facts, frames: new MeteredFrames(frames, this, listenersOf(this.#stream, this.#content)) }
  }

  fail(error: unknown): void {
    const usage = this.facts?.usage
    if (this.#measured.call.signal.aborted) this.end('cancelled', { usage })
    else if (this.facts && error instanceof ApiError && error.code === 'upstream_interrupted') this.end('truncated', { usage, error })
    else this.end('failed', { usage, error })
  }

  end(outcome: InferenceOutcome, { usage, came, error }: { usage: Usage | undefined; came?: number; error?: unknown }): void {
    if (this.#over) return
    this.#over = true
    const { meter, capability, request, call, admitted } = this.#measured
    const firstTokenAt = this.facts?.firstTokenAt
    const attempt = call.record?.attempt
    if (attempt) {
      attempt.inputTokens = usage?.input
      attempt.outputTokens = usage?.output
      attempt.firstTokenAt = firstTokenAt
      if (error instanceof ApiError) attempt.failure = error.failure
    }
    admitted?.settle({ outcome, usage: usage && toTokensUsed(usage), received: came ?? this.#stream?.tokens() })
    meter.report({
      call,
      provider: meter.providerId,
      model: request.model,
      capability,
      operation: operations[capability],
      format: operations[capability].format,
      streamed: this.facts !== undefined,
      outcome,
      duration: performance.now() - this.#startedAt,
      firstToken: firstTokenAt === undefined ? undefined : firstTokenAt - this.#startedAt,
      usage,
      startedAt: this.#startedAt,
      spanId: request.trace?.spanId,
      endpoint: request.trace?.endpoint,
      resentWithout: request.trace?.resentWithout,
      requestBody: request.body,
      reply: this.facts ?? this.#original,
      streamedContent: this.#content,
      ...(error !== undefined && { error }),
    })
  }
}

function toTokensUsed(usage: Usage): TokensUsed {
  const { input, output, cached, cacheWrite, inputAudio, reasoning, outputAudio, dollars, estimated } = usage
  return { input, output, cachedInput: cached, cacheWrite, inputAudio, reasoning, outputAudio, reportedDollars: dollars, estimated }
}

/** Is given what a stream brings. */
interface FrameListener {
  add(item: Uint8Array): void
}

function listenersOf(meter: StreamMeter | undefined, content: StreamedContent | undefined): FrameListener | undefined {
  if (!meter || !content) return meter ?? content
  return {
    add(item) {
      meter.add(item)
      content.add(item)
    },
  }
}

class MeteredFrames implements AsyncIterator<Uint8Array, void, undefined> {
  readonly #frames: StreamReply['frames']
  readonly #measurement: Measurement
  readonly #stream: FrameListener | undefined

  constructor(frames: StreamReply['frames'], measurement: Measurement, stream: FrameListener | undefined) {
    this.#frames = frames
    this.#measurement = measurement
    this.#stream = stream
  }

  get idleTimeout(): number | undefined {
    return this.#frames.idleTimeout
  }

  async next(): Promise<IteratorResult<Uint8Array, void>> {
    try {
      const result = await this.#frames.next()
      if (result.done) this.#measurement.end('completed', { usage: this.#measurement.facts?.usage })
      else this.#stream?.add(result.value)
      return result
    } catch (error) {
      this.#measurement.fail(error)
      throw error
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, void>> {
    const { facts } = this.#measurement
    // A caller may well leave once it has seen the end.
    this.#measurement.end(facts?.complete ? 'completed' : 'cancelled', { usage: facts?.usage })
    return (await this.#frames.return?.()) ?? { done: true, value: undefined }
  }
}
