import type { Call } from '../../call.ts'
import {
  acceptEncoding,
  type CallerUrl,
  defaultFirstByteTimeout,
  defaultIdleTimeout,
  type EgressResponse,
  type EgressBody,
  EgressError,
} from '../../egress/egress.ts'
import { promptCount } from '../../operations/openai/output-limit.ts'
import { Slab } from '../../wire/byte-writer.ts'
import { encodeJson } from '../../wire/json-edit.ts'
import { operations, type OperationName } from '../../operations/index.ts'
import type { ModelRequest, ProviderDeps, Reply, StreamFacts, StreamReply, UpstreamTrace } from '../provider.ts'
import { base64Embeddings, usageInStreams } from './additions.ts'
import { bodyOf, kindOf, detectKind } from './body-kind.ts'
import { isErrorBody } from './upstream-error-body.ts'
import type { OpenAICompatibleOptions } from './openai-compatible-options.ts'
import { omittedFields } from './omitted-fields.ts'
import { Additions, sendWithAdditions } from './refused-additions.ts'
import { toJsonReply, type JsonReplyContext } from './relay-reply.ts'
import { type ConvertedReply, type RelayStreamOptions, RelayStream } from './relay-stream.ts'
import { editedFrame, type ReplyHooks } from './reply-hooks.ts'
import { toRequestBytes } from './request-bytes.ts'
import { StreamFold } from './stream-to-json.ts'
import {
  streamInterrupted,
  invalidResponse,
  readProviderError,
  toProviderError,
  toTransportError,
  type UpstreamIdentity,
} from './upstream-error.ts'
import { credentialsIn } from './upstream-json.ts'
import { credentialsInUrl } from './url-credentials.ts'
import { endpointOf, traceHeaders } from './trace-headers.ts'
import { toChunks, type JsonCompletion } from './json-to-stream.ts'

/** Maximum size of a JSON reply: embeddings of many texts are megabytes. */
const maxReplySize = 64 * 1024 * 1024

const jsonHeaders = { 'content-type': 'application/json', accept: 'application/json', 'accept-encoding': acceptEncoding }
/** Packed frames would wait for one another. */
const streamHeaders = { 'content-type': 'application/json', accept: 'text/event-stream', 'accept-encoding': 'identity' }

/** The fields that the relay itself looks at; each may be anything in a caller's body that a schema lets through. */
interface RequestFields {
  stream?: unknown
  stream_options?: { include_usage?: unknown } | null
  n?: unknown
  prompt?: unknown
  encoding_format?: unknown
}

/** Whom a request went to. What of it is secret is put together only where there is something to hide it from. */
class RequestUpstream implements UpstreamIdentity {
  readonly id: string
  readonly #authorization: Readonly<Record<string, string>>
  readonly #extra: Readonly<Record<string, string>> | undefined
  readonly #url: readonly string[] | CallerUrl

  constructor(
    id: string,
    authorization: Readonly<Record<string, string>>,
    extra: Readonly<Record<string, string>> | undefined,
    url: readonly string[] | CallerUrl,
  ) {
    this.id = id
    this.#authorization = authorization
    this.#extra = extra
    this.#url = url
  }

  get secrets(): readonly string[] {
    const url = 'url' in this.#url ? credentialsInUrl(this.#url) : this.#url
    return [...Object.values(this.#authorization), ...(this.#extra ? credentialsIn(this.#extra) : []), ...url]
  }
}

interface RelayExchange {
  operation: OperationName
  request: ModelRequest<RequestFields>
  upstream: UpstreamIdentity
  hooks: ReplyHooks
  /** Where the stream's facts are stored. Default: a new object. */
  facts?: StreamFacts | undefined
}

/** Sends requests to one upstream and relays its replies. */
export class OpenAIRelay {
  readonly #options: OpenAICompatibleOptions
  readonly #deps: ProviderDeps
  /** Undefined where it depends on the call. */
  readonly #query: string | undefined
  /** Of the operator's own URL. */
  readonly #urlCredentials: readonly string[]
  readonly #endpoint: UpstreamTrace['endpoint']
  readonly #slab = new Slab()
  readonly #additions: Additions

  constructor(options: OpenAICompatibleOptions, deps: ProviderDeps) {
    this.#options = options
    this.#deps = deps
    this.#query = typeof options.query === 'function' ? undefined : toQuery(options.query)
    this.#endpoint = typeof options.baseUrl === 'string' ? endpointOf(options.baseUrl) : undefined
    this.#urlCredentials = typeof options.baseUrl === 'string' ? credentialsInUrl(options.baseUrl) : []
    this.#additions = new Additions({
      additions: [...(options.streamUsage === false ? [] : [usageInStreams]), base64Embeddings, ...(options.additions ?? [])],
      log: deps.log,
      remembers: typeof options.baseUrl === 'string',
    })
  }

