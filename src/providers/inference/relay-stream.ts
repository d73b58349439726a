import { EgressError, type EgressBody } from '../../egress/egress.ts'
import { type EstimateInput, likelyInput, likelyOutput } from '../../quota/estimate.ts'
import type { Slab } from '../../wire/byte-writer.ts'
import { dataStart, FrameSplitter, FrameTooLarge, readFrame } from '../../wire/sse-frames.ts'
import type { StreamFacts, StreamReply, Usage } from '../provider.ts'
import { isErrorBody } from './upstream-error-body.ts'
import { FrameEditor } from './frame-editor.ts'
import type { ReplyHooks } from './reply-hooks.ts'
import { startTimer, type StartTimer } from '../../timing.ts'
import { streamInterrupted, invalidResponse, toProviderError, toTransportError, type UpstreamIdentity } from './upstream-error.ts'
import { readUsage } from './usage.ts'

/** Milliseconds without a frame after which a stream whose choices all have their finish reason is at its end. */
const endTimeout = 2_000

/** The largest frame that passes: an image or a long tool call can be megabytes. */
const maxFrameSize = 16 * 1024 * 1024

/** A whole response as the frames of a stream. */
export interface ConvertedReply {
  frames: Uint8Array
  count: number
  usage: Usage | undefined
}

export interface RelayStreamOptions {
  upstream: UpstreamIdentity
  /** The model as the caller knows it. */
  requestedModel: string
  /** How the stream's id begins where the upstream has none. */
  idPrefix: string
  /** What its chunks are called where the upstream does not say. */
  object: string
  /** The caller did not request usage: its chunk is read and not passed on. */
  withholdUsage: boolean
  /** What proves that the stream is whole. */
  terminal: 'done' | 'finish_reason'
  /** How many choices were requested. */
  choices: number
  /** Maximum milliseconds with comments only: they show that the upstream is connected, not that it makes progress. */
  keepAliveTimeout: number
  /** Milliseconds that the caller may leave frames unread. */
  idleTimeout: number
  /** The request, for an estimate of its input tokens. */
  request: Pick<EstimateInput, 'format' | 'body' | 'bytes'>
  /** Default: `setTimeout`. */
  startTimer?: StartTimer | undefined
  /** Makes frames of a whole response that is sent as an event stream, or throws; absent: the body is known to be one. */
  convert?: ((body: Uint8Array) => ConvertedReply) | undefined
  /** Edits the bytes of one chunk before it is read. */
  editFrame?: ((bytes: Uint8Array) => Uint8Array) | undefined
  usageOf?: ReplyHooks['usageOf'] | undefined
  /** Where edited frames are written; shared by streams. */
  slab: Slab
  /** Where the stream's facts are stored. Default: a new object. */
  facts?: StreamFacts | undefined
}

const encoder = new TextEncoder()
const doneData = encoder.encode('[DONE]')
const decoder = new TextDecoder()

/** Relays a stream of OpenAI's chunks from an upstream's body, frame by frame, as bytes. */
export class RelayStream implements StreamReply, AsyncIterator<Uint8Array, void, undefined> {
  readonly kind = 'stream'
  readonly frames = this
  readonly facts: StreamFacts
  readonly #body: EgressBody
  readonly #options: RelayStreamOptions
  readonly #splitter = new FrameSplitter(maxFrameSize)
  readonly #editor: FrameEditor
  /** When the first comment since the last frame came. */
  #keepAlivesSince: number | undefined
  /** Bytes handed out. */
  #bytes = 0
  /** Frames before the first with content. */
  #emptyFrames = 0
  /** Stops the timer that runs while only the end is missing. */
  #stopEndTimer: (() => void) | undefined
  /** The upstream kept the connection open after the last finish reason. */
  #endIsOverdue = false
  /** No more bytes will come. */
  #hasEnded = false
  /** Thrown once what came before it has been handed out. */
  #failure: unknown
  #isOver = false
  /** The first byte of the body has been examined. */
  #isExamined = false

