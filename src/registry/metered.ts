import type { Call } from '../call.ts'
import { ApiError } from '../errors.ts'
import type {
  Capability,
  InferenceProvider,
  JsonReply,
  ModelRequest,
  Reply,
  StreamFacts,
  StreamReply,
  Usage,
} from '../providers/provider.ts'
import type { Admitted, Governance, TokensUsed } from '../quota/governance.ts'
import { StreamedContent } from '../telemetry/traces/streamed-content.ts'
import type { InferenceFinished, InferenceOutcome } from '../telemetry/events.ts'
import { StreamMeter, tokensOfReply } from './metered-tokens.ts'

type Report = (event: InferenceFinished) => void

/**
 * Wraps what a provider can do: each answer, whole or streamed, is reserved for before it is asked for (`governance`, absent: nothing is
 * limited), settled and reported once it is over, and noted on its call.
 */
export function metered(
  provider: InferenceProvider,
  providerId: string,
  report: Report,
  governance?: Pick<Governance, 'admitInference'>,
): InferenceProvider {
  const meter = new Meter(providerId, report, governance)
  return {
    get hasOwnKey() {
      return provider.hasOwnKey
    },
    ...(provider.furtherModels && { furtherModels: provider.furtherModels }),
    ...(provider.acceptsKeyOf && { acceptsKeyOf: (call: Call) => provider.acceptsKeyOf?.(call) === true }),
    ...(provider.listModels && { listModels: (call: Call) => provider.listModels!(call) }),
    ...(provider.awaits && { awaits: () => provider.awaits!() }),
    ...(provider.checkHealth && { checkHealth: (call: Call) => provider.checkHealth!(call) }),
    ...(provider.chat && { chat: (request, call) => meter.reply('chat', { request, call, ask: () => provider.chat!(request, call) }) }),
    ...(provider.completions && {
      completions: (request, call) => meter.reply('completions', { request, call, ask: () => provider.completions!(request, call) }),
    }),
    ...(provider.embeddings && {
      embeddings: (request, call) => meter.reply('embeddings', { request, call, ask: () => provider.embeddings!(request, call) }),
    }),
    ...(provider.rerank && {
      rerank: (request, call) => meter.value('rerank', { request, call, ask: () => provider.rerank!(request, call) }),
    }),
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]?.()
    },
  }
}

/** One request, and what asks the provider. */
interface Asked<T> {
  readonly request: ModelRequest<unknown>
  readonly call: Call
  readonly ask: () => Promise<T>
}

class Meter {
  readonly providerId: string
  readonly report: Report
  readonly #governance: Pick<Governance, 'admitInference'> | undefined

  constructor(providerId: string, report: Report, governance: Pick<Governance, 'admitInference'> | undefined) {
    this.providerId = providerId
    this.report = report
    this.#governance = governance
  }

  reply<R extends Reply | JsonReply>(capability: Capability, asked: Asked<R>): Promise<R> {
    return this.#within(capability, asked, (answer) => answer.ofReply(asked.ask))
  }

  value<T>(capability: Capability, asked: Asked<T>): Promise<T> {
    return this.#within(capability, asked, (answer) => answer.ofValue(asked.ask))
  }

  /** Rejects where there is no room: then nothing has begun. Waits for nothing where the limits are at hand. */
  #within<R>(capability: Capability, asked: Asked<unknown>, work: (answer: Measurement) => Promise<R>): Promise<R> {
    try {
      const admitted = this.#admit(capability, asked)
      if (admitted instanceof Promise) return this.#afterWait(admitted, asked, (held) => work(this.#begin(capability, asked, held)))
      return work(this.#begin(capability, asked, admitted))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #afterWait<R>(
    pending: Promise<Admitted | undefined>,
    { call }: Asked<unknown>,
    work: (admitted: Admitted | undefined) => Promise<R>,
  ): Promise<R> {
    const admitted = await pending
    // Who has left meanwhile has used nothing.
    if (call.signal.aborted) admitted?.settle({ outcome: 'failed', usage: undefined })
    call.signal.throwIfAborted()
    return work(admitted)
  }

  #admit(capability: Capability, { request, call }: Asked<unknown>): Admitted | undefined | Promise<Admitted | undefined> {
    const { providerId } = this
    const { notes } = call
    if (notes) {
      notes.model = request.told
      notes.provider = providerId
    }
    if (!this.#governance) return undefined
    const facts = {
      call,
      provider: providerId,
      model: request.catalogueId ?? `${providerId}/${request.model}`,
      upstreamModel: request.model,
      told: request.told,
      further: request.further,
      capability,
      body: request.body,
      bytes: request.bytes.length,
    }
    return this.#governance.admitInference(facts, notes?.answerHeaders)
  }

  #begin(capability: Capability, { request, call }: Asked<unknown>, admitted: Admitted | undefined): Measurement {
    if (call.trace) request.trace = { spanId: call.trace.newSpanId() }
    return new Measurement({ meter: this, capability, request, call, admitted })
  }
}