  /** `path` under the upstream's root. */
  url(path: string, call: Call): string | CallerUrl {
    const { baseUrl, query } = this.#options
    const below = path + (this.#query ?? toQuery(typeof query === 'function' ? query(call) : query))
    return typeof baseUrl === 'string' ? baseUrl + below : baseUrl(call).at(below)
  }

  /** The extra headers of every request. */
  headers(call: Call): Readonly<Record<string, string>> | undefined {
    const { headers } = this.#options
    return typeof headers === 'function' ? headers(call) : headers
  }

  async send(operation: OperationName, request: ModelRequest<RequestFields>, call: Call): Promise<Reply> {
    const options = this.#options
    const pending = options.authorize(call)
    const authorization = pending instanceof Promise ? await pending : pending
    const changes = options.editRequest?.(request as ModelRequest<Record<string, unknown>>, operation, call)
    const edits = changes instanceof Promise ? await changes : changes
    const extra = this.headers(call)
    const streams = request.body.stream === true && operation !== 'embeddings'
    const url = this.url(options.paths?.[operation as 'chat'] ?? operations[operation].format.upstreamPath, call)
    const upstream = new RequestUpstream(this.#deps.id, authorization, extra, typeof url === 'string' ? this.#urlCredentials : url)
    const headers = { ...(streams ? streamHeaders : jsonHeaders), ...extra, ...this.#traceHeaders(url, request, call), ...authorization }
    const omitted = omittedFields(request.body, operation, options)
    return sendWithAdditions(this.#additions.for(request, operation), async (additions, facts) => {
      try {
        const response = await this.#deps.egress.request(url, {
          method: 'POST',
          headers,
          body: toRequestBytes(request, { edits, additions, omitted }),
          signal: call.abortListenable ?? call.signal,
          network: options.network,
        })
        if (response.status < 200 || response.status > 299) throw await readProviderError(upstream, response)
        const exchange = { operation, request, upstream, facts, hooks: options }
        return await (streams ? this.#stream(response, exchange) : this.#whole(response, exchange))
      } catch (error) {
        throw toTransportError(upstream, error)
      }
    })
  }

  /** The trace goes on to the operator's own upstreams; a host that a caller named learns nothing of it. */
  #traceHeaders(url: string | CallerUrl, { trace }: ModelRequest<unknown>, call: Call): Record<string, string> | undefined {
    if (typeof url !== 'string' || !trace || !call.trace) return undefined
    trace.endpoint = this.#endpoint
    return traceHeaders(call.trace, trace.spanId)
  }

  async #stream(response: EgressResponse, exchange: RelayExchange): Promise<Reply> {
    const { upstream } = exchange
    // `RelayStream` examines a declared event stream once its first bytes arrive: the caller gets the head before.
    if (isEventStream(response.headers)) {
      const convert: RelayStreamOptions['convert'] = (body) => toFrames(body, response, exchange)
      return this.#relayed(response.content, exchange, { withholdUsage: !wantsUsage(exchange), convert })
    }
    const { kind, content } = await detectKind(response.content)
    if (kind === 'events') return this.#relayed(content, exchange, { withholdUsage: !wantsUsage(exchange) })
    if (kind === 'json') return toStreamReply(toFrames(await content.bytes(maxReplySize), response, exchange))
    content.cancel()
    if (kind === 'empty') throw streamInterrupted(upstream)
    throw invalidResponse(upstream, `sent ${kind === 'html' ? 'an HTML page' : 'text'} instead of a stream`)
  }

  #relayed(
    content: EgressBody,
    exchange: RelayExchange,
    { withholdUsage, convert }: Pick<RelayStreamOptions, 'withholdUsage' | 'convert'>,
  ): RelayStream {
    const { operation, request, upstream, facts } = exchange
    const { editFrame, usageOf } = this.#options
    return new RelayStream(content, {
      upstream,
      requestedModel: request.requestedModel,
      idPrefix: idPrefix(operation),
      object: operation === 'chat' ? 'chat.completion.chunk' : 'text_completion',
      withholdUsage,
      convert,
      terminal: this.#options.terminal ?? 'done',
      choices: choicesOf(request.body),
      keepAliveTimeout: this.#options.network?.firstByteTimeout ?? defaultFirstByteTimeout,
      idleTimeout: this.#options.network?.idleTimeout ?? defaultIdleTimeout,
      request: { format: operations[operation].format, body: request.body, bytes: request.bytes.length },
      startTimer: this.#options.startTimer,
      slab: this.#slab,
      facts,
      editFrame: editFrame && ((bytes) => editedFrame(bytes, operation, editFrame)),
      usageOf,
    })
  }

  async #whole(response: EgressResponse, exchange: RelayExchange): Promise<Reply> {
    const { status, headers } = response
    let { content } = response
    // A body of known length that is declared as JSON is read in one go: it ends. So are embeddings, which can be megabytes.
    if (isEventStream(headers) || (headers.get('content-length') === null && exchange.operation !== 'embeddings')) {
      const examined = await detectKind(content)
      content = examined.content
      if (examined.kind === 'events') return this.#folded(content, exchange, status)
    }
    const body = await content.bytes(maxReplySize)
    return kindOf(body, true) === 'events'
      ? this.#folded(bodyOf(body), exchange, status)
      : toJsonReply(body, jsonReplyContext(exchange, status))
  }

  /** Folds a stream that was not requested into one response. */
  async #folded(content: EgressBody, exchange: RelayExchange, status: number): Promise<Reply> {
    const { operation, upstream } = exchange
    if (operation === 'embeddings') {
      content.cancel()
      throw invalidResponse(upstream, 'sent an event stream instead of embeddings')
    }
    const stream = this.#relayed(content, exchange, { withholdUsage: false })
    const fold = new StreamFold()
    let size = 0
    for (let item = await stream.next(); !item.done; item = await stream.next()) {
      size += item.value.length
      if (size > maxReplySize) {
        content.cancel()
        throw new EgressError('too_large', `the stream is larger than ${maxReplySize} bytes`)
      }
      fold.add(item.value)
    }
    // Its chunks were edited.
    const reply = toJsonReply(encodeJson(fold.result()), { ...jsonReplyContext(exchange, status), hooks: undefined })
    return { ...reply, usage: stream.facts.usage ?? reply.usage }
  }
}