  constructor(body: EgressBody, options: RelayStreamOptions) {
    this.#body = body
    this.#options = options
    this.facts = options.facts ?? { usage: undefined, firstTokenAt: undefined, frames: 0 }
    this.#editor = new FrameEditor(options.requestedModel, options.idPrefix, options.object, options.slab)
  }

  get idleTimeout(): number {
    return this.#options.idleTimeout
  }

  async next(): Promise<IteratorResult<Uint8Array, void>> {
    for (;;) {
      if (this.#isOver) return this.#finalResult()
      if (!this.#stopEndTimer && this.#editor.repairs.isFinished(this.#options.choices)) this.#startEndTimer()
      const { frames } = this.facts
      let pieces: readonly Uint8Array[] | undefined
      try {
        pieces = await this.#body.read()
      } catch (error) {
        this.#readFailed(error)
      }
      const convert = this.#isExamined ? undefined : this.#examine(pieces)
      if (pieces && convert) return this.#converted(pieces, convert)
      if (pieces && !this.#isOver) this.#take(pieces)
      else if (!this.#isOver) this.#close()
      if (this.#stopEndTimer && (this.#isOver || this.facts.frames !== frames)) this.#clearEndTimer()
      if (this.#editor.written > 0) {
        this.#keepAlivesSince = undefined
        const value = this.#editor.take()
        this.#bytes += value.length
        return { done: false, value }
      }
      this.#checkKeepAliveTimeout()
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, void>> {
    this.#isOver = true
    this.#failure = undefined
    this.#clearEndTimer()
    this.#body.cancel()
    return { done: true, value: undefined }
  }

  /** JSON and HTML are recognized by their first byte. Returns how to convert the body where it is JSON. */
  #examine(pieces: readonly Uint8Array[] | undefined): RelayStreamOptions['convert'] {
    const { convert, upstream } = this.#options
    const first = convert ? firstByte(pieces ?? noPieces) : 0
    this.#isExamined = first !== undefined
    if (first === openBrace || first === openBracket) return convert
    if (first === lessThan) this.#fail(invalidResponse(upstream, 'sent an HTML page instead of a stream'))
    return undefined
  }

  async #converted(
    pieces: readonly Uint8Array[],
    convert: NonNullable<RelayStreamOptions['convert']>,
  ): Promise<IteratorResult<Uint8Array, void>> {
    this.#isOver = true
    try {
      const rest = await this.#body.bytes(maxFrameSize)
      const { frames, count, usage } = convert(Buffer.concat([...pieces, rest]))
      Object.assign(this.facts, { usage, firstTokenAt: performance.now(), frames: count, complete: true })
      return { done: false, value: frames }
    } catch (error) {
      throw toTransportError(this.#options.upstream, error)
    }
  }

  /** Only usage and `[DONE]` may still arrive. A frame that arrives in time stops the timer. */
  #startEndTimer(): void {
    this.#stopEndTimer = (this.#options.startTimer ?? startTimer)(endTimeout, () => {
      this.#endIsOverdue = true
      // The read that waits then ends as if the body did.
      this.#body.cancel()
    })
  }

  #clearEndTimer(): void {
    this.#stopEndTimer?.()
    this.#stopEndTimer = undefined
  }

  #finalResult(): IteratorResult<Uint8Array, void> {
    const failure = this.#failure
    if (failure === undefined) return { done: true, value: undefined }
    this.#failure = undefined
    throw failure
  }

  /** After pieces without a frame: what comes often enough to be no silence is looked at only here. */
  #checkKeepAliveTimeout(): void {
    if (this.#isOver) return
    const { keepAliveTimeout, upstream } = this.#options
    const now = performance.now()
    this.#keepAlivesSince ??= now
    if (now - this.#keepAlivesSince < keepAliveTimeout) return
    this.#fail(
      toTransportError(upstream, new EgressError('timeout', `no data received for ${keepAliveTimeout / 1000} s (keep-alives only)`)),
    )
  }

  /** The upstream's body broke off, or the caller left. */
  #readFailed(error: unknown): void {
    if (error instanceof EgressError && this.#isComplete()) return
    const { upstream } = this.#options
    this.#fail(
      error instanceof EgressError && error.reason === 'interrupted'
        ? streamInterrupted(upstream, error)
        : toTransportError(upstream, error),
    )
  }

