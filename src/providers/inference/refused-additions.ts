import { ApiError } from '../../errors.ts'
import type { Edits } from '../../wire/json-edit.ts'
import type { OperationName } from '../../operations/index.ts'
import type { ModelRequest, Reply, StreamFacts, StreamReply } from '../provider.ts'
import type { Log } from '../../telemetry/logger.ts'
import type { Addition, PlannedAddition } from './additions.ts'
import { BoundedMap } from '../../bounded-map.ts'

/** Models with remembered refusals, for one provider. */
const maxRemembered = 1_000

interface AdditionsOptions {
  readonly additions: readonly Addition[]
  /** A log whose lines name the provider. */
  readonly log: Log
  /** False where callers choose the host: another host may accept what one refuses. */
  readonly remembers: boolean
}

/** The additions of one provider's requests, and which of them each of its models refuses. */
export class Additions {
  readonly #options: AdditionsOptions
  readonly #refused = new BoundedMap<string, ReadonlySet<Addition>>(maxRemembered)

  constructor(options: AdditionsOptions) {
    this.#options = options
  }

  for(request: ModelRequest<object>, operation: OperationName): RequestAdditions {
    const refused = this.#refused.get(request.model)
    const active = new Map<Addition, PlannedAddition>()
    const edits = new Map<string, Uint8Array | undefined>()
    for (const addition of this.#options.additions) {
      const plan = addition.plan(request, operation)
      if (!plan) continue
      const isRefused = refused?.has(addition) === true
      if (!isRefused) active.set(addition, plan)
      for (const [field, value] of isRefused ? plan.withdrawn : plan.applied) edits.set(field, value)
    }
    return new RequestAdditions(this, request, { active, edits })
  }

  /** Called once the upstream has accepted `request` without `withdrawn`. */
  accepted(request: ModelRequest<object>, withdrawn: readonly Addition[]): void {
    const { log, remembers } = this.#options
    const lasting = remembers ? withdrawn.filter(({ remember }) => remember) : []
    const fields = withdrawn.map(({ field }) => field)
    const context = { model: request.model.slice(0, 256), fields, remembered: lasting.length > 0 }
    const message = 'the provider refused fields that Corral added: the request was retried without them'
    if (lasting.length === 0) return log.debug(context, message)
    log.info(context, message)
    const known = this.#refused.get(request.model)
    this.#refused.set(request.model, new Set([...(known ?? []), ...lasting]))
  }
}

/** The additions of one request. */
class RequestAdditions {
  readonly #all: Additions
  readonly #request: ModelRequest<object>
  readonly #active: Map<Addition, PlannedAddition>
  readonly #edits: Map<string, Uint8Array | undefined>
  #withdrawn: Addition[] = []

  constructor(
    all: Additions,
    request: ModelRequest<object>,
    { active, edits }: { active: Map<Addition, PlannedAddition>; edits: Map<string, Uint8Array | undefined> },
  ) {
    this.#all = all
    this.#request = request
    this.#active = active
    this.#edits = edits
  }

  /** Whether an error may still lead to another attempt, or a success must be noted. */
  get open(): boolean {
    return this.#active.size > 0 || this.#withdrawn.length > 0
  }

  /** Top-level edits of the next attempt. */
  get edits(): Edits {
    return this.#edits
  }

  /** Withdraws the additions that `error` names. False where it names none: the request is then not sent again. */
  withdraw(error: unknown): boolean {
    if (this.#active.size === 0 || !(error instanceof ApiError) || !isRefusal(error)) return false
    const refused = [...this.#active].filter(([, { mentionPattern }]) => mentions(error, mentionPattern))
    for (const [addition, { applied, withdrawn }] of refused) {
      this.#active.delete(addition)
      this.#withdrawn.push(addition)
      for (const field of applied.keys()) this.#edits.delete(field)
      for (const [field, value] of withdrawn) this.#edits.set(field, value)
    }
    const { trace } = this.#request
    if (trace && refused.length > 0) trace.resentWithout = this.#withdrawn.map(({ field }) => field)
    return refused.length > 0
  }

  /** The upstream has accepted the last attempt. */
  accepted(): void {
    if (this.#withdrawn.length > 0) this.#all.accepted(this.#request, this.#withdrawn)
    this.#withdrawn = []
    this.#active.clear()
  }
}

/** One attempt. `facts`: where the stream's facts are stored. Default: a new object. */
type SendAttempt = (edits: Edits, facts?: StreamFacts) => Promise<Reply>

/**
 * Sends a request, and again without the additions that the upstream refuses by name, at most once for each. Metering sees one reply.
 * Throws the error of the last attempt.
 */
export async function sendWithAdditions(additions: RequestAdditions, send: SendAttempt, facts?: StreamFacts): Promise<Reply> {
  for (;;) {
    try {
      const reply = await send(additions.edits, facts)
      if (reply.kind === 'stream' && additions.open) return withSecondAttempt(reply, additions, send)
      additions.accepted()
      return reply
    } catch (error) {
      if (!additions.withdraw(error)) throw error
    }
  }
}

/** A stream whose first frame may be a refusal; its frames are then those of another attempt. */
function withSecondAttempt(first: StreamReply, additions: RequestAdditions, send: SendAttempt): StreamReply {
  const { facts } = first
  let { frames } = first
  let ended = false
  const relay = (): Promise<IteratorResult<Uint8Array, void>> => frames.next()
  let next = async (): Promise<IteratorResult<Uint8Array, void>> => {
    next = relay
    try {
      const result = await frames.next()
      additions.accepted()
      return result
    } catch (error) {
      if (!additions.withdraw(error)) throw error
      const again = await sendWithAdditions(additions, send, facts)
      if (again.kind !== 'stream') throw error
      frames = again.frames
      // The reader may have ended the stream in the meantime.
      if (ended) await frames.return?.()
      if (again.facts !== facts) Object.assign(facts, again.facts)
      return frames.next()
    }
  }
  return {
    kind: 'stream',
    facts,
    frames: {
      idleTimeout: first.frames.idleTimeout,
      next: () => next(),
      async return() {
        ended = true
        return (await frames.return?.()) ?? { done: true, value: undefined }
      },
    },
  }
}

/** The provider's own refusal of the request. An error in a 2xx, or in a stream, often names no status: then it has 502 here. */
function isRefusal({ status, provider }: ApiError): boolean {
  if (!provider) return false
  return status === 400 || status === 422 || (status === 502 && provider.status >= 200 && provider.status < 300)
}

function mentions({ message, param, provider }: ApiError, mentionPattern: RegExp): boolean {
  return mentionPattern.test(message) || (param !== null && mentionPattern.test(param)) || mentionedIn(provider?.body, mentionPattern, 0)
}

/** Members in which frameworks repeat the request that they refuse. */
const echoes = new Set(['input', 'request', 'ctx'])
const maxDepth = 8

/** Searches the names and texts of an error body of any form; it has at most 8 kB. */
function mentionedIn(value: unknown, mentionPattern: RegExp, depth: number): boolean {
  if (typeof value === 'string') return mentionPattern.test(value)
  if (typeof value !== 'object' || value === null || depth > maxDepth) return false
  if (Array.isArray(value)) return value.some((item) => mentionedIn(item, mentionPattern, depth + 1))
  return Object.entries(value).some(
    ([key, inner]) => !echoes.has(key) && (mentionPattern.test(key) || mentionedIn(inner, mentionPattern, depth + 1)),
  )
}