/** Makes the frames of a stream from one document: a whole completion becomes a short stream. Throws when the document is an error or no completion. */
function toFrames(bytes: Uint8Array, { status, headers }: EgressResponse, exchange: RelayExchange): ConvertedReply {
  const { upstream } = exchange
  const whole = parse(bytes)
  if (Array.isArray(whole?.['choices']) && whole['choices'].length > 0) {
    const reply = toJsonReply(bytes, jsonReplyContext(exchange, status))
    const isText = exchange.operation === 'completions'
    const chunks = toChunks(parse(reply.bytes) as JsonCompletion, { isText, wantsUsage: wantsUsage(exchange) })
    const text = [...chunks.map((chunk) => JSON.stringify(chunk)), '[DONE]'].map((data) => `data: ${data}\n\n`).join('')
    return { frames: new TextEncoder().encode(text), count: chunks.length, usage: reply.usage }
  }
  if (whole && isErrorBody(whole)) throw toProviderError(upstream, { status, headers, body: whole })
  throw invalidResponse(upstream, 'sent JSON that is not a completion instead of a stream')
}

function wantsUsage({ request }: RelayExchange): boolean {
  return request.body.stream_options?.include_usage === true
}

function jsonReplyContext({ operation, request, upstream, hooks }: RelayExchange, status: number): JsonReplyContext {
  return { upstream, hooks, status, requestedModel: request.requestedModel, operation, encoding: encodingOf(request.body) }
}

function isEventStream(headers: Headers): boolean {
  return /\bevent-stream\b/i.test(headers.get('content-type') ?? '')
}

function toQuery(parameters: Readonly<Record<string, string>> | undefined): string {
  const query = new URLSearchParams(parameters).toString()
  return query && `?${query}`
}

/** The encoding of embeddings that Corral can make; undefined: a vendor's own, such as `int8`, whose values are relayed as they come. */
function encodingOf({ encoding_format: format }: RequestFields): 'float' | 'base64' | undefined {
  if (format === undefined || format === null || format === 'float') return 'float'
  return format === 'base64' ? 'base64' : undefined
}

/** How many choices are requested: `n` for each prompt. */
function choicesOf(body: RequestFields): number {
  return (typeof body.n === 'number' ? body.n : 1) * promptCount(body)
}

function idPrefix(operation: OperationName): string {
  return operation === 'chat' ? 'chatcmpl-' : 'cmpl-'
}

function parse(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    // The caller of this function reports that it is not a completion.
    return undefined
  }
}

function toStreamReply({ frames, count, usage }: ConvertedReply): StreamReply {
  let handedOut = false
  return {
    kind: 'stream',
    facts: { usage, firstTokenAt: performance.now(), frames: count, complete: true },
    frames: {
      async next() {
        if (handedOut) return { done: true, value: undefined }
        handedOut = true
        return { done: false, value: frames }
      },
    },
  }
}