  #take(pieces: readonly Uint8Array[]): void {
    const splitter = this.#splitter
    try {
      for (const piece of pieces) {
        const from = splitter.idle ? this.#relayAlike(piece, 0) : 0
        if (from === piece.length) continue
        splitter.push(piece, from)
        while (splitter.next()) {
          this.#frame()
          // After an error or the end nothing more is passed on, alike or not.
          if (this.#isOver) return
          const { boundary } = splitter
          if (boundary >= 0) splitter.skipTo(this.#relayAlike(piece, boundary))
        }
      }
    } catch (error) {
      if (!(error instanceof FrameTooLarge)) throw error
      this.#fail(invalidResponse(this.#options.upstream, `sent a frame of more than ${maxFrameSize} bytes`, error))
    }
  }

  /** Most frames of a stream differ in their text alone: those go the short way, as many as there are in a row. Returns where they end. */
  #relayAlike(piece: Uint8Array, from: number): number {
    const { facts } = this
    // A frame that is edited is parsed: none goes the short way.
    if (facts.firstTokenAt === undefined || this.#options.editFrame) return from
    const editor = this.#editor
    const before = editor.alike
    const to = editor.writeAlike(piece, from)
    facts.frames += editor.alike - before
    return to
  }

  /** The upstream's body has ended as HTTP wants it, or its end is overdue. */
  #close(): void {
    this.#hasEnded = true
    if (this.#endIsOverdue) this.#estimateUsage()
    else if (this.#splitter.flush()) this.#frame()
    if (this.#isOver) return
    if (!this.#endIsOverdue && !this.#isComplete()) return this.#fail(streamInterrupted(this.#options.upstream))
    this.#isOver = true
    this.facts.complete = true
    this.#editor.writeData(doneData)
  }

  /** Replaces usage that was not reported by an estimate, marked as such for the caller as well. */
  #estimateUsage(): void {
    const { facts } = this
    const { request, withholdUsage } = this.#options
    if (facts.usage) return
    const text = this.#bytes - facts.frames * this.#editor.envelope
    const output = facts.firstTokenAt === undefined ? 0 : likelyOutput(facts.frames - this.#emptyFrames, text)
    const input = likelyInput(request)
    facts.usage = { input, output, estimated: true }
    if (withholdUsage) return
    const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output, estimated: true }
    this.#editor.writeChunk(encoder.encode(`"choices":[],"usage":${JSON.stringify(usage)}`))
  }

  #isComplete(): boolean {
    return this.#options.terminal === 'finish_reason' && this.#editor.repairs.isFinished(this.#options.choices)
  }

  #fail(failure: unknown): void {
    this.#isOver = true
    this.#failure = failure
    this.#body.cancel()
  }

  #frame(): void {
    const { bytes, start, end, singleLine } = this.#splitter
    const at = singleLine ? dataStart(bytes, start, end) : -1
    if (at >= 0) {
      this.#data(bytes, at, end)
      return
    }
    const { event, data } = readFrame(bytes.subarray(start, end))
    if (!data) return
    // A line end between two tokens of JSON is white space: as a space it keeps the frame on one line.
    for (let index = data.indexOf(0x0a); index >= 0; index = data.indexOf(0x0a, index)) data[index] = 0x20
    if (event === 'error') this.#error(data)
    else this.#data(data, 0, data.length)
  }