interface Measured {
  readonly meter: Meter
  readonly capability: Capability
  readonly request: ModelRequest<unknown>
  readonly call: Call
  /** Absent: nothing is limited, and nothing is written down. */
  readonly admitted: Admitted | undefined
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

  async ofReply<R extends Reply | JsonReply>(ask: () => Promise<R>): Promise<R> {
    let reply: Reply
    try {
      reply = await ask()
    } catch (error) {
      this.fail(error)
      throw error
    }
    if (reply.kind === 'json') {
      this.#original = reply.original
      const { admitted, capability } = this.#measured
      const came = admitted && !reply.usage ? tokensOfReply(reply.bytes, capability) : 0
      this.end('completed', { usage: reply.usage, came })
      return reply as R
    }
    this.facts = reply.facts
    if (this.#measured.admitted) this.#stream = new StreamMeter(reply.facts)
    if (this.#measured.call.trace?.capturesContent) this.#content = new StreamedContent()
    const streamed: StreamReply = {
      kind: 'stream',
      facts: reply.facts,
      frames: new MeteredFrames(reply.frames, this, listenersOf(this.#stream, this.#content)),
    }
    return streamed as Reply as R
  }

  async ofValue<T>(ask: () => Promise<T>): Promise<T> {
    try {
      const value = await ask()
      this.end('completed', { usage: undefined })
      return value
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  fail(error: unknown): void {
    const usage = this.facts?.usage
    if (this.#measured.call.signal.aborted) this.end('cancelled', { usage })
    else if (this.facts && error instanceof ApiError && error.code === 'upstream_cut') this.end('truncated', { usage, error })
    else this.end('failed', { usage, error })
  }

  end(outcome: InferenceOutcome, { usage, came, error }: { usage: Usage | undefined; came?: number; error?: unknown }): void {
    if (this.#over) return
    this.#over = true
    const { meter, capability, request, call, admitted } = this.#measured
    const firstTokenAt = this.facts?.firstTokenAt
    const { notes } = call
    if (notes && usage) {
      notes.inputTokens = usage.input
      notes.outputTokens = usage.output
    }
    if (notes && firstTokenAt !== undefined) notes.firstTokenAt = firstTokenAt
    admitted?.settle({ outcome, usage: usage && toTokensUsed(usage), came: came ?? this.#stream?.tokens() })
    meter.report({
      call,
      provider: meter.providerId,
      model: request.model,
      capability,
      streamed: this.facts !== undefined,
      outcome,
      duration: performance.now() - this.#startedAt,
      firstToken: firstTokenAt === undefined ? undefined : firstTokenAt - this.#startedAt,
      usage,
      startedAt: this.#startedAt,
      spanId: request.trace?.spanId,
      endpoint: request.trace?.endpoint,
      asked: request.body,
      answer: this.facts ?? this.#original,
      streamedContent: this.#content,
      ...(error !== undefined && { error }),
    })
  }
}

function toTokensUsed({ input, output, cached, cacheWrite, inputAudio, reasoning, outputAudio, dollars }: Usage): TokensUsed {
  return { input, output, cachedInput: cached, cacheWrite, inputAudio, reasoning, outputAudio, reportedDollars: dollars }
}

/** Is given what a stream brings. */
interface Listener {
  add(item: Uint8Array): void
}

function listenersOf(meter: StreamMeter | undefined, content: StreamedContent | undefined): Listener | undefined {
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
  readonly #stream: Listener | undefined

  constructor(frames: StreamReply['frames'], measurement: Measurement, stream: Listener | undefined) {
    this.#frames = frames
    this.#measurement = measurement
    this.#stream = stream
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
