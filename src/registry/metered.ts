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
import type { InferenceFinished, InferenceOutcome } from '../telemetry/events.ts'

type Report = (event: InferenceFinished) => void

/** Wraps what a provider can do: each answer, whole or streamed, is reported once it is over, and noted on its call. */
export function metered(provider: InferenceProvider, providerId: string, report: Report): InferenceProvider {
  const begin = (capability: Capability, request: ModelRequest<unknown>, call: Call): Measurement =>
    new Measurement({ providerId, capability, request, call, report })
  return {
    get hasOwnKey() {
      return provider.hasOwnKey
    },
    ...(provider.acceptsKeyOf && { acceptsKeyOf: (call: Call) => provider.acceptsKeyOf?.(call) === true }),
    ...(provider.listModels && { listModels: (call: Call) => provider.listModels!(call) }),
    ...(provider.awaits && { awaits: () => provider.awaits!() }),
    ...(provider.checkHealth && { checkHealth: (call: Call) => provider.checkHealth!(call) }),
    ...(provider.chat && { chat: (request, call) => begin('chat', request, call).ofReply(provider.chat!(request, call)) }),
    ...(provider.completions && {
      completions: (request, call) => begin('completions', request, call).ofReply(provider.completions!(request, call)),
    }),
    ...(provider.embeddings && {
      embeddings: (request, call) => begin('embeddings', request, call).ofReply(provider.embeddings!(request, call)),
    }),
    ...(provider.rerank && { rerank: (request, call) => begin('rerank', request, call).ofValue(provider.rerank!(request, call)) }),
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]?.()
    },
  }
}

interface Measured {
  readonly providerId: string
  readonly capability: Capability
  readonly request: ModelRequest<unknown>
  readonly call: Call
  readonly report: Report
}

/** One answer, from its request to its end. */
class Measurement {
  readonly #measured: Measured
  readonly #startedAt = performance.now()
  #over = false
  /** Set once the answer streams. */
  facts: StreamFacts | undefined

  constructor(measured: Measured) {
    this.#measured = measured
    const { notes } = measured.call
    if (!notes) return
    notes.model = measured.request.told
    notes.provider = measured.providerId
  }

  async ofReply<R extends Reply | JsonReply>(pending: Promise<R>): Promise<R> {
    const reply: Reply = await this.ofHead(pending)
    if (reply.kind === 'json') {
      this.end('completed', reply.usage)
      return reply as R
    }
    this.facts = reply.facts
    const streamed: StreamReply = { kind: 'stream', facts: reply.facts, frames: new MeteredFrames(reply.frames, this) }
    return streamed as Reply as R
  }

  async ofValue<T>(pending: Promise<T>): Promise<T> {
    const value = await this.ofHead(pending)
    this.end('completed', undefined)
    return value
  }

  async ofHead<T>(pending: Promise<T>): Promise<T> {
    try {
      return await pending
    } catch (error) {
      this.fail(error)
      throw error
    }
  }

  fail(error: unknown): void {
    if (this.#measured.call.signal.aborted) this.end('cancelled', this.facts?.usage)
    else if (this.facts && error instanceof ApiError && error.code === 'upstream_cut') this.end('truncated', this.facts.usage, error)
    else this.end('failed', this.facts?.usage, error)
  }

  end(outcome: InferenceOutcome, usage: Usage | undefined, error?: unknown): void {
    if (this.#over) return
    this.#over = true
    const { providerId, capability, request, call, report } = this.#measured
    const firstTokenAt = this.facts?.firstTokenAt
    const { notes } = call
    if (notes && usage) {
      notes.inputTokens = usage.input
      notes.outputTokens = usage.output
    }
    if (notes && firstTokenAt !== undefined) notes.firstTokenAt = firstTokenAt
    report({
      call,
      provider: providerId,
      model: request.model,
      capability,
      streamed: this.facts !== undefined,
      outcome,
      duration: performance.now() - this.#startedAt,
      firstToken: firstTokenAt === undefined ? undefined : firstTokenAt - this.#startedAt,
      usage,
      ...(error !== undefined && { error }),
    })
  }
}

class MeteredFrames implements AsyncIterator<Uint8Array, void, undefined> {
  readonly #frames: StreamReply['frames']
  readonly #measurement: Measurement

  constructor(frames: StreamReply['frames'], measurement: Measurement) {
    this.#frames = frames
    this.#measurement = measurement
  }

  async next(): Promise<IteratorResult<Uint8Array, void>> {
    try {
      const result = await this.#frames.next()
      if (result.done) this.#measurement.end('completed', this.#measurement.facts?.usage)
      return result
    } catch (error) {
      this.#measurement.fail(error)
      throw error
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, void>> {
    const { facts } = this.#measurement
    // A caller may well leave once it has seen the end.
    this.#measurement.end(facts?.complete ? 'completed' : 'cancelled', facts?.usage)
    return (await this.#frames.return?.()) ?? { done: true, value: undefined }
  }
}