  #data(bytes: Uint8Array, start: number, end: number): void {
    if (start >= end) return
    if (isDone(bytes, start, end)) {
      this.#isOver = true
      this.facts.complete = true
      this.#editor.writeData(doneData)
      this.#body.drain()
      return
    }
    const { editFrame } = this.#options
    if (!editFrame) return this.#chunk(bytes, start, end)
    const edited = editFrame(bytes.subarray(start, end))
    this.#chunk(edited, 0, edited.length)
  }

  #chunk(bytes: Uint8Array, start: number, end: number): void {
    const { facts } = this
    const editor = this.#editor
    if (!editor.scan(bytes, start, end)) return this.#malformed()
    if (editor.error !== 0) return this.#error(bytes.subarray(start, end))
    if (editor.choices === 0 && isErrorBody(parse(bytes, start, end))) return this.#error(bytes.subarray(start, end))
    facts.frames += 1
    if (facts.firstTokenAt === undefined && editor.choices !== 0 && hasContent(parse(bytes, editor.choices, editor.choicesEnd))) {
      facts.firstTokenAt = performance.now()
      this.#emptyFrames = facts.frames - 1
    }
    if (editor.usage !== 0 && this.#usage(bytes)) return
    if (!editor.repair()) return this.#fail(invalidResponse(this.#options.upstream, "sent a chunk whose 'choices' are invalid"))
    this.#noteFacts()
    editor.write()
  }

  /** True when the frame is the one that carries usage and nothing else, for a caller that did not request it. */
  #usage(bytes: Uint8Array): boolean {
    const { usage, usageEnd, choices, choicesEnd } = this.#editor
    // A later report that cannot be read does not replace an earlier one.
    this.facts.usage = readUsage(parse(bytes, usage, usageEnd), this.#options.usageOf) ?? this.facts.usage
    return this.#options.withholdUsage && (choices === 0 || isEmptyList(bytes, choices, choicesEnd))
  }

  /** For telemetry: why the model ended, and once what the stream is called. Frames that differ in their text alone do not come here. */
  #noteFacts(): void {
    const { facts } = this
    const { finishReasons, upstreamFacts: requestedModel } = this.#editor
    facts.id ??= textOf(requestedModel.id)
    facts.model ??= textOf(requestedModel.model)
    for (const reason of finishReasons) {
      if ((facts.finishReasons?.length ?? 0) < maxReasons) (facts.finishReasons ??= []).push(reason)
    }
  }

  #error(data: Uint8Array): void {
    const { upstream } = this.#options
    this.#fail(toProviderError(upstream, { status: 200, body: data.slice() }))
  }

  #malformed(): void {
    const { upstream } = this.#options
    // The last frame of a body that breaks off is incomplete.
    this.#fail(
      this.#hasEnded ? streamInterrupted(upstream) : invalidResponse(upstream, 'sent a frame in its stream that is not a JSON object'),
    )
  }
}

const openBrace = 0x7b
const openBracket = 0x5b
const lessThan = 0x3c
const noPieces: readonly Uint8Array[] = []

/** The first byte that is neither white space nor part of a byte order mark; undefined when there is none. */
function firstByte(pieces: readonly Uint8Array[]): number | undefined {
  for (const piece of pieces) for (const byte of piece) if (byte > 0x20 && byte !== 0xef && byte !== 0xbb && byte !== 0xbf) return byte
  return undefined
}

/** Of one stream. */
const maxReasons = 16

/** The text that a JSON value is. */
function textOf(json: Uint8Array | undefined): string | undefined {
  return json && (JSON.parse(decoder.decode(json)) as string)
}

function parse(bytes: Uint8Array, start: number, end: number): Record<string, unknown> {
  return JSON.parse(decoder.decode(bytes.subarray(start, end))) as Record<string, unknown>
}

function isDone(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== doneData[0]) return false
  return decoder.decode(bytes.subarray(start, Math.min(end, start + 16))).trim() === '[DONE]'
}

function isEmptyList(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== 0x5b) return false
  for (let index = start + 1; index < end - 1; index += 1) if ((bytes[index] as number) > 0x20) return false
  return true
}

/** Whether a chunk's choices say anything: a role alone, or an empty text, is not a token. */
function hasContent(choices: unknown): boolean {
  if (!Array.isArray(choices)) return false
  return (choices as unknown[]).some((choice) => {
    if (typeof choice !== 'object' || choice === null) return false
    const { delta, text } = choice as { delta?: unknown; text?: unknown }
    if (typeof text === 'string' && text !== '') return true
    if (typeof delta !== 'object' || delta === null) return false
    return Object.entries(delta).some(
      ([key, value]) => key !== 'role' && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0),
    )
  })
}
